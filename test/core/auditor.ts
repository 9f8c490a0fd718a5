import type { CanaryMessage, HistoryEntry, SlotName } from '../../src/api/index.js';
import { decide } from '../../src/core/decide.js';
import type { Measurement, Weights } from '../../src/core/evidence.js';
import type { Decision, Effect, Observation } from '../../src/core/observation.js';
import { compilePlan } from '../../src/core/plan.js';
import type { World } from './world.js';

const SLOTS: readonly SlotName[] = ['blue', 'green'];
const ENDINGS = new Set(['Succeeded', 'Failed', 'Superseded', 'Cancelled']);
const other = (slot: SlotName): SlotName => (slot === 'blue' ? 'green' : 'blue');
const MAX_STATUS_BYTES = 32 * 1024;

interface Raise {
  run: string;
  weight: number;
  at: number;
}

/**
 * Somebody who sees every write, every measurement and every message, and knows the nine truths of the design. It reads the
 * status only to learn which run a write belongs to.
 */
export class Auditor {
  readonly timeline: string[] = [];
  readonly endings = new Map<string, string>();
  readonly started = new Map<string, string>();
  readonly #appearances = new Map<string, number>();
  readonly #seenMessages = new Set<string>();
  readonly #answers: Extract<Effect, { type: 'finishAction' }>[] = [];
  #raises: Raise[] = [];
  #goodSince = new Map<string, number>();
  readonly #editedRuns = new Set<string>();
  readonly #aloneRuns = new Set<string>();
  #foreignWeights = false;
  #lastLine = '';

  constructor(
    private readonly world: World,
    private readonly lag: number,
  ) {}

  fail(truth: string, what: string): never {
    const seconds = (this.world.now - Date.parse('2030-01-01T00:00:00Z')) / 1000;
    throw new Error(`${truth} is broken at ${seconds} s: ${what}\n${this.timeline.slice(-40).join('\n')}`);
  }
  note(line: string): void {
    const seconds = ((this.world.now - Date.parse('2030-01-01T00:00:00Z')) / 1000).toFixed(1).padStart(7);
    if (line !== this.#lastLine) this.timeline.push(`${seconds}  ${line}`);
    this.#lastLine = line;
  }

  /** Weights given so far say nothing about another plan. */
  planChanged(): void {
    this.#editedRuns.add(this.world.status.run?.id ?? '');
  }
  appeared(revision: string): void {
    this.#appearances.set(revision, (this.#appearances.get(revision) ?? 0) + 1);
    this.note(`commit ${revision}`);
  }
  retried(revision: string): void {
    this.#appearances.set(revision, (this.#appearances.get(revision) ?? 0) + 1);
  }
  outsider(): void {
    this.#foreignWeights = true;
    this.note('somebody else set the weights');
  }
  answered(effect: Extract<Effect, { type: 'finishAction' }>): void {
    this.#answers.push(effect);
    this.note(`action ${effect.name}: ${effect.result} ${effect.message}`);
  }
  measured(metric: string, measurement: Measurement): void {
    const good = measurement.kind === 'Value' && (metric === 'request-duration' ? measurement.value <= 500 : measurement.value >= 99);
    if (good) this.#goodSince.set(metric, this.world.now);
  }

  delivered(message: CanaryMessage): void {
    if (this.#seenMessages.has(message.id)) return;
    this.#seenMessages.add(message.id);
    const run = message.id.split('/').at(-2) ?? '';
    if (message.event === 'Started') {
      const revision = message.revision ?? '';
      if ([...this.started.values()].filter((item) => item === revision).length >= (this.#appearances.get(revision) ?? 0))
        this.fail('truth 5', `revision ${revision} started more often than it appeared`);
      this.started.set(run, revision);
    }
    if (!ENDINGS.has(message.event)) return;
    if (this.endings.has(run)) this.fail('truth 7', `run ${run} ended as ${this.endings.get(run)} and as ${message.event}`);
    this.endings.set(run, message.event);
    if (message.event === 'Succeeded') this.#promoted(message.revision ?? '', run);
  }

  /** Truths 4 and 9: a promoted revision had every weight of the plan, unless a person or its past excused it. */
  #promoted(revision: string, run: string): void {
    const entry = this.world.status.history?.find((item: HistoryEntry) => item.run === run);
    if (entry?.reason !== 'Promoted' || this.#editedRuns.has(run) || this.#aloneRuns.has(run)) return;
    const had = this.#raises.filter((raise) => raise.run === run).map((raise) => raise.weight);
    const missing = compilePlan(this.world.spec.analysis).filter((step) => !had.includes(step.weight));
    if (missing.length > 0) this.fail('truth 4', `${revision} was promoted without ${missing.map((step) => step.weight).join(', ')} %; it had ${had.join(', ')}`);
  }

  decided(decision: Decision, observed: Observation): void {
    const { status } = decision;
    const bytes = Buffer.byteLength(JSON.stringify(status));
    if (bytes > MAX_STATUS_BYTES) this.fail('the status', `has ${bytes} bytes`);
    // An unchanged world gives an unchanged status: a few further decisions settle it.
    const again = (from: Decision): Decision => decide({ spec: this.world.spec, status: from.status, observed, now: this.world.now });
    let last = decision;
    for (let round = 0; round < 5; round += 1) {
      const next = again(last);
      if (next.needs || JSON.stringify(next.status) === JSON.stringify(last.status)) return;
      last = next;
    }
    this.fail('idempotence', `the status never settles: ${JSON.stringify(last.status)}\n${JSON.stringify(again(last).status)}`);
  }

  after(): void {
    const { status, routes } = this.world;
    const progress = status.conditions?.find((item) => item.type === 'Progressing');
    const weights = routes.now ? `${routes.now.blue}/${routes.now.green}` : '-';
    this.note(`${(status.phase ?? '-').padEnd(16)} ${weights.padEnd(7)} ${progress?.reason ?? ''}`);
  }

  /** Called before each write is carried out, with what the controller saw when it decided. */
  writing(effect: Effect, observed: Observation): void {
    if (effect.type === 'setWeights') this.#weights(effect, observed);
    if (effect.type === 'scaleSlot' || effect.type === 'fillSlot') this.#pods(effect);
    if (effect.type === 'restartSlot') this.#restarted(effect);
    if (effect.type === 'selectService') this.#selection(effect.slots, observed);
    if (effect.type === 'overlayTarget') this.#targetEmptied();
    if (effect.type === 'releaseRoutes' && this.world.routes.now && this.world.targetExists && this.world.replicas > 0 && observed.target?.readyReplicas === 0)
      this.fail('truth 1', 'routes were given back to a target without ready pods');
    if (effect.type === 'deleteSlots') this.#deleted();
    if (effect.type === 'fillSlot' || effect.type === 'scaleSlot') this.note(`${effect.type} ${effect.slot} ${effect.type === 'fillSlot' ? effect.revision : ''} ${effect.replicas}`);
    else if (effect.type === 'setWeights') this.note(`setWeights ${effect.weights.blue}/${effect.weights.green}`);
    else if (effect.type === 'selectService') this.note(`selectService ${effect.slots.join('+')}`);
    else if (effect.type !== 'finishAction' && effect.type !== 'restartSlot') this.note(effect.type);
  }

  #weights({ weights }: Extract<Effect, { type: 'setWeights' }>, observed: Observation): void {
    if (weights.blue + weights.green !== 100 || SLOTS.some((slot) => weights[slot] < 0 || weights[slot] > 100 || !Number.isInteger(weights[slot]))) this.fail('truth 2', JSON.stringify(weights));
    const before = this.world.routes.now;
    for (const slot of SLOTS) {
      const seen = observed.slots[slot];
      if (weights[slot] > 0 && seen.endpoints === 0) this.fail('truth 1', `${slot} gets ${weights[slot]} % without a ready endpoint`);
      const rises = weights[slot] > (before?.[slot] ?? 0);
      const need = Math.ceil((this.world.replicas * weights[slot]) / 100);
      // When the other side serves nobody, what there is must do.
      if (rises && seen.ready < need && observed.slots[other(slot)].endpoints > 0) this.fail('truth 3', `${slot} rises to ${weights[slot]} % with ${seen.ready} of ${need} ready pods`);
    }
    this.#progress(weights, observed);
  }

  /** Whether these weights carry a run on, or only answer to what pods and outsiders did. */
  #progress(weights: Weights, observed: Observation): void {
    const { run, canary } = this.world.status;
    if (!run || !canary) return;
    const mine = weights[canary.slot];
    const alone = observed.slots[other(canary.slot)].endpoints === 0;
    const before = this.world.routes.now?.[canary.slot] ?? 0;
    // With nobody else ready, the canary has everything at every step.
    if (alone && mine === 100) this.#aloneRuns.add(run.id);
    // What somebody else had given may have been more than the step gives.
    const given = mine > before || (mine > 0 && this.#foreignWeights);
    if (given && !alone && (mine < 100 || !this.#foreignWeights)) this.#raised(run.id, mine);
    this.#foreignWeights = false;
  }

  /** Truths 6 and 9: no step early, none skipped, none without evidence. */
  #raised(run: string, weight: number): void {
    const { now, status, spec } = this.world;
    const mine = this.#raises.filter((raise) => raise.run === run);
    const highest = mine.reduce((best, raise) => (raise.weight > best.weight ? raise : best), { run, weight: 0, at: 0 });
    this.#raises.push({ run, weight, at: now });
    if (weight <= highest.weight || status.run?.skipAnalysis || status.run?.promote || status.run?.ending) return;
    const plan = compilePlan(spec.analysis);
    const next = plan.find((step) => step.weight > highest.weight)?.weight ?? 100;
    if (!this.#editedRuns.has(run) && weight !== next) this.fail('truth 6', `after ${highest.weight} % comes ${next} %, not ${weight} %`);
    if (highest.weight > 0) this.#earned(highest, weight);
  }

  #earned(last: Raise, weight: number): void {
    const { now, spec } = this.world;
    const hold = compilePlan(spec.analysis).find((step) => step.weight === last.weight)?.holdMs ?? 10_000;
    if (now - last.at < hold) this.fail('truth 6', `${last.weight} % was held ${now - last.at} ms, not ${hold}`);
    const judged = spec.analysis.metrics.filter((metric) => metric.onNoData === 'wait' && metric.name !== 'request-duration');
    for (const { name } of judged) if ((this.#goodSince.get(name) ?? 0) < last.at) this.fail('truth 9', `${weight} % was given without a good ${name} at ${last.weight} %`);
  }

  #routedWithinLag(slot: SlotName): boolean {
    const { routes, service, now } = this.world;
    const byMesh = routes.within(now, this.lag).some((weights) => (weights?.[slot] ?? 0) > 0);
    return byMesh || service.within(now, this.lag).some((selects) => selects === slot || selects === 'both');
  }

  #pods(effect: Extract<Effect, { type: 'scaleSlot' | 'fillSlot' }>): void {
    const slot = this.world.slots[effect.slot];
    const running = slot.alive(this.world.now).length;
    const replaces = effect.type === 'fillSlot' && slot.revision !== undefined && (slot.revision !== effect.revision || this.#routedWithinLag(effect.slot));
    if (replaces && running > 0) this.fail('truth 4', `slot ${effect.slot} takes ${effect.revision} while it runs ${running} pods of ${slot.revision}`);
    // A number that the user asked for, 0 included, is their own decision.
    if (effect.replicas < running && effect.replicas < this.world.replicas && this.#routedWithinLag(effect.slot)) this.fail('truth 1', `slot ${effect.slot} is scaled to ${effect.replicas} while callers may reach it`);
  }

  /** Truth 4: pods that are being judged are not replaced meanwhile. */
  #restarted({ slot }: Extract<Effect, { type: 'restartSlot' }>): void {
    const { status } = this.world;
    this.note(`restartSlot ${slot}`);
    if (status.run || slot !== status.stable?.slot) this.fail('truth 4', `the pods of slot ${slot} are replaced`);
  }

  #selection(slots: SlotName[], observed: Observation): void {
    const somebody = SLOTS.some((slot) => observed.slots[slot].endpoints > 0);
    if (somebody && slots.every((slot) => observed.slots[slot].endpoints === 0)) this.fail('truth 1', `callers outside the mesh are led to ${slots.join('+')}, where no pod is ready`);
    if (slots.length === 2) return;
    // Nobody who has not been analysed to the end gets the callers that weights cannot divide.
    const { run, canary } = this.world.status;
    const [only] = slots;
    if (run && !run.ending && canary && only === canary.slot && this.world.routes.now?.[only] !== 100) this.fail('truth 4', 'callers outside the mesh are led to an unanalysed revision');
  }

  #targetEmptied(): void {
    if (this.world.target.replicas === 0) return;
    const { routes, service, now } = this.world;
    if (routes.within(now, this.lag).some((weights) => weights === undefined)) this.fail('truth 1', 'the target is scaled to 0 while proxies may not know the slots yet');
    if (service.within(now, this.lag).some((selects) => selects === 'target' || selects === undefined)) this.fail('truth 1', 'the target is scaled to 0 while its Service may still select it');
  }

  #deleted(): void {
    const { routes, service, now, targetExists } = this.world;
    if (!targetExists || this.world.replicas === 0) return;
    if (routes.within(now, this.lag).some((weights) => weights !== undefined)) this.fail('truth 1', 'the slots are deleted while proxies may still send to them');
    // The user's labels select the slots' pods too, so only the mark tells the target's own pods apart.
    const harmless = this.world.targetExists ? ['marked', 'none'] : ['marked', 'none', 'target'];
    const called = SLOTS.some((name) => this.world.slots[name].alive(now).length > 0) && service.within(now, this.lag).some((selects) => !harmless.includes(selects ?? ''));
    if (called) this.fail('truth 1', 'the slots are deleted while the Service may still select them');
    if (service.now === 'marked' && this.world.targetExists && this.world.targetState.marked === 0) this.fail('truth 1', 'the Service selects marked pods, and there are none');
  }

  /** What must be so once nothing moves any more. */
  atRest(): void {
    const { status, slots, routes, service, desired, replicas } = this.world;
    const stable = status.stable;
    if (status.run || !stable) this.fail('liveness', `the run did not end: ${JSON.stringify(status)}`);
    const quarantined = status.quarantined?.some((item) => item.revision === desired) ?? false;
    if (desired !== stable.revision && !quarantined && replicas > 0) this.fail('truth 5', `${desired} is neither stable nor quarantined`);
    if (routes.now?.[stable.slot] !== 100 || service.now !== stable.slot) this.fail('liveness', `routes ${JSON.stringify(routes.now)}, service ${service.now}, but ${stable.slot} is stable`);
    if (slots[stable.slot].replicas !== replicas || slots[stable.slot].revision !== stable.revision) this.fail('liveness', `the stable slot holds ${slots[stable.slot].revision} with ${slots[stable.slot].replicas} pods`);
    if (slots[other(stable.slot)].replicas !== 0) this.fail('liveness', 'the other slot still runs pods');
    if (this.world.target.replicas !== 0) this.fail('liveness', 'the target runs pods');
    for (const run of this.started.keys()) if (!this.endings.has(run)) this.fail('truth 7', `run ${run} was started and never ended`);
    if (this.world.actions.some((action) => !action.finished)) this.fail('liveness', 'an action was never answered');
  }
}
