import { isDeepStrictEqual } from 'node:util';
import { canarySpec, canaryStatus, SluiceResources, type Canary, type CanaryStatus } from '../api/index.js';
import { decide } from '../core/decide.js';
import type { Problem } from '../core/evidence.js';
import { followsRoutes, isOfTraffic, outdated } from '../core/outdated.js';
import { perObject } from '../core/per-object.js';
import type { Decision, Effect, Needs, Observation } from '../core/observation.js';
import { isConflict, isNotFound, type EventRecorder } from '../kube/index.js';
import { apply, type ApplyContext } from './apply.js';
import type { Cache } from './cache.js';
import { isCosmetic, isEvidence, withFresh, type FreshEvidence } from './cosmetic.js';
import { Terminal, Waiting } from './errors.js';
import { countedMetrics, gather, type EvidenceOptions } from './evidence.js';
import type { Fence } from './fence.js';
import { lastWrite, observe, observeTraffic, withoutDelivered, type Gathered } from './observe.js';
import { removeLeftovers } from './leftovers.js';
import type { Outbox } from './outbox.js';
import type { Router } from './ports.js';
import type { Turn } from './queue.js';
import { problemsOf } from './problems.js';
import { leavesDoubt, reread, rereadRoutes } from './reread.js';
import { Revisions, type Desired } from './revisions.js';
import type { WriteBacks } from './write-backs.js';
import { effectiveSpec } from './templates.js';
import type { Writer } from './writer.js';
import { targetOf } from './workloads.js';

/** A decision may ask for evidence this often within one tick: metrics, then a gate, then another. */
const MAX_ROUNDS = 6;
/** Soon enough for people, long enough that caches have caught up after a conflict, in milliseconds. */
const RETRY_MS = 50;
/** A decision that is older than this is not carried on with, in milliseconds. */
const STALE_MS = 1_000;
/** A look at a Canary that is later than this was kept from it: the process was stopped, or is new, in milliseconds. */
const AWAY_MS = 5_000;
/** Changes of mere numbers and wording are stored this late, in milliseconds: most are overtaken by one that matters. */
const COSMETIC_MS = 3_000;
/** Evidence for a verdict that is all that changed is stored this late, in milliseconds: what is lost of it is read again. */
const EVIDENCE_MS = 60_000;
/** Between two changes of numbers and wording, over all Canaries: when hundreds wait at once, telling how they wait must not be what they wait for. */
const COSMETIC_GAP_MS = 200;

export interface ReconcilerOptions {
  cache: Cache;
  router: Router;
  writer: Writer;
  revisions: Revisions;
  outbox: Outbox;
  /** Absent: this process is the only one that ever writes. */
  fence?: Fence;
  /** Absent: nothing goes back to Git. */
  writeBacks?: WriteBacks;
  evidence: EvidenceOptions;
  recorder: EventRecorder;
  now: () => number;
  logger: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  /** Hears how late a due step was acted on, and of each weight that was written, for metrics. */
  onDecision?: (canary: Canary, decision: Decision, dueAt: number | undefined) => void;
}

interface Memory {
  writeError?: string;
  /** An effect that only a person can make possible. It is tried again all the same: nobody has to tell us that it was mended. */
  refused?: Problem;
  /** A write may have been carried out or not: nothing is decided before the answer is known. */
  inDoubt?: boolean;
  /** Unix milliseconds at which a change of mere numbers and wording that is not stored yet will be. */
  cosmeticAt?: number;
  /** That change is evidence for a verdict and nothing else. */
  patient?: boolean;
  fresh?: FreshEvidence;
  /** Since when no look at the Canary was late, and when the next one is due, in unix milliseconds. */
  watchedSince: number;
  expectedAt?: number | undefined;
  /** The weights that were seen last, and since when; unknown for those that were there when this process began. */
  routes?: { weights: string; since?: number };
  /** When the routes had last been written when this process first saw them, in unix milliseconds. */
  writtenAt?: number | undefined;
  /** Evidence that was asked for and not used yet, by question: the world changed before all of it came. */
  asked: Map<string, ReturnType<typeof gather>>;
}

/** A decision, and what it was made from. */
interface Decided {
  decision: Decision;
  /** Unix milliseconds. */
  at: number;
  observed: Observation;
}

/** What one tick is about. */
interface Subject {
  /** As the server sent it. */
  live: Canary;
  /** The same, read and with defaults. */
  canary: Canary;
  memory: Memory;
}

const readStatus = perObject((canary: Canary) => canaryStatus.safeParse(canary.status ?? {}));

/** One Canary at a time: observe, decide, apply. Holds nothing that a restart would miss. */
export class Reconciler {
  readonly #memory = new Map<string, Memory>();
  /** When the last of the changes that wait is stored, in unix milliseconds. */
  #cosmeticAt = 0;
  /** A spec is read once per generation, not with every status. */
  readonly #specs = new Map<string, { of: string; read: ReturnType<typeof canarySpec.safeParse> }>();

  constructor(private readonly options: ReconcilerOptions) {}

  /** Returns when to look again (unix milliseconds), if nothing changes before. */
  async reconcile(key: string, turn: Turn): Promise<number | undefined> {
    const { cache, revisions } = this.options;
    const slash = key.indexOf('/');
    const live = cache.canaries.get(key.slice(0, slash), key.slice(slash + 1));
    if (!live) {
      this.#memory.delete(key);
      this.#specs.delete(key);
      revisions.forget(key);
      await removeLeftovers(cache, this.options.writer, key);
      return undefined;
    }
    const spec = this.#readSpec(key, live);
    if (!spec.success) return this.#invalid(live, spec.error.issues.map((issue) => `spec.${issue.path.join('.')}: ${issue.message}`).join('; '));
    const status = readStatus(live);
    const known = withoutDelivered(status.success ? status.data : canaryStatus.parse({}), this.options.outbox.delivered);
    const memory: Memory = this.#memory.get(key) ?? { asked: new Map(), watchedSince: this.options.now() };
    this.#memory.set(key, memory);
    const canary: Canary = { ...live, spec: effectiveSpec(cache, live, spec.data), status: withFresh(this.options.writeBacks?.withOutcomes(live, known) ?? known, memory.fresh) };
    if (this.options.now() > (memory.expectedAt ?? Infinity) + AWAY_MS) memory.watchedSince = this.options.now();
    memory.expectedAt = undefined;
    if (!memory.inDoubt) {
      memory.expectedAt = await this.#tick(key, { live, canary, memory }, turn);
      return memory.expectedAt;
    }
    await reread(cache, this.options.writer, canary);
    memory.inDoubt = false;
    return this.options.now();
  }

  #readSpec(key: string, { metadata, spec }: Canary): ReturnType<typeof canarySpec.safeParse> {
    const known = this.#specs.get(key);
    const of = `${metadata.uid}/${metadata.generation}`;
    if (known?.of === of && metadata.generation !== undefined) return known.read;
    const read = canarySpec.safeParse(spec);
    this.#specs.set(key, { of, read });
    return read;
  }

  async #tick(key: string, { live, canary, memory }: Subject, turn: Turn): Promise<number | undefined> {
    const { cache, revisions, now } = this.options;
    const target = targetOf(cache, canary);
    const desired = revisions.desired(canary, target);
    const problems = problemsOf(this.options.evidence, canary);
    const dueAt = canary.status?.nextStepTime === undefined ? undefined : Date.parse(canary.status.nextStepTime);
    const gathered: Gathered = { problems, counted: countedMetrics(this.options.evidence, canary), ...(memory.writeError ? { writeError: memory.writeError } : {}), ...(memory.refused ? { refused: memory.refused } : {}) };
    const decided = await this.#decide(canary, desired, gathered, memory, turn);
    // The world changed while others were asked. The queue has the key again; what they answer is used then.
    if (!decided) return undefined;
    const { decision } = decided;
    if (decision.effects.length > 0 && (await this.options.fence?.raise(live))) return now();
    this.options.onDecision?.(canary, decision, dueAt);
    const context: ApplyContext = { cache, router: this.options.router, writer: this.options.writer, canary, desired, now };
    // The intent first: whoever takes over after a crash between the two finds it, and carries it out.
    const stored = await this.#store(live, canary, decision, memory);
    if (stored === 'lost') return now() + RETRY_MS;
    const failed = await this.#apply(context, stored === 'unstored' ? onlyBack(decided) : decided, memory);
    // What may not write any more may not speak either: the successor tells what is to be told.
    this.options.writer.assertLeading();
    if (stored !== 'unstored') this.#record(canary, decision);
    // Only what is stored is told.
    const told = stored === 'unstored' ? canary : { ...canary, status: decision.status };
    const messagesAt = this.options.outbox.deliver(key, told);
    const writeBacksAt = this.options.writeBacks?.carryOut(key, told);
    if (failed instanceof Error && !(failed instanceof Waiting) && !isConflict(failed)) throw failed;
    const cosmeticsAt = stored === 'later' ? (memory.cosmeticAt ?? now() + COSMETIC_MS) : undefined;
    const wakes = [decision.wakeAt, messagesAt, writeBacksAt, cosmeticsAt, failed ? now() + RETRY_MS : undefined].filter((at) => at !== undefined);
    return wakes.length > 0 ? Math.min(...wakes) : undefined;
  }

  /** Decide; gather what the decision says it lacks; decide again. Undefined when something changed before the evidence came. */
  async #decide(canary: Canary, desired: Desired, gathered: Gathered, memory: Memory, turn: Turn): Promise<Decided | undefined> {
    const { cache, router, now } = this.options;
    let known = gathered;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const at = now();
      // Before this process marks the routes as its own: from then on the server's note is of that.
      if (!memory.routes) memory.writtenAt = lastWrite(cache, canary);
      const observed = withSince(observe(cache, router, canary, desired, known), memory, at);
      const decision = decide({ spec: canary.spec, status: canary.status ?? canaryStatus.parse({}), observed, now: at });
      if (!decision.needs) {
        memory.asked.clear();
        return { decision, at, observed };
      }
      const found = await turn.outside(this.#ask(canary, decision.needs, memory));
      if (!found) return undefined;
      known = { ...known, ...found, hooks: { ...known.hooks, ...found.hooks } };
    }
    throw new Error(`Canary ${canary.metadata.name}: the decision asked for evidence ${MAX_ROUNDS} times in a row`);
  }

  /** The answer to a question is waited for once, however often the world changes meanwhile: a receiver that hangs must hold up nothing else. */
  #ask(canary: Canary, needs: Needs, memory: Memory): ReturnType<typeof gather> {
    const { run, step, nextStepTime } = canary.status ?? {};
    const what = JSON.stringify([run?.id, step, nextStepTime, needs.metrics.map(({ metric }) => metric), needs.windows?.map(({ metric, of }) => [metric, of]), needs.hooks]);
    const answer = memory.asked.get(what) ?? gather(this.options.evidence, canary, needs);
    memory.asked.set(what, answer);
    return answer;
  }

  /** In order. After one that fails only those are carried out that rely on none before them. Returns what stopped the others. */
  async #apply(context: ApplyContext, decided: Decided, memory: Memory): Promise<unknown> {
    let failed: unknown;
    for (const effect of decided.decision.effects) {
      if (failed !== undefined && !standsAlone(effect)) continue;
      try {
        await this.#carryOut(context, effect, decided);
      } catch (error) {
        if (leavesDoubt(error)) memory.inDoubt = true;
        if (failed === undefined) remember(memory, effect, error);
        failed ??= error;
      }
    }
    if (failed === undefined) {
      delete memory.writeError;
      delete memory.refused;
    }
    return failed;
  }

  async #carryOut(context: ApplyContext, effect: Effect, { at, observed }: Decided): Promise<void> {
    const { now, cache, router, writer } = this.options;
    if (followsRoutes(effect)) await rereadRoutes(cache, writer, context.canary);
    // What was decided before a request that took long may not hold any more.
    if (now() - at > STALE_MS) throw new Waiting(`${effect.type}: the requests before it took ${now() - at} ms; it is decided again`);
    const why = isOfTraffic(effect) ? outdated(effect, observed, observeTraffic(cache, router, context.canary)) : undefined;
    if (why !== undefined) throw new Waiting(`${effect.type}: ${why}; it is decided again`);
    await apply(context, effect);
  }

  /**
   * Store the status when it changed. `lost`: somebody else wrote meanwhile, so decide again from what is there. `later`: only
   * numbers and wording changed, and those are not written more often than people can read. `unstored`: the server refused.
   */
  async #store(live: Canary, canary: Canary, decision: Decision, memory: Memory): Promise<'stored' | 'later' | 'lost' | 'unstored'> {
    const due = memory.cosmeticAt;
    delete memory.cosmeticAt;
    if (isDeepStrictEqual(live.status, decision.status)) return 'stored';
    const { cache, writer, now } = this.options;
    if ((due === undefined || now() < due) && isCosmetic(live.status, decision.status)) {
      this.#putOff(memory, due, live.status, decision.status);
      return 'later';
    }
    const newest = cache.canaries.get(canary.metadata.namespace, canary.metadata.name);
    // Only our own writes may have come between: spec and status must still be those that we decided from.
    if (!newest || newest.metadata.uid !== live.metadata.uid || newest.metadata.generation !== live.metadata.generation || !isDeepStrictEqual(newest.status, live.status)) return 'lost';
    try {
      await writer.update(SluiceResources.Canary, { ...newest, status: decision.status }, cache.canaries, { subresource: 'status' });
      return 'stored';
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return 'lost';
      this.options.logger.warn({ canary: canary.metadata.name, error: String(error) }, 'the status could not be stored');
      if (decision.status.run?.ending) return 'unstored';
      throw error;
    }
  }

  /** A change of numbers and wording is stored at `due`, or it is settled when. Evidence that is all there is to store waits longer. */
  #putOff(memory: Memory, due: number | undefined, before: CanaryStatus | undefined, after: CanaryStatus): void {
    const evidence = isEvidence(before, after);
    const settled = due !== undefined && (evidence || memory.patient !== true);
    memory.cosmeticAt = settled ? due : evidence ? this.options.now() + EVIDENCE_MS : Math.min(due ?? Infinity, this.#nextCosmetic());
    if (!settled) memory.patient = evidence;
    if (after.verdict) memory.fresh = { from: before?.verdict, verdict: after.verdict };
  }

  /** Each that waits has its own turn, so that none is looked at in vain. */
  #nextCosmetic(): number {
    this.#cosmeticAt = Math.max(this.options.now() + COSMETIC_MS, this.#cosmeticAt + COSMETIC_GAP_MS);
    return this.#cosmeticAt;
  }

  #record(canary: Canary, decision: Decision): void {
    for (const { type, reason, message } of decision.events) {
      this.options.recorder.event(canary, type, reason, message);
      this.options.logger.info({ namespace: canary.metadata.namespace, canary: canary.metadata.name, reason }, message);
    }
  }

  /** The spec cannot be read: say which field; leave everything else as it is. */
  async #invalid(live: Canary, message: string): Promise<undefined> {
    const { cache, writer, now } = this.options;
    const known = canaryStatus.safeParse(live.status ?? {});
    const status: CanaryStatus = known.success ? structuredClone(known.data) : canaryStatus.parse({});
    const text = `${message.slice(0, 900)}; correct the Canary ${live.metadata.name}`;
    const others = (status.conditions ?? []).filter((item) => item.type !== 'Stalled');
    const before = status.conditions?.find((item) => item.type === 'Stalled');
    if (before?.status === 'True' && before.message === text) return undefined;
    const lastTransitionTime = before?.status === 'True' ? before.lastTransitionTime : new Date(now()).toISOString();
    status.conditions = [...others, { type: 'Stalled', status: 'True', reason: 'InvalidSpec', message: text, lastTransitionTime }];
    await writer.update(SluiceResources.Canary, { ...live, status }, cache.canaries, { subresource: 'status' });
    return undefined;
  }
}

/**
 * Traffic leaves a bad version even while the status cannot be stored: that much may be decided again and again. Anything else, the
 * answer to a person's request above all, would be without what it was decided with.
 */
const onlyBack = ({ decision, ...rest }: Decided): Decided => ({ ...rest, decision: { ...decision, effects: decision.effects.filter(({ type }) => type === 'setWeights' || type === 'selectService') } });

/** Somebody may have deleted a Service while the routes cannot be written. */
const standsAlone = ({ type }: Effect): boolean => type === 'createSlotServices';

/** What people are told of an effect that could not be carried out. */
function remember(memory: Memory, { type }: Effect, error: unknown): void {
  if (error instanceof Terminal) memory.refused = { reason: error.reason, message: error.message };
  else if (!(error instanceof Waiting) && !isConflict(error)) memory.writeError = `${type}: ${error instanceof Error ? error.message : String(error)}`;
}

/** What only this process knows: since when it watches, and since when the weights are as they are; a write may take its time, and the clock of a step must not run meanwhile. */
function withSince(observed: Observation, memory: Memory, now: number): Observation {
  const weights = JSON.stringify(observed.routes.weights ?? null);
  if (memory.routes?.weights !== weights) memory.routes = { weights, ...(memory.routes ? { since: now } : {}) };
  const { routes: { since }, watchedSince, writtenAt } = memory;
  return { ...observed, watchedSince, routes: { ...observed.routes, ...(since === undefined ? {} : { since }), ...(writtenAt === undefined ? {} : { writtenAt }) } };
}
