import { canaryStatus, durationMs, type CanarySpec, type CanaryStatus, type SlotName, type Verb } from '../../src/api/index.js';
import { decide } from '../../src/core/decide.js';
import type { HookAnswer, Measurement } from '../../src/core/evidence.js';
import type { ActionObservation, Decision, Effect, Needs, Observation } from '../../src/core/observation.js';
import { Auditor } from './auditor.js';
import { spec, T0 } from './builders.js';
import { History, Workload, type Routes } from './cluster.js';
import type { Version } from '../versions.js';

/** What happens to one write. */
export type Fault = 'fail' | 'conflict' | 'lostAnswer' | 'crashBefore' | 'crashAfter';
class Crash extends Error {}
class WriteFailed extends Error {}
class Conflict extends Error {}

const SLOTS: readonly SlotName[] = ['blue', 'green'];
/** A failed write is tried again, later and later. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 5_000;
/** Decisions within one second, above which the controller spins. */
const MAX_TURNS = 150;

interface Settings {
  spec?: CanarySpec;
  /** How late the controller sees pods and endpoints, and proxies the routes, in milliseconds. */
  cacheLag?: number;
  meshLag?: number;
  faults?: ReadonlyMap<number, Fault>;
}

/** One Canary in a cluster that is slow, late and unreliable in declared ways; the controller is `decide` and the engine's rules for effects. */
export class World {
  now = T0;
  spec: CanarySpec;
  status: CanaryStatus = canaryStatus.parse({});
  statusVersion = 0;
  readonly versions = new Map<string, Version>();
  readonly slots: Record<SlotName, Workload>;
  readonly target: Workload;
  readonly targetState: { userReplicas: number; overlaid: boolean; marked: number; restartedAt?: string } = { userReplicas: 2, overlaid: false, marked: 0 };
  targetExists = true;
  readonly routes: History<Routes>;
  readonly service: History<Observation['service']['selects']>;
  readonly actions: ActionObservation[] = [];
  readonly auditor: Auditor;
  desired = 'a1';
  finalizer = false;
  deleting = false;
  gone = false;
  hooksOk = true;
  metrics: 'up' | 'down' | 'nan' | 'empty' = 'up';
  configReadable = true;
  routeWritesFailUntil = 0;
  readonly #lag: { cache: number; mesh: number };
  readonly #faults: ReadonlyMap<number, Fault>;
  #failures = 0;
  #writes = 0;
  #faultsEnd = Infinity;
  #wake = T0;
  /** Lives as long as one controller process. */
  #memory: { since: { revision: string; at: number } | undefined; delivered: Set<string>; writeError: string | undefined } = { since: undefined, delivered: new Set(), writeError: undefined };

  constructor(settings: Settings = {}) {
    this.spec = settings.spec ?? spec();
    this.#lag = { cache: settings.cacheLag ?? 200, mesh: settings.meshLag ?? 4_000 };
    this.#faults = settings.faults ?? new Map();
    const behaviour = (revision: string): Version => this.versions.get(revision) ?? { startup: 2_000, errors: 0, latency: 20 };
    this.slots = { blue: new Workload(behaviour), green: new Workload(behaviour) };
    this.target = new Workload(behaviour);
    this.target.set('a1', 2, T0 - 60_000);
    this.routes = new History<Routes>(undefined, T0);
    this.service = new History<Observation['service']['selects']>('target', T0);
    this.auditor = new Auditor(this, this.#lag.mesh);
    this.auditor.appeared('a1');
  }

  get replicas(): number {
    return this.spec.replicas ?? this.status.seededReplicas ?? this.targetState.userReplicas;
  }
  get drainMs(): number {
    return durationMs(this.spec.revisions.drainFor);
  }

  commit(revision: string, version?: Version): void {
    if (version) this.versions.set(revision, version);
    if (revision === this.desired) return;
    this.desired = revision;
    this.auditor.appeared(revision);
    // The bare target has no pods once it is adopted, and rolls by itself when the Canary has given it back.
    if (this.deleting && !this.targetState.overlaid) this.target.set(revision, this.target.replicas, this.now);
    else this.target.revision = revision;
    this.wakeNow();
  }
  act(verb: Verb, revision?: string): void {
    this.actions.push({ name: `${verb}-${this.actions.length}`, verb, by: 'ada', finished: false, ...(revision ? { revision } : {}) });
    if (verb === 'retry') this.auditor.retried(revision ?? this.desired);
    this.wakeNow();
  }
  scale(replicas: number): void {
    this.spec = { ...this.spec, replicas };
    this.wakeNow();
  }
  /** The user writes another number on the target. */
  userReplicas(replicas: number): void {
    this.targetState.userReplicas = replicas;
    if (!this.targetState.overlaid) this.target.set(this.target.revision ?? '', replicas, this.now);
    this.wakeNow();
  }
  respec(over: Partial<CanarySpec>): void {
    this.spec = { ...this.spec, ...over };
    this.auditor.planChanged();
    this.wakeNow();
  }
  /** Pods that are down come back, and no write fails any more. */
  heal(): void {
    for (const workload of [this.slots.blue, this.slots.green, this.target]) for (const pod of workload.pods) pod.outages = pod.outages.map(([from]) => [from, Math.max(from, this.now)]);
    this.#faultsEnd = this.#writes;
    this.wakeNow();
  }
  outage(slot: SlotName | 'target', pods: number, forMs: number): void {
    (slot === 'target' ? this.target : this.slots[slot]).outage(pods, this.now, this.now + forMs);
  }
  outsiderSetsWeights(blue: number): void {
    if (!this.routes.now) return;
    this.routes.set({ blue, green: 100 - blue }, this.now);
    this.auditor.outsider();
    this.wakeNow();
  }
  /** `kubectl rollout restart` of the target. */
  rolloutRestart(): void {
    this.targetState.restartedAt = new Date(this.now).toISOString();
    this.wakeNow();
  }
  /** Somebody deletes an object that the Canary relies on. */
  vanish(what: 'target' | 'service' | 'routes'): void {
    if (what === 'routes') this.routes.set(undefined, this.now);
    else if (what === 'service') this.service.set('none', this.now);
    else {
      this.targetExists = false;
      this.target.set('', 0, this.now);
    }
    this.wakeNow();
  }
  restart(): void {
    this.#memory = { since: undefined, delivered: new Set(), writeError: undefined };
    this.wakeNow();
  }
  wakeNow(): void {
    this.#wake = Math.min(this.#wake, this.now);
  }
  /** The clock of everything moves on; the controller acts whenever it would. */
  pass(ms: number): void {
    const end = this.now + ms;
    let turns = 0;
    for (;;) {
      const next = Math.min(this.#wake, ...this.#changes());
      if (next > end || this.gone) break;
      turns = Math.floor(next / 1000) === Math.floor(this.now / 1000) ? turns + 1 : 0;
      if (turns > MAX_TURNS) this.auditor.fail('rest', `${turns} decisions within a second: ${JSON.stringify(this.status)}`);
      this.now = Math.max(this.now, next);
      this.#wake = Infinity;
      this.#tick();
    }
    this.now = end;
  }

  #changes(): number[] {
    const at = this.now - this.#lag.cache;
    return [this.slots.blue, this.slots.green, this.target].flatMap((workload) => workload.changes(at)).map((time) => time + this.#lag.cache);
  }

  observe(): Observation {
    const seen = this.now - this.#lag.cache;
    const slot = (name: SlotName): Observation['slots']['blue'] => {
      const workload = this.slots[name];
      const ready = workload.ready(seen);
      return {
        ...(workload.revision ? { revision: workload.revision } : {}),
        ...(workload.restartedAt ? { restartedAt: workload.restartedAt } : {}),
        ...workload.oldest(seen),
        replicas: workload.replicas,
        ready,
        endpoints: ready,
        pods: workload.alive(seen).length,
        exceeded: ready < workload.replicas && this.now - workload.progressSince > 600_000,
      };
    };
    const selects = this.service.now;
    const exists = this.targetExists;
    return {
      name: 'reviews',
      namespace: 'default',
      generation: 1,
      deleting: this.deleting,
      finalizer: this.finalizer,
      slots: { blue: slot('blue'), green: slot('green') },
      routes: { consistent: true, ...(this.routes.now ? { weights: this.routes.now } : {}) },
      service: selects ? { selects } : {},
      problems: exists && this.configReadable ? [] : [{ reason: exists ? 'ConfigUnreadable' : 'TargetNotFound', message: 'it is not there' }],
      actions: structuredClone(this.actions),
      ...(exists ? { target: { replicas: this.target.replicas, readyReplicas: this.target.ready(seen), ...this.targetState, marked: Math.min(this.targetState.marked, this.target.ready(seen)) } } : {}),
      ...(exists && this.configReadable ? { desired: this.#desired() } : {}),
      ...(this.#memory.writeError ? { writeError: this.#memory.writeError } : {}),
    };
  }

  #desired(): NonNullable<Observation['desired']> {
    if (this.#memory.since?.revision !== this.desired) this.#memory.since = { revision: this.desired, at: this.now };
    return { revision: this.desired, provenance: { commit: `${this.desired}-commit` }, since: this.#memory.since.at };
  }

  #gather(needs: Needs): Pick<Observation, 'measurements' | 'hooks'> {
    const measurements = needs.metrics.map(({ metric, from, to }) => {
      const measurement = this.#measure(metric, from, to);
      this.auditor.measured(metric, measurement);
      return { metric, measurement };
    });
    const answer: HookAnswer = { ok: this.hooksOk, message: this.hooksOk ? '200' : '403' };
    const hooks = Object.fromEntries(needs.hooks.map((hook) => [hook.name, answer]));
    return { ...(measurements.length > 0 ? { measurements } : {}), ...(needs.hooks.length > 0 ? { hooks } : {}) };
  }

  #measure(metric: string, from: number, to: number): Measurement {
    const query = `${metric}[${to - from}]`;
    if (this.metrics === 'down') return { kind: 'Error', query, message: 'connection refused', permanent: false };
    const { canary } = this.status;
    const share = canary && this.routes.now ? this.routes.now[canary.slot] : 0;
    if (this.metrics === 'empty' || to <= from || share === 0 || !canary) return { kind: 'NoData', query, message: 'no data' };
    const version = this.versions.get(canary.revision) ?? { errors: 0, latency: 20 };
    const value = this.metrics === 'nan' ? NaN : metric === 'request-duration' ? version.latency : 100 - version.errors;
    return { kind: 'Value', value, samples: ((to - from) / 1000) * share, query, from, to };
  }

  #decide(): { decision: Decision; observed: Observation } {
    let known: Pick<Observation, 'measurements' | 'hooks'> = {};
    for (let round = 0; round < 6; round += 1) {
      const observed = { ...this.observe(), ...known };
      const decision = decide({ spec: this.spec, status: this.#trimmed(), observed, now: this.now });
      if (!decision.needs) return { decision, observed };
      const found = this.#gather(decision.needs);
      known = { ...known, ...found, hooks: { ...known.hooks, ...found.hooks } };
    }
    throw new Error('the decision asked for evidence 6 times in a row');
  }

  #trimmed(): CanaryStatus {
    const messages = (this.status.messages ?? []).map((message) => ({ ...message, to: message.to.filter((receiver) => !this.#memory.delivered.has(`${message.id}>${receiver}`)) }));
    return this.status.messages ? { ...this.status, messages: messages.filter((message) => message.to.length > 0) } : this.status;
  }

  #tick(): void {
    try {
      const { decision, observed } = this.#decide();
      this.auditor.decided(decision, observed);
      // The intent first, as in the engine: whoever takes over after a crash between the two carries it out.
      const stored = this.#store(decision);
      const failed = stored !== 'lost' && this.#run(decision.effects, observed);
      if (stored === 'stored') this.#deliver();
      this.#failures = failed || stored !== 'stored' ? this.#failures + 1 : 0;
      const retry = this.#failures > 0 ? this.now + Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** this.#failures) : Infinity;
      this.#wake = Math.min(this.#wake, stored === 'lost' ? Infinity : (decision.wakeAt ?? Infinity), retry);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.restart();
      this.#wake = this.now + 1_500;
    }
    this.auditor.after();
  }

  #deliver(): void {
    for (const message of this.status.messages ?? [])
      for (const receiver of message.to) {
        const id = `${message.id}>${receiver}`;
        if (this.#memory.delivered.has(id)) continue;
        this.#memory.delivered.add(id);
        this.auditor.delivered(message);
        this.#wake = Math.min(this.#wake, this.now + 1);
      }
  }

  /** One write, with whatever is to happen to it. */
  #write(kind: Effect['type'] | 'status', carryOut: () => void): void {
    const fault = this.#writes < this.#faultsEnd ? this.#faults.get(this.#writes) : undefined;
    this.#writes += 1;
    if (fault === 'crashBefore') throw new Crash();
    if (fault === 'fail' || ((kind === 'setWeights' || kind === 'releaseRoutes') && this.now < this.routeWritesFailUntil)) throw new WriteFailed(`${kind}: 503`);
    if (fault === 'conflict') throw new Conflict();
    carryOut();
    if (fault === 'crashAfter') throw new Crash();
    if (fault === 'lostAnswer') throw new WriteFailed(`${kind}: timeout`);
  }

  #store({ status }: Decision): 'stored' | 'later' | 'lost' {
    const stored = canaryStatus.parse(JSON.parse(JSON.stringify(status)));
    if (JSON.stringify(stored) === JSON.stringify(this.status)) return 'stored';
    try {
      this.#write('status', () => {
        this.status = stored;
        this.#wake = Math.min(this.#wake, this.now + 1);
      });
      return 'stored';
    } catch (error) {
      if (error instanceof Crash) throw error;
      // Traffic leaves a bad version even while the status cannot be stored.
      return error instanceof WriteFailed && status.run?.ending ? 'later' : 'lost';
    }
  }

  /** True when one failed; those after it are left out. */
  #run(effects: Effect[], observed: Observation): boolean {
    for (const effect of effects) {
      if (!this.#isWork(effect)) continue;
      try {
        this.#write(effect.type, () => {
          this.auditor.writing(effect, observed);
          this.#carryOut(effect);
          this.#wake = Math.min(this.#wake, this.now + 1);
        });
      } catch (error) {
        if (error instanceof Crash) throw error;
        if (error instanceof WriteFailed) this.#memory.writeError = error.message;
        return true;
      }
    }
    this.#memory.writeError = undefined;
    return false;
  }

  /** False for an effect that finds its work done: it writes nothing. */
  #isWork(effect: Effect): boolean {
    switch (effect.type) {
      case 'keepRevision':
      case 'createSlotServices':
      case 'pruneRevisions':
        return false;
      case 'setWeights':
        return JSON.stringify(this.routes.now) !== JSON.stringify(effect.weights);
      case 'deleteSlots':
        return SLOTS.some((name) => this.slots[name].revision !== undefined);
      case 'markTarget':
        return this.targetState.marked < this.target.alive(this.now).length;
      case 'selectTarget':
        return this.service.now !== 'marked';
      case 'overlayTarget':
        return !this.targetState.overlaid || this.target.replicas !== 0;
      case 'scaleSlot':
        return this.slots[effect.slot].revision !== undefined;
      default:
        return true;
    }
  }

  #select(what: Observation['service']['selects']): void {
    if (this.service.now !== 'none') this.service.set(what, this.now);
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'addFinalizer':
        this.finalizer = true;
        break;
      case 'removeFinalizer':
        this.finalizer = false;
        this.gone = this.deleting;
        break;
      case 'seedReplicas':
        this.spec = { ...this.spec, replicas: effect.replicas };
        break;
      case 'fillSlot':
        this.slots[effect.slot].set(effect.revision, effect.replicas, this.now);
        this.slots[effect.slot].restartedAt = this.targetState.restartedAt;
        break;
      case 'restartSlot':
        this.slots[effect.slot].restart(effect.at, this.now);
        break;
      case 'scaleSlot':
        this.slots[effect.slot].set(this.slots[effect.slot].revision ?? '', effect.replicas, this.now);
        break;
      case 'setWeights':
        this.routes.set(effect.weights, this.now);
        break;
      case 'releaseRoutes':
        if (this.routes.now) this.routes.set(undefined, this.now);
        break;
      case 'selectService':
      case 'selectTarget':
      case 'releaseServices':
        this.#select(selected(effect));
        break;
      case 'markTarget':
        this.targetState.marked = this.target.alive(this.now).length;
        break;
      case 'overlayTarget':
        this.targetState.overlaid = true;
        this.target.set(this.desired, 0, this.now);
        break;
      case 'restoreTarget':
        this.targetState.overlaid = false;
        this.target.set(this.desired, effect.replicas, this.now);
        break;
      case 'deleteSlots':
        for (const name of SLOTS) {
          this.slots[name].set(this.slots[name].revision ?? '', 0, this.now);
          this.slots[name].revision = undefined;
        }
        break;
      case 'finishAction': {
        const action = this.actions.find((item) => item.name === effect.name);
        if (action) action.finished = true;
        this.auditor.answered(effect);
        break;
      }
      default:
        break;
    }
  }
}

function selected(effect: Extract<Effect, { type: 'selectService' | 'selectTarget' | 'releaseServices' }>): Observation['service']['selects'] {
  if (effect.type !== 'selectService') return effect.type === 'selectTarget' ? 'marked' : 'target';
  return effect.slots.length === 2 ? 'both' : effect.slots[0];
}
