import { durationMs, type CanarySpec, type CanaryStatus, type Reason, type SlotName, type SlotRecord } from '../api/index.js';
import type { RouteExtras, Weights } from './evidence.js';
import { otherSlot, SLOTS } from './names.js';
import type { Decision, DecisionEvent, DecisionInput, Effect, Needs, Observation, SlotObservation } from './observation.js';
import { cloneJson } from './per-object.js';
import { withLastingName } from './origin.js';
import { ms } from './time.js';

/**
 * Slots that an effect leads callers to. That they do is written down with the intent, not with the next look: if we die in between
 * and somebody undoes it, a drain must not be counted from before it.
 */
function led(effect: Effect): SlotName[] {
  if (effect.type === 'selectService') return effect.slots;
  return effect.type === 'setWeights' ? SLOTS.filter((slot) => effect.weights[slot] > 0) : [];
}

/** What records in caches of DNS and targets of load balancers may take, in milliseconds. */
const SLOW_SERVICE_MS = 60_000;

/**
 * One decision while it is being made. The status is a private copy; nothing outside is touched. Facts in the status come
 * from what was observed, never from the hope that an effect will succeed: so the status may be written even when an
 * effect fails, and a crash between any two effects repeats work and never skips it.
 */
export class Draft {
  readonly spec: CanarySpec;
  readonly status: CanaryStatus;
  readonly observed: Observation;
  readonly now: number;
  readonly effects: Effect[] = [];
  readonly events: DecisionEvent[] = [];
  readonly needs: Needs = { metrics: [], hooks: [] };
  /** Why the run (or the idle Canary) is where it is; the first gate that holds sets it. */
  progress?: { reason: Reason; message: string };
  /** The number of pods that this decision writes into the spec. */
  seeding?: number;
  private wakeTimes: number[] = [];

  constructor(input: DecisionInput) {
    this.spec = input.spec;
    this.status = cloneJson(input.status);
    const { desired } = input.observed;
    this.observed = desired ? { ...input.observed, desired: withLastingName(this.status, desired) } : input.observed;
    this.now = input.now;
  }

  do(...effects: Effect[]): void {
    this.effects.push(...effects);
    for (const effect of effects) for (const slot of led(effect)) delete this.record(slot).unroutedSince;
  }
  event(type: DecisionEvent['type'], reason: Reason, message: string): void {
    this.events.push({ type, reason, message });
  }
  /** Note why nothing more happens now. The first reason stays: it is the gate nearest to the user's question. */
  wait(reason: Reason, message: string): void {
    this.progress ??= { reason, message };
  }
  wakeAt(at: number | undefined): void {
    if (at !== undefined && at > this.now) this.wakeTimes.push(at);
  }

  /** Pods of the version that serves, now. */
  get replicas(): number {
    if (this.observed.nodes !== undefined) return this.observed.nodes;
    if (this.seeding !== undefined) return this.seeding;
    const { growth } = this.status;
    if (growth && growth.asked === this.spec.replicas) return growth.counted;
    return this.spec.replicas ?? this.status.seededReplicas ?? this.observed.target?.userReplicas ?? 1;
  }
  /** The last write failed. What counts from a write then counts from when it is seen: else each attempt would change the status. */
  get writesFail(): boolean {
    return this.observed.writeError !== undefined || this.observed.refused !== undefined;
  }
  get drainMs(): number {
    return durationMs(this.spec.revisions.drainFor);
  }
  /** How late callers outside the mesh learn that their Service selects other pods. */
  get serviceDrainMs(): number {
    return Math.max(this.drainMs, this.observed.service.slow ? SLOW_SERVICE_MS : 0);
  }
  /** Weights in force; before adoption nothing is. */
  get weights(): Weights | undefined {
    return this.observed.routes.weights;
  }
  /** What the routes do beside the weights. */
  get extras(): RouteExtras | undefined {
    return this.observed.routes.extras;
  }
  /** True when the routes give a slot this weight, the same everywhere, and do nothing else. */
  plainly(name: SlotName, weight: number): boolean {
    return this.weights?.[name] === weight && this.observed.routes.consistent && this.extras === undefined;
  }
  /** True when the Services for callers outside the mesh select this, or there are none that could. */
  serviceSelects(what: 'target' | 'marked' | SlotName | 'both'): boolean {
    const { selects } = this.observed.service;
    if (selects === 'slots') return what !== 'target' && what !== 'marked';
    return selects === what || selects === 'none';
  }
  slot(name: SlotName): SlotObservation {
    return this.observed.slots[name];
  }
  record(name: SlotName): SlotRecord {
    const slots = (this.status.slots ??= {});
    return (slots[name] ??= {});
  }
  get stableSlot(): SlotName {
    return this.status.stable?.slot ?? 'blue';
  }
  get freeSlot(): SlotName {
    return otherSlot(this.stableSlot);
  }
  /** True once `drainFor` has passed since nothing routes to the slot any more. */
  drained(name: SlotName): boolean {
    const since = ms(this.record(name).unroutedSince);
    if (since === undefined) return false;
    this.wakeAt(since + this.drainMs);
    return this.now >= since + this.drainMs;
  }

  finish(): Decision {
    const wakeAt = this.wakeTimes.length === 0 ? undefined : Math.min(...this.wakeTimes);
    return { status: this.status, effects: this.effects, events: this.events, ...(wakeAt === undefined ? {} : { wakeAt }) };
  }
}
