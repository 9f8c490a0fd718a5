import { Annotations } from '../api/index.js';
import type { KubeObject } from '../kube/types.js';
import type { CommitInfo, TouchingCommit } from './history.js';

/** Other commits named on one object. */
const MAX_OTHERS = 20;

/** What one sync knows about where its content comes from. */
export interface Provenance {
  head: CommitInfo;
  /** Commits since the last sync, newest first. */
  since: TouchingCommit[];
  /** NAMESPACE/NAME of the GitSource. */
  source: string;
  /** RFC 3339 with milliseconds. */
  at: string;
  /** One of the commits asks for another run of what failed. */
  retry?: boolean;
}

const KEYS = [
  Annotations.commit,
  Annotations.commits,
  Annotations.author,
  Annotations.subject,
  Annotations.source,
  Annotations.path,
  Annotations.syncedAt,
  Annotations.retry,
] as const;

/** Annotations for an object whose manifest this sync changed; `files` are where it stands (the first one) and stood, in a submodule too. */
export function newProvenance({ head, since, source, at, retry }: Provenance, files: (string | undefined)[]): Record<string, string> {
  const others = since
    .filter(({ sha, files: touched }) => sha !== head.sha && touched.some((changed) => files.some((file) => file === changed || file?.startsWith(`${changed}/`))))
    .slice(0, MAX_OTHERS);
  return {
    [Annotations.commit]: head.sha,
    ...(others.length > 0 ? { [Annotations.commits]: others.map(({ sha }) => sha).join(',') } : {}),
    [Annotations.author]: head.author,
    [Annotations.subject]: head.subject,
    [Annotations.source]: source,
    ...(files[0] === undefined ? {} : { [Annotations.path]: files[0] }),
    [Annotations.syncedAt]: at,
    ...(retry ? { [Annotations.retry]: head.sha } : {}),
  };
}

/** The annotations that a live object carries; undefined when it carries none of a commit. */
export function liveProvenance(live: KubeObject | undefined): Record<string, string> | undefined {
  const annotations = live?.metadata.annotations;
  if (!annotations?.[Annotations.commit]) return undefined;
  const kept: Record<string, string> = {};
  for (const key of KEYS) {
    const value = annotations[key];
    if (value !== undefined) kept[key] = value;
  }
  return kept;
}
