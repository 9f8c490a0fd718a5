import { canarySpec, type Canary, type CanaryStatus, type Provenance } from '../../api/index.js';
import { conditionOf, statusOf } from '../canaries.js';
import { canaryView, latestChecks } from '../status/view.js';
import { adviceFor } from './advice.js';
import { comparedOf } from './compared.js';
import type { Reading } from './read.js';
import { stepsOf } from './steps.js';
import { effectWords, needWords } from './words.js';

const UNSEEN = { reason: 'Unknown', message: 'no controller has looked at this Canary yet; is one running? (sluice controller)' };

interface Insight {
  /** What the decision itself would say of the progress. */
  progress?: { reason: string; message: string };
  desired?: Provenance & {
    revision: string;
    /** The name that its content has now, where an upgrade gave it another one than it keeps. */ hash?: string;
  };
  problems: { reason: string; message: string }[];
  wakeAt?: string;
  nextCheck: string[];
  effects: string[];
  unread?: string;
}

/** A revision keeps its name when an upgrade of the API server or of Sluice makes another one from the same content. */
function lastingName(revision: string, origin: CanaryStatus['origin']): { revision: string; hash?: string } {
  return origin?.hash === revision && origin.revision !== revision ? { revision: origin.revision, hash: revision } : { revision };
}

/** What a decision on the present state adds to the status. */
function insightOf(reading: Reading): Insight {
  if ('unread' in reading) return { problems: [], nextCheck: [], effects: [], unread: reading.unread };
  const { decision, observed, ahead } = reading;
  const problems = observed.problems.map(({ reason, message }) => ({ reason, message }));
  const desired = observed.desired && { ...lastingName(observed.desired.revision, decision.status.origin), ...observed.desired.provenance };
  const base = { problems, ...(desired ? { desired } : {}) };
  // A decision that lacks evidence says nothing else.
  if (decision.needs) return { ...base, nextCheck: needWords(decision.needs), effects: [] };
  const fresh = conditionOf(decision.status, 'Progressing');
  return {
    ...base,
    nextCheck: ahead ? needWords(ahead) : [],
    effects: decision.effects.flatMap(effectWords),
    ...(fresh ? { progress: { reason: fresh.reason, message: fresh.message } } : {}),
    ...(decision.wakeAt === undefined ? {} : { wakeAt: new Date(decision.wakeAt).toISOString() }),
  };
}

/** What `sluice explain --output json` prints. Field names are stable; instants are RFC 3339. */
export function explanationOf(canary: Canary, reading: Reading, now: number) {
  const status = statusOf(canary);
  const { namespace, name, phase, weight, stable, canary: side, progress, stalled, step, run } = canaryView(canary);
  const insight = insightOf(reading);
  // The controller knows of failed writes; nobody else does.
  const why = (progress?.reason === 'WriteFailed' ? undefined : insight.progress) ?? progress ?? UNSEEN;
  return {
    namespace,
    name,
    phase,
    weight,
    stable,
    canary: side,
    step,
    run,
    desired: insight.desired,
    why,
    stalled: stalled ?? insight.problems[0],
    problems: insight.problems,
    // A hold stops the clock of the step as well.
    nextStepTime: run?.held ? undefined : status.nextStepTime,
    overdue: !run?.held && overdue(status.nextStepTime, now),
    nextLookAt: insight.wakeAt,
    deadline: run?.held ? undefined : status.deadline,
    failedChecks: status.failedChecks,
    threshold: canarySpec.safeParse(canary.spec).data?.analysis.threshold,
    nextCheck: insight.nextCheck,
    effects: insight.effects,
    unread: insight.unread,
    steps: stepsOf(canary),
    checks: latestChecks(status.checks),
    compared: comparedOf(canary),
    commands: adviceFor(name, namespace, status, why.reason),
  };
}
export type Explanation = ReturnType<typeof explanationOf>;

/** A step that is this late has nobody who takes it, in milliseconds. */
const OVERDUE_MS = 15_000;

const overdue = (nextStepTime: string | undefined, now: number): boolean =>
  nextStepTime !== undefined && now - Date.parse(nextStepTime) > OVERDUE_MS;
