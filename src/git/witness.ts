import { Annotations, type Canary } from '../api/index.js';
import { podTemplateSchema } from '../core/pod-template.js';
import { makeRevision, trackedReferences, type TrackedConfig } from '../core/revision.js';
import { Resources } from '../kube/resources.js';
import type { KubeClient, KubeObject } from '../kube/types.js';
import type { LocalRepository } from './fetch.js';
import { describeCommit } from './history.js';
import { FIELD_MANAGER } from './identity.js';
import { newProvenance } from './provenance.js';
import { runGit } from './run.js';
import { fileOfTarget, renderAll, revisionIn, type LiveConfig, type RenderedSource, type Rendering } from './write-back/judge.js';

/** Commits behind the newest one that are looked at: a tool that syncs is rarely further behind. */
const MAX_COMMITS = 10;

/** What a witness sees of the cluster. */
export interface WitnessView {
  canaries: () => Canary[];
  target: (canary: Canary) => KubeObject | undefined;
  config: LiveConfig;
}

/** A target, and where what it holds comes from. */
export interface Confirmed {
  target: KubeObject;
  annotations: Record<string, string>;
}

/** The revision that a target makes now; undefined while a part of it is not known. */
function liveRevision(view: WitnessView, canary: Canary, target: KubeObject): string | undefined {
  const template = podTemplateSchema.safeParse((target['spec'] as Record<string, unknown> | undefined)?.['template']).data;
  if (!template) return undefined;
  const configs: TrackedConfig[] = [];
  for (const { kind, name } of trackedReferences(canary.spec, template)) {
    const content = view.config(kind, canary.metadata.namespace ?? 'default', name);
    if (content === undefined) return undefined;
    configs.push({ kind, name, content });
  }
  return makeRevision(template, configs).name;
}

interface Question {
  canary: Canary;
  target: KubeObject;
  revision: string;
}

/** Targets of which it is not known which commit made what they hold. */
function questionsOf(view: WitnessView): Question[] {
  return view.canaries().flatMap((canary): Question[] => {
    const target = view.target(canary);
    const revision = target && liveRevision(view, canary, target);
    return target && revision && target.metadata.annotations?.[Annotations.confirmed] !== revision ? [{ canary, target, revision }] : [];
  });
}

/** The same while nothing has changed that could give another answer. */
export const openQuestions = (view: WitnessView): string => questionsOf(view).map(({ target, revision }) => `${target.metadata.uid}=${revision}`).join(' ');

/**
 * Finds the commits that made what the targets hold, whoever applied them: a commit counts only when rendering it gives exactly
 * the revision that is live. Of several that do, the oldest brought it.
 */
export async function confirm(repository: LocalRepository, source: RenderedSource, view: WitnessView, at: string): Promise<Confirmed[]> {
  const questions = questionsOf(view);
  if (questions.length === 0) return [];
  const { call, commit } = repository;
  const listed = await runGit(['rev-list', '--first-parent', `--max-count=${MAX_COMMITS}`, commit, '--'], call);
  const commits = listed.split('\n').filter(Boolean);
  const renderings = new Map<string, Promise<Rendering>>();
  const render = (sha: string): Promise<Rendering> => {
    const known = renderings.get(sha) ?? renderAll(repository, sha, [source]);
    renderings.set(sha, known);
    return known;
  };
  const confirmed: Confirmed[] = [];
  for (const { canary, target, revision } of questions) {
    const sha = await brought(commits, async (one) => revisionIn(await render(one), canary, view.config) === revision);
    if (sha === undefined) continue;
    const head = await describeCommit({ call, commit: sha });
    confirmed.push({ target, annotations: { ...newProvenance({ head, since: [], source: source.name, at }, [fileOfTarget(await render(sha), canary)]), [Annotations.confirmed]: revision } });
  }
  return confirmed;
}

/** The oldest of the newest commits in a row for which it holds. */
async function brought(commits: string[], holds: (commit: string) => Promise<boolean>): Promise<string | undefined> {
  let found: string | undefined;
  for (const commit of commits) {
    if (await holds(commit)) found = commit;
    else if (found !== undefined) break;
  }
  return found;
}

/** Writes on the targets where they come from. Nothing else of them is touched. */
export async function annotate(client: KubeClient, confirmed: Confirmed[]): Promise<void> {
  for (const { target, annotations } of confirmed) {
    const { namespace, name, resourceVersion } = target.metadata;
    const resource = target.kind === 'DaemonSet' ? Resources.DaemonSet : Resources.Deployment;
    // With the version that was looked at: what changed meanwhile is another question.
    await client.patch(resource, namespace, name, { metadata: { annotations, resourceVersion } }, 'merge', { fieldManager: FIELD_MANAGER });
  }
}
