import { durationMs, gitSourceSpec, type GitSource } from '../api/index.js';
import { parseRef, type GitRef } from './ref.js';
import { SyncError } from './reasons.js';
import { parsePath } from './tree.js';
import { parseRemoteUrl, type RemoteUrl } from './url.js';

const MIN_INTERVAL_MS = 100;

/** A GitSource's spec, read and checked. Durations are milliseconds. */
export interface SourcePlan {
  url: RemoteUrl;
  ref: GitRef;
  path: string;
  submodules: boolean;
  /** Folders whose files are fetched, `path` among them; undefined: all. */
  sparse?: string[];
  intervalMs: number;
  timeoutMs: number;
  schedule?: { expression: string; timeZone: string };
  secret?: string;
  defaultNamespace: string;
  apply: boolean;
  prune: boolean;
  /** Secret with the public keys that must have signed the commit. */
  verify?: string;
}

/** @throws SyncError InvalidSpec or InvalidUrl, naming the field. */
export function planOf({ spec, metadata }: GitSource): SourcePlan {
  const parsed = gitSourceSpec.safeParse(spec);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = ['spec', ...(issue?.path ?? [])].join('.');
    throw new SyncError(
      field === 'spec.url' ? 'InvalidUrl' : 'InvalidSpec',
      `${field}: ${issue?.message ?? 'invalid'}; correct it as "kubectl explain gitsource.spec" says`,
    );
  }
  const { data } = parsed;
  const intervalMs = durationMs(data.interval);
  if (intervalMs < MIN_INTERVAL_MS)
    throw new SyncError(
      'InvalidSpec',
      `spec.interval "${data.interval}" is shorter than ${MIN_INTERVAL_MS}ms; write a longer one, such as 1m`,
    );
  const timeoutMs = durationMs(data.timeout);
  if (timeoutMs <= 0) throw new SyncError('InvalidSpec', 'spec.timeout is 0; write a longer one, such as 60s');
  const path = parsePath(data.path);
  const folders = data.sparse && [path, ...data.sparse.map((folder) => parsePath(folder, 'spec.sparse'))];
  // With the root among them, there is nothing to leave out.
  const sparse = folders?.includes('') ? undefined : folders;
  return {
    url: parseRemoteUrl(data.url),
    ref: parseRef(data.ref),
    path,
    submodules: data.submodules,
    ...(sparse ? { sparse } : {}),
    intervalMs,
    timeoutMs,
    schedule: data.schedule === undefined ? undefined : { expression: data.schedule, timeZone: data.timeZone },
    secret: data.secretRef?.name,
    defaultNamespace: data.targetNamespace ?? metadata.namespace ?? 'default',
    apply: data.apply,
    prune: data.prune,
    ...(data.verify ? { verify: data.verify.secretRef.name } : {}),
  };
}
