import { canaryStatus, type CanarySpec, type CanaryStatus, type RunResult, type WebhookSpec } from '../api/index.js';
import { decide } from '../core/decide.js';
import type { HookAnswer, Measurement, RouteExtras } from '../core/evidence.js';
import type { Decision, Effect, Needs, Observation, SlotObservation } from '../core/observation.js';
import { hasControl } from '../core/names.js';
import { iso } from '../core/time.js';

/** What is asked of whoever plays the traffic. */
export interface Question {
  /** Unix milliseconds of the simulated clock. */
  now: number;
  needs: Needs;
}
export interface Answer {
  measurements: { metric: string; measurement: Measurement }[];
  windows: NonNullable<Observation['windows']>;
}

/** The routes were changed: percent for the canary, and what they do beside it. */
export type Routed = (at: number, weight: number, extras: Partial<RouteExtras>) => void;

/** How a release went. */
export interface Ended {
  result: RunResult | 'NotEnded';
  reason: string;
  message: string;
  /** Milliseconds from the begin to the decision, which for a promotion is when all traffic moves. */
  decidedAfter: number;
  /** Milliseconds from the begin until everything is where it belongs. */
  endedAfter: number;
  weights: number[];
}

/** Pods of either slot: their number does not matter where they are ready at once. */
const PODS = 2;
const STABLE = 'stable';
const CANARY = 'canary';
/** No release takes longer: what has not ended by then waits for somebody. */
const LONGEST_MS = 14 * 86_400_000;
/** Decisions at one instant, until nothing changes any more. */
const MOST_TURNS = 12;

const slotWith = (revision: string, replicas: number): SlotObservation => ({ revision, replicas, ready: replicas, endpoints: replicas, pods: replicas, exceeded: false });
const empty = (): SlotObservation => ({ replicas: 0, ready: 0, endpoints: 0, pods: 0, exceeded: false });

/** A spec as it can be played: nobody keeps it from starting. */
export const playable = (spec: CanarySpec): CanarySpec => ({ ...spec, suspend: false, replicas: PODS });

function atRest(begin: number): CanaryStatus {
  const before = iso(begin - 3_600_000);
  return canaryStatus.parse({
    phase: 'Initialized',
    adoptedAt: before,
    stable: { revision: STABLE, slot: 'blue' },
    knownGood: [STABLE],
    seededReplicas: PODS,
    targetReplicas: PODS,
    slots: { blue: { revision: STABLE, readySince: before }, green: { unroutedSince: before } },
  });
}

function cluster(begin: number): Observation {
  return {
    name: CANARY,
    namespace: 'default',
    generation: 1,
    deleting: false,
    finalizer: true,
    target: { replicas: 0, readyReplicas: 0, overlaid: true, userReplicas: PODS },
    desired: { revision: CANARY, provenance: {}, since: begin - 3_600_000 },
    slots: { blue: slotWith(STABLE, PODS), green: empty() },
    routes: { weights: { blue: 100, green: 0 }, consistent: true },
    service: { selects: 'blue' },
    problems: [],
    actions: [],
  };
}

/** Hooks agree, and none wants the release taken back. */
const agreeing = (hooks: readonly WebhookSpec[]): Record<string, HookAnswer> =>
  Object.fromEntries(hooks.map(({ name, type }) => [name, { ok: type !== 'rollback', message: 'not asked in a simulation' }]));

/**
 * One release in a cluster without faults: pods are ready at once, routes in force as soon as they are written, people approve and
 * webhooks agree. What is decided is what the controller would decide.
 */
export class PlayedRelease {
  status: CanaryStatus;
  readonly observed: Observation;
  #hooks: WebhookSpec[] = [];

  constructor(
    readonly spec: CanarySpec,
    readonly begin: number,
    private readonly routed: Routed,
  ) {
    this.status = atRest(begin);
    this.observed = cluster(begin);
  }

  /** Plays to the end. What is asked has to be answered; the answer may take its time. */
  *play(): Generator<Question, Ended, Answer> {
    let promotedAt: number | undefined;
    for (let now = this.begin; ; ) {
      const wakeAt = yield* this.settle(now);
      if (this.status.phase === 'Promoting' || this.status.phase === 'Finalising') promotedAt ??= now;
      const [last] = this.status.history ?? [];
      if (last) return this.#ended(last, last.result === 'Succeeded' ? (promotedAt ?? now) : now, now);
      if (wakeAt === undefined || wakeAt - this.begin > LONGEST_MS) return this.#stuck(now);
      now = wakeAt;
    }
  }

  /** Decide and carry out, until nothing changes any more at this instant; returns when to look again. */
  *settle(now: number): Generator<Question, number | undefined, Answer> {
    let decision: Decision | undefined;
    for (let turn = 0; turn < MOST_TURNS; turn += 1) {
      decision = yield* this.#decide(now);
      const changed = decision.effects.map((effect) => this.#apply(effect, now));
      if (!changed.includes(true) && !this.#approve()) break;
    }
    return decision?.wakeAt;
  }

  /** Whatever was decided of the step in force, this one comes now. */
  enterStep(index: number, weight: number): void {
    const { status } = this;
    if (!status.step || status.run?.ending) return;
    status.step = { index, of: status.step.of, weight };
    delete status.nextStepTime;
    delete status.iterations;
  }

  *#decide(now: number): Generator<Question, Decision, Answer> {
    delete this.observed.measurements;
    delete this.observed.windows;
    delete this.observed.hooks;
    this.#hooks = [];
    for (;;) {
      const decision = decide({ spec: this.spec, status: this.status, observed: this.observed, now });
      const { needs } = decision;
      if (!needs) {
        this.status = decision.status;
        return decision;
      }
      yield* this.#ask(now, needs);
    }
  }

  *#ask(now: number, needs: Needs): Generator<Question, void, Answer> {
    if (needs.hooks.length > 0) this.observed.hooks = agreeing((this.#hooks = [...this.#hooks, ...needs.hooks]));
    if (needs.metrics.length === 0 && !needs.windows) return;
    const { measurements, windows } = yield { now, needs };
    if (needs.metrics.length > 0) this.observed.measurements = measurements;
    if (needs.windows) this.observed.windows = windows;
  }

  #ended({ result, reason, message, weights }: NonNullable<CanaryStatus['history']>[number], decidedAt: number, now: number): Ended {
    return { result, reason, message, weights, decidedAfter: decidedAt - this.begin, endedAfter: now - this.begin };
  }

  #stuck(now: number): Ended {
    const progress = this.status.conditions?.find(({ type }) => type === 'Progressing');
    return { result: 'NotEnded', reason: progress?.reason ?? 'Unknown', message: progress?.message ?? '', weights: this.status.run?.weights ?? [], decidedAfter: now - this.begin, endedAfter: now - this.begin };
  }

  /** Somebody approves what waits for it. */
  #approve(): boolean {
    const waits = this.status.conditions?.find(({ type }) => type === 'Progressing')?.reason === 'WaitingForApproval';
    if (!waits || this.observed.actions.length > 0) return false;
    this.observed.actions = [{ name: `approve-${this.status.step?.index ?? 0}`, verb: 'approve', by: 'simulation', finished: false }];
    return true;
  }

  /** True when the cluster is another one than before. */
  #apply(effect: Effect, now: number): boolean {
    const { observed } = this;
    switch (effect.type) {
      case 'setWeights':
        observed.routes = { weights: effect.weights, ...(effect.extras ? { extras: effect.extras } : {}), consistent: true };
        this.routed(now, effect.weights[this.status.canary?.slot ?? 'green'], effect.extras ?? {});
        return true;
      case 'selectService':
        observed.service = { selects: effect.slots.length === 2 ? 'both' : (effect.slots[0] ?? 'none') };
        return true;
      case 'fillSlot':
        observed.slots[effect.slot] = this.#withControl(slotWith(effect.revision, effect.replicas));
        return true;
      case 'scaleSlot': {
        const { revision = '' } = observed.slots[effect.slot];
        observed.slots[effect.slot] = this.#withControl(slotWith(revision, effect.replicas));
        return true;
      }
      case 'createSlotServices':
        return this.#createControl();
      case 'finishAction':
        observed.actions = [];
        return true;
      default:
        return false;
    }
  }

  #createControl(): boolean {
    if (!hasControl(this.spec) || this.observed.slots.blue.control) return false;
    for (const slot of ['blue', 'green'] as const) this.observed.slots[slot] = this.#withControl(this.observed.slots[slot]);
    return true;
  }

  #withControl(slot: SlotObservation): SlotObservation {
    return hasControl(this.spec) ? { ...slot, control: { endpoints: slot.endpoints } } : slot;
  }
}
