import type { Draft } from './draft.js';
import { progressDeadline } from './gates.js';
import { iso, ms } from './time.js';

/**
 * An autoscaler multiplies an average over all pods that its selector matches by their number. During a run those are the pods of
 * both versions, and memory per pod does not fall because there are more: constant load would ask for the pods of both, for each.
 * So with such metrics only what it asks beyond the pods it counted is growth (trap K3). What it asked and what counts of it are
 * kept until it asks for something else, or until the run is over and the number is put right. Not before: from a smaller number
 * an autoscaler grows by smaller steps, so that what is beyond would never come.
 */
export function countGrowth(draft: Draft): void {
  const { spec, status } = draft;
  const asked = spec.replicas;
  if (asked === undefined) return;
  const growth = status.growth?.asked === asked ? status.growth : grown(draft, asked);
  delete status.growth;
  if (!growth) return;
  status.growth = growth;
  if (!status.run) draft.do({ type: 'seedReplicas', replicas: growth.counted });
}

/**
 * Pods beyond the largest number of this run need time of their own to become ready, so growth has a whole deadline. Only a new
 * largest number counts: an autoscaler that goes up and down must not keep a run from its end.
 */
export function giveGrowthTime(draft: Draft): void {
  const { run, deadline } = draft.status;
  if (!run) return;
  const most = run.mostReplicas ?? draft.replicas;
  run.mostReplicas = Math.max(most, draft.replicas);
  if (draft.replicas > most && deadline !== undefined) draft.status.deadline = iso(Math.max(ms(deadline) ?? 0, ms(progressDeadline(draft)) ?? 0));
}

function grown(draft: Draft, asked: number): { asked: number; counted: number } | undefined {
  const { status, observed } = draft;
  const before = status.growth?.counted ?? status.seededReplicas ?? asked;
  if (!status.run || !observed.autoscaler?.perPod || asked <= before) return undefined;
  // As many as the last status told it.
  const matched = Math.max(before, status.replicas ?? 0);
  const forLoad = Math.min(asked, Math.ceil((observed.autoscaler.loadRatio ?? 0) * matched));
  const counted = Math.max(before + Math.max(0, asked - matched), forLoad);
  return counted === asked ? undefined : { asked, counted };
}
