import type { Canary } from '../api/index.js';
import type { Problem } from '../core/evidence.js';
import { scaledObjectProblems } from './autoscaler.js';
import { Index } from './cache.js';
import { referenceProblems, type EvidenceOptions } from './evidence.js';
import { targetOf } from './workloads.js';

/** What a person must fix before this Canary can do its work; shown as the condition `Stalled`. */
export function problemsOf(options: EvidenceOptions, canary: Canary): Problem[] {
  const { cache } = options;
  const { namespace, name } = canary.metadata;
  const { kind, name: target } = canary.spec.targetRef;
  const problems = referenceProblems(options, canary);
  if (!targetOf(cache, canary))
    problems.push({ reason: 'TargetNotFound', message: `${kind} ${namespace}/${target} does not exist; create it or correct spec.targetRef of Canary ${name}` });
  const older = cache.canaries.byIndex(Index.target, `${namespace}/${target}`).find((other) => other.metadata.name !== name && isOlder(other, canary));
  if (older) problems.push({ reason: 'TargetClaimed', message: `${kind} ${target} already belongs to Canary ${older.metadata.name}; delete one of the two, or correct spec.targetRef` });
  problems.push(...scaledObjectProblems(cache, canary));
  return problems;
}

function isOlder(a: Canary, b: Canary): boolean {
  const [x, y] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return x === y ? a.metadata.name < b.metadata.name : x < y;
}
