import { isDeepStrictEqual } from 'node:util';
import { canarySpec, canaryStatus, SluiceResources, type Canary, type CanaryStatus } from '../api/index.js';
import { decide } from '../core/decide.js';
import type { Problem } from '../core/evidence.js';
import type { Decision, Effect, Needs } from '../core/observation.js';
import { isConflict, isNotFound, type EventRecorder } from '../kube/index.js';
import { apply, type ApplyContext } from './apply.js';
import { Index, type Cache } from './cache.js';
import { isCosmetic } from './cosmetic.js';
import { Terminal, Waiting } from './errors.js';
import { evidenceProblems, gather, type EvidenceOptions } from './evidence.js';
import { observe, withoutDelivered, type Gathered } from './observe.js';
import type { Outbox } from './outbox.js';
import type { Router } from './ports.js';
import type { Turn } from './queue.js';
import { Revisions, type Desired } from './revisions.js';
import type { Writer } from './writer.js';

/** A decision may ask for evidence this often within one tick: metrics, then a gate, then another. */
const MAX_ROUNDS = 6;
/** Soon enough for people, long enough that caches have caught up after a conflict, in milliseconds. */
const RETRY_MS = 50;
/** How often changes of mere numbers and wording are stored, in milliseconds. */
const COSMETIC_MS = 2_000;

export interface ReconcilerOptions {
  cache: Cache;
  router: Router;
  writer: Writer;
  revisions: Revisions;
  outbox: Outbox;
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
  /** Unix milliseconds of the last stored status. */
  storedAt?: number;
  /** Evidence that was asked for and not used yet, by question: the world changed before all of it came. */
  asked: Map<string, ReturnType<typeof gather>>;
}

/** One Canary at a time: observe, decide, apply. Holds nothing that a restart would miss. */
export class Reconciler {
  readonly #memory = new Map<string, Memory>();

  constructor(private readonly options: ReconcilerOptions) {}

  /** Returns when to look again (unix milliseconds), if nothing changes before. */
  async reconcile(key: string, turn: Turn): Promise<number | undefined> {
    const { cache, revisions } = this.options;
    const slash = key.indexOf('/');
    const live = cache.canaries.get(key.slice(0, slash), key.slice(slash + 1));
    if (!live) {
      this.#memory.delete(key);
      revisions.forget(key);
      return undefined;
    }
    const spec = canarySpec.safeParse(live.spec);
    if (!spec.success) return this.#invalid(live, spec.error.issues.map((issue) => `spec.${issue.path.join('.')}: ${issue.message}`).join('; '));
    const status = canaryStatus.safeParse(live.status ?? {});
    const canary: Canary = { ...live, spec: spec.data, status: withoutDelivered(status.success ? status.data : canaryStatus.parse({}), this.options.outbox.delivered) };
    return this.#tick(key, live, canary, turn);
  }

  async #tick(key: string, live: Canary, canary: Canary, turn: Turn): Promise<number | undefined> {
    const { cache, revisions, now } = this.options;
    const target = cache.deployments.get(canary.metadata.namespace, canary.spec.targetRef.name);
    const desired = revisions.desired(canary, target);
    const memory: Memory = this.#memory.get(key) ?? { asked: new Map() };
    this.#memory.set(key, memory);
    const problems = this.#problems(canary, target !== undefined);
    const dueAt = canary.status?.nextStepTime === undefined ? undefined : Date.parse(canary.status.nextStepTime);
    const gathered = { problems, ...(memory.writeError ? { writeError: memory.writeError } : {}), ...(memory.refused ? { refused: memory.refused } : {}) };
    const decision = await this.#decide(canary, desired, gathered, memory, turn);
    // The world changed while others were asked. The queue has the key again; what they answer is used then.
    if (!decision) return undefined;
    this.options.onDecision?.(canary, decision, dueAt);
    const context: ApplyContext = { cache, router: this.options.router, writer: this.options.writer, canary, desired, now };
    // The intent first: whoever takes over after a crash between the two finds it, and carries it out.
    const stored = await this.#store(live, canary, decision, memory);
    if (stored === 'lost') return now() + RETRY_MS;
    const failed = await this.#apply(context, decision.effects, memory);
    this.#record(canary, decision);
    const messagesAt = this.options.outbox.deliver(key, { ...canary, status: decision.status });
    if (failed instanceof Error && !(failed instanceof Waiting) && !isConflict(failed)) throw failed;
    const cosmeticsAt = stored === 'later' ? (memory.storedAt ?? now()) + COSMETIC_MS : undefined;
    const wakes = [decision.wakeAt, messagesAt, cosmeticsAt, failed ? now() + RETRY_MS : undefined].filter((at) => at !== undefined);
    return wakes.length > 0 ? Math.min(...wakes) : undefined;
  }

  /** Decide; gather what the decision says it lacks; decide again. Undefined when something changed before the evidence came. */
  async #decide(canary: Canary, desired: Desired, gathered: Gathered, memory: Memory, turn: Turn): Promise<Decision | undefined> {
    const { cache, router, now } = this.options;
    let known = gathered;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const observed = observe(cache, router, canary, desired, known);
      const decision = decide({ spec: canary.spec, status: canary.status ?? canaryStatus.parse({}), observed, now: now() });
      if (!decision.needs) {
        memory.asked.clear();
        return decision;
      }
      const found = await turn.outside(this.#ask(canary, decision.needs, memory));
      if (!found) return undefined;
      known = { ...known, measurements: found.measurements ?? known.measurements, hooks: { ...known.hooks, ...found.hooks } };
    }
    throw new Error(`Canary ${canary.metadata.name}: the decision asked for evidence ${MAX_ROUNDS} times in a row`);
  }

  /** The answer to a question is waited for once, however often the world changes meanwhile: a receiver that hangs must hold up nothing else. */
  #ask(canary: Canary, needs: Needs, memory: Memory): ReturnType<typeof gather> {
    const { run, step, nextStepTime } = canary.status ?? {};
    const what = JSON.stringify([run?.id, step, nextStepTime, needs.metrics.map(({ metric }) => metric), needs.hooks]);
    const answer = memory.asked.get(what) ?? gather(this.options.evidence, canary, needs);
    memory.asked.set(what, answer);
    return answer;
  }

  #problems(canary: Canary, targetExists: boolean): Problem[] {
    const { namespace, name } = canary.metadata;
    const { kind, name: target } = canary.spec.targetRef;
    const problems = evidenceProblems(this.options.evidence, canary);
    if (!targetExists) problems.push({ reason: 'TargetNotFound', message: `${kind} ${namespace}/${target} does not exist; create it or correct spec.targetRef of Canary ${name}` });
    const older = this.options.cache.canaries
      .byIndex(Index.target, `${namespace}/${target}`)
      .filter((other) => other.metadata.name !== name && isOlder(other, canary))[0];
    if (older) problems.push({ reason: 'TargetClaimed', message: `${kind} ${target} already belongs to Canary ${older.metadata.name}; delete one of the two, or correct spec.targetRef` });
    return problems;
  }

  /** In order; stops at the first that fails, because the later ones rely on it. Returns what stopped it. */
  async #apply(context: ApplyContext, effects: Effect[], memory: Memory): Promise<unknown> {
    for (const effect of effects) {
      try {
        await apply(context, effect);
      } catch (error) {
        if (error instanceof Terminal) memory.refused = { reason: error.reason, message: error.message };
        else if (!(error instanceof Waiting) && !isConflict(error)) memory.writeError = `${effect.type}: ${error instanceof Error ? error.message : String(error)}`;
        return error;
      }
    }
    delete memory.writeError;
    delete memory.refused;
    return undefined;
  }

  /**
   * Store the status when it changed. `lost`: somebody else wrote meanwhile, so decide again from what is there. `later`: only
   * numbers and wording changed, and those are not written more often than people can read.
   */
  async #store(live: Canary, canary: Canary, decision: Decision, memory: Memory): Promise<'stored' | 'later' | 'lost'> {
    if (isDeepStrictEqual(live.status, decision.status)) return 'stored';
    const { cache, writer, now } = this.options;
    if (memory.storedAt !== undefined && now() < memory.storedAt + COSMETIC_MS && isCosmetic(live.status, decision.status)) return 'later';
    const newest = cache.canaries.get(canary.metadata.namespace, canary.metadata.name);
    // Only our own writes may have come between: the status that we decided from must still be the one that is stored.
    if (!newest || newest.metadata.uid !== live.metadata.uid || !isDeepStrictEqual(newest.status, live.status)) return 'lost';
    try {
      await writer.update(SluiceResources.Canary, { ...newest, status: decision.status }, cache.canaries, { subresource: 'status' });
      memory.storedAt = now();
      return 'stored';
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return 'lost';
      this.options.logger.warn({ canary: canary.metadata.name, error: String(error) }, 'the status could not be stored');
      // Traffic leaves a bad version even while the status cannot be stored: that decision may be made again and again.
      if (decision.status.run?.ending) return 'later';
      throw error;
    }
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

function isOlder(a: Canary, b: Canary): boolean {
  const [x, y] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return x === y ? a.metadata.name < b.metadata.name : x < y;
}
