import { canarySpec, canaryStatus, type CanarySpec, type CanaryStatus, type MetricSpec, type Verb, type WebhookSpec } from '../../src/api/index.js';
import { decide } from '../../src/core/decide.js';
import type { HookAnswer, Measurement, Weights, Windows } from '../../src/core/evidence.js';
import type { Decision, Effect, Observation, SlotObservation, WindowsNeed } from '../../src/core/observation.js';

/** 2030-01-01T00:00:00Z: every test starts here. */
export const T0 = Date.parse('2030-01-01T00:00:00Z');
export const at = (seconds: number): string => new Date(T0 + seconds * 1000).toISOString();

type AnalysisInput = Partial<Omit<CanarySpec['analysis'], 'metrics' | 'webhooks'>> & { metrics?: Partial<MetricSpec>[]; webhooks?: Partial<WebhookSpec>[] };

/** A valid spec with short times; `analysis` is laid over the default plan 20, 50. */
export function spec(over: Partial<Omit<CanarySpec, 'analysis' | 'revisions' | 'replicas' | 'service'>> & { replicas?: number | undefined; service?: Partial<CanarySpec['service']>; analysis?: AnalysisInput; revisions?: Partial<CanarySpec['revisions']> } = {}): CanarySpec {
  const { analysis, revisions, service, ...rest } = over;
  const ownPlan = analysis?.steps || analysis?.stepWeight || analysis?.stepWeights;
  return canarySpec.parse({
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
    service: { port: 9080, ...service },
    progressDeadlineSeconds: 60,
    replicas: 2,
    analysis: { interval: '10s', threshold: 2, ...(ownPlan ? {} : { stepWeights: [20, 50] }), warmup: '0s', metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }], alerts: [{ name: 'all', providerRef: { name: 'chat' } }], ...analysis },
    revisions: { drainFor: '5s', warmFor: '60s', settle: '1s', ...revisions },
    ...rest,
  });
}

export const emptySlot = (): SlotObservation => ({ replicas: 0, ready: 0, endpoints: 0, pods: 0, exceeded: false });
/** A slot that holds `revision` with `ready` of `replicas` pods ready. */
export const slotWith = (revision: string, replicas: number, ready = replicas, more: Partial<SlotObservation> = {}): SlotObservation => ({
  revision,
  replicas,
  ready,
  endpoints: ready,
  pods: replicas,
  exceeded: false,
  ...more,
});
export const blue = (weight: number): Weights => ({ blue: weight, green: 100 - weight });

export const goodMetrics: NonNullable<Observation['measurements']> = [
  { metric: 'request-success-rate', measurement: { kind: 'Value', value: 100, samples: 500, query: 'q', from: 0, to: 1 } },
  { metric: 'request-duration', measurement: { kind: 'Value', value: 20, samples: 500, query: 'q', from: 0, to: 1 } },
];
export const badMetrics: NonNullable<Observation['measurements']> = [
  { metric: 'request-success-rate', measurement: { kind: 'Value', value: 93.1, samples: 412, query: 'q', from: 0, to: 1 } },
];

/** An adopted Canary at rest, and what one decision makes of it. Change it with the methods; `decide` stores the new status. */
export class Situation {
  spec: CanarySpec;
  status: CanaryStatus;
  observed: Observation;
  now = T0;
  last: Decision | undefined;
  /** Answers to measurements and webhooks, given when a decision asks for them. */
  metrics = goodMetrics;
  hooks: Record<string, HookAnswer> = {};
  /** What both versions were asked, when a decision wants to compare them. */
  windows: (need: WindowsNeed) => Windows = () => ({ kind: 'NoData', query: 'q', message: 'no window is complete yet' });
  /** What the last decision asked for, over all its rounds. */
  asked: { metrics: { metric: string; from: number; to: number }[]; hooks: string[]; windows: WindowsNeed[] } = { metrics: [], hooks: [], windows: [] };

  constructor(ofSpec: CanarySpec = spec()) {
    this.spec = ofSpec;
    this.status = canaryStatus.parse({
      phase: 'Initialized',
      adoptedAt: at(-100),
      stable: { revision: 'a1', slot: 'blue' },
      knownGood: ['a1'],
      seededReplicas: 2,
      targetReplicas: 2,
      slots: { blue: { revision: 'a1', readySince: at(-100) }, green: { unroutedSince: at(-100) } },
    });
    this.observed = {
      name: 'reviews',
      namespace: 'default',
      generation: 1,
      deleting: false,
      finalizer: true,
      target: { replicas: 0, readyReplicas: 0, overlaid: true, userReplicas: 2 },
      desired: { revision: 'a1', provenance: {}, since: T0 - 60_000 },
      slots: { blue: slotWith('a1', 2), green: emptySlot() },
      routes: { weights: blue(100), consistent: true },
      service: { selects: 'blue' },
      problems: [],
      actions: [],
    };
  }

  /** Git wants another revision since a while. */
  wants(revision: string, more: Partial<NonNullable<Observation['desired']>> = {}): this {
    this.observed.desired = { revision, provenance: { commit: `${revision}commit` }, since: this.now - 60_000, ...more };
    return this;
  }
  green(slot: SlotObservation): this {
    this.observed.slots.green = slot;
    return this;
  }
  blue(slot: SlotObservation): this {
    this.observed.slots.blue = slot;
    return this;
  }
  weights(weightOfBlue: number): this {
    this.observed.routes = { weights: blue(weightOfBlue), consistent: true };
    return this;
  }
  selects(selects: Observation['service']['selects']): this {
    this.observed.service = selects ? { selects } : {};
    return this;
  }
  /** What the plan, and anything else of the spec, says from now on. */
  with(over: Parameters<typeof spec>[0]): this {
    this.spec = spec(over);
    return this;
  }
  /** Somebody else changes what the cluster shows. */
  sees(over: Partial<Observation>): this {
    this.observed = { ...this.observed, ...over };
    return this;
  }
  /** The cluster carries out what was decided; pods are ready at once. */
  settle(): this {
    for (const effect of this.decision.effects) {
      if (effect.type === 'setWeights') this.observed.routes = { weights: effect.weights, consistent: true };
      else if (effect.type === 'selectService') this.selects(effect.slots.length === 2 ? 'both' : effect.slots[0]);
      else if (effect.type === 'fillSlot') this.observed.slots[effect.slot] = slotWith(effect.revision, effect.replicas);
      else if (effect.type === 'scaleSlot') this.observed.slots[effect.slot] = slotWith(this.observed.slots[effect.slot].revision ?? '', effect.replicas);
      else if (effect.type === 'finishAction') this.observed.actions = this.observed.actions.filter((action) => action.name !== effect.name);
    }
    return this;
  }
  /** Decide, let the cluster carry it out, and again, until nothing changes; then time passes. */
  pass(seconds: number): this {
    const end = this.now + seconds * 1000;
    for (;;) {
      for (let turn = 0; turn < 5; turn += 1) this.decide().settle();
      const next = this.decision.wakeAt ?? Infinity;
      if (next > end) break;
      this.now = next;
    }
    this.now = end;
    return this.decide();
  }
  act(verb: Verb, more: Partial<Observation['actions'][number]> = {}): this {
    this.observed.actions = [...this.observed.actions, { name: `${verb}-${this.observed.actions.length}`, verb, by: 'ada', finished: false, ...more }];
    return this;
  }
  answers(measurement: Measurement, metric = 'request-success-rate'): this {
    this.metrics = [{ metric, measurement }];
    return this;
  }
  /** A run of b2 that is at `weight` since `seconds` ago. */
  running(weight = 20, seconds = 0): this {
    this.wants('b2').green(slotWith('b2', 2)).decide();
    if (!this.status.step) throw new Error(`the run did not reach its first step: ${this.progress.message}`);
    this.weights(100 - weight);
    this.status.step.weight = weight;
    this.decide();
    return this.later(seconds);
  }
  later(seconds: number): this {
    this.now += seconds * 1000;
    return this;
  }

  /** Decide, answer what is asked, and keep the status. */
  decide(): this {
    this.asked = { metrics: [], hooks: [], windows: [] };
    delete this.observed.measurements;
    delete this.observed.windows;
    delete this.observed.hooks;
    const answers: Record<string, HookAnswer> = {};
    for (let round = 0; round < 6; round += 1) {
      this.last = decide({ spec: this.spec, status: this.status, observed: this.observed, now: this.now });
      const { needs } = this.last;
      if (!needs) break;
      this.asked.metrics.push(...needs.metrics);
      this.asked.hooks.push(...needs.hooks.map((hook) => hook.name));
      this.asked.windows.push(...(needs.windows ?? []));
      if (needs.windows) this.observed.windows = needs.windows.map((need) => ({ metric: need.metric, of: need.of, windows: this.windows(need) }));
      if (needs.metrics.length > 0) this.observed.measurements = this.metrics;
      for (const { name } of needs.hooks) answers[name] = this.hooks[name] ?? { ok: true, message: '200' };
      if (needs.hooks.length > 0) this.observed.hooks = answers;
    }
    if (this.last?.needs) throw new Error('the decision never had enough evidence');
    this.status = this.decision.status;
    return this;
  }

  get decision(): Decision {
    if (!this.last) throw new Error('nothing was decided yet');
    return this.last;
  }
  effects<T extends Effect['type']>(type: T): Extract<Effect, { type: T }>[] {
    return this.decision.effects.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type);
  }
  get written(): Weights | undefined {
    return this.effects('setWeights').at(-1)?.weights;
  }
  get progress(): { reason: string; message: string } {
    const found = this.condition('Progressing');
    return { reason: found.reason, message: found.message };
  }
  condition(type: string): { status: string; reason: string; message: string } {
    const found = this.status.conditions?.find((item) => item.type === type);
    if (!found) throw new Error(`there is no condition ${type}`);
    return found;
  }
  get wakesIn(): number | undefined {
    return this.decision.wakeAt === undefined ? undefined : (this.decision.wakeAt - this.now) / 1000;
  }
  /** What was said in Kubernetes Events by the last decision. */
  get said(): string[] {
    return this.decision.events.map(({ reason, message }) => `${reason}: ${message}`);
  }
  /** How the last run ended. */
  get ended(): string | undefined {
    const last = this.status.history?.[0];
    return last && `${last.result} ${last.reason}`;
  }
}
