import { canarySpec, type Canary, type Check, type GitSource, type Provenance } from '../../api/index.js';
import { conditionOf, statusOf } from '../canaries.js';

/** One side of a release in `--output json`. */
export interface SideView extends Provenance {
  revision: string;
  slot: string;
  replicas?: number;
  readyReplicas?: number;
  endpoints?: number;
}

const withoutUndefined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;

/** The newest check of each metric, in the order of the newest check. */
export function latestChecks(checks: Check[] | undefined): Check[] {
  const seen = new Set<string>();
  return (checks ?? []).filter(({ metric }) => !seen.has(metric) && seen.add(metric));
}

/** What `sluice status --output json` prints for one Canary. Field names are stable; instants are RFC 3339; weights are percent. */
export function canaryView(canary: Canary) {
  const status = statusOf(canary);
  const spec = canarySpec.safeParse(canary.spec);
  const progressing = conditionOf(status, 'Progressing');
  const stalled = conditionOf(status, 'Stalled');
  const { run, step } = status;
  return withoutUndefined({
    namespace: canary.metadata.namespace ?? '',
    name: canary.metadata.name,
    target: canary.spec?.targetRef?.name,
    phase: status.phase ?? 'Initializing',
    weight: status.canaryWeight,
    step: step && withoutUndefined({ number: step.index + 1, of: step.of, weight: step.weight, startedAt: step.startedAt }),
    stable: status.stable as SideView | undefined,
    canary: status.canary as SideView | undefined,
    nextStepTime: status.nextStepTime,
    deadline: status.deadline,
    failedChecks: status.failedChecks,
    threshold: spec.success ? spec.data.analysis.threshold : undefined,
    progress: progressing && { reason: progressing.reason, message: progressing.message },
    stalled: stalled?.status === 'True' ? { reason: stalled.reason, message: stalled.message } : undefined,
    run:
      run && withoutUndefined({ id: run.id, startedAt: run.startedAt, weights: run.weights, held: run.held, ending: run.ending }),
    checks: latestChecks(status.checks),
    conditions: status.conditions ?? [],
    history: status.history ?? [],
    quarantined: status.quarantined ?? [],
    writeBacks: status.writeBacks,
  });
}
export type CanaryView = ReturnType<typeof canaryView>;

/** The part of a GitSource that says how far it is. */
export function sourceView(source: GitSource) {
  const ready = source.status?.conditions?.find((item) => item.type === 'Ready');
  const { fetchedCommit, appliedCommit, lastSyncTime, failures } = source.status ?? {};
  return withoutUndefined({
    namespace: source.metadata.namespace ?? '',
    name: source.metadata.name,
    url: withoutPassword(source.spec.url),
    fetchedCommit,
    appliedCommit,
    lastSyncTime,
    ready: ready?.status ?? 'Unknown',
    reason: ready?.reason,
    message: ready?.message,
    failures: failures?.length ? failures : undefined,
  });
}
export type SourceView = ReturnType<typeof sourceView>;

/** An address may carry credentials; they are nobody's business. */
function withoutPassword(address: string): string {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  if (url.protocol !== 'ssh:') url.username = '';
  url.password = '';
  return url.username === '' && url.password === '' && !address.includes('@') ? address : url.toString();
}
