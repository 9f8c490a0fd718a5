import { setTimeout as systemSleep } from 'node:timers/promises';
import type { Failed, PrometheusClient, RangeSeries } from './client.js';
import { Pace } from './pace.js';
import { halves, LARGEST, plan, smallerThan, type Limits, type Question, type ServiceKey, type Wanted } from './plan.js';
import { groupedQuery, keyLabel, subjectLabels, type BuiltinMetric, type Reporter, type Subjects } from './queries.js';
import { addCounts, KnownWindows, PartBuilder, type Counts, type Part } from './windows.js';

export interface EvidenceOptions {
  client: Pick<PrometheusClient, 'queryRange'>;
  server: string;
  reporter: Reporter;
  gridMs: number;
  now: () => number;
  /** Resolves after so many milliseconds; the system's timers by default. */
  sleep?: ((ms: number) => Promise<unknown>) | undefined;
  /** Of the server. */
  pace: Pace;
}

/** The server failed; `permanent` as in `Measurement`. */
export class EvidenceError extends Error {
  constructor(
    message: string,
    readonly permanent: boolean,
  ) {
    super(message);
  }
}

/** Releases are due together: those that ask within this time share one query, in milliseconds. */
const GATHER_MS = 20;
/** A service that nobody has asked about for this long is left out of the questions that are for all. */
const FORGET_MS = 15 * 60_000;
/** Windows are kept for as long as anybody has looked back of late, and this much longer. */
const KEEP_LONGER_MS = 30_000;
/** Questions that were too large for a server are halved; after so long it is tried whether it can bear more. */
const GROW_AFTER_MS = 10 * 60_000;
/** A server that is late is asked for all services in so many pieces at most: in more of them, there would not be less to compute. */
const PIECES_WHEN_LATE = 4;

/** A service in one namespace, as the metrics name it. */
export const serviceKey = (namespace: string, name: string): ServiceKey => `${namespace}/${name}`;

/**
 * What one server counted, window by window, on a grid of time that all canaries share: window `t` is (t − grid, t]. Each window is
 * asked for once, for all services that anybody asks about and both metrics together, and remembered.
 */
export class Evidence {
  readonly #known = new KnownWindows();
  /** When each service was last asked about. */
  readonly #members: Record<BuiltinMetric, Map<ServiceKey, number>> = { 'request-success-rate': new Map(), 'request-duration': new Map() };
  /** The newest window that was asked for on behalf of all. */
  readonly #newest: Record<BuiltinMetric, number> = { 'request-success-rate': 0, 'request-duration': 0 };
  #wanted: Wanted = new Map();
  /** Oldest window of everyone who is waiting for some. */
  readonly #needed = new Set<{ oldest: number }>();
  #gathering: Promise<void> | undefined;
  #lastRound: Promise<void> = Promise.resolve();
  #lookback = { ms: 0, beforeMs: 0, since: 0 };
  #limits = LARGEST;
  #limitedAt = 0;

  constructor(private readonly options: EvidenceOptions) {}

  /**
   * Returns when all is known of these services in the windows that end at `ends` (ascending). What is read right after that, before
   * anything is waited for, is there.
   * @throws EvidenceError when a window cannot be had
   */
  async load(metric: BuiltinMetric, services: readonly ServiceKey[], ends: readonly number[]): Promise<void> {
    const oldest = ends[0] ?? 0;
    this.#lookBack(oldest);
    for (const service of services) this.#members[metric].set(service, this.options.now());
    const need = { oldest };
    this.#needed.add(need);
    try {
      while (this.#want(metric, services, ends)) await this.#round().catch((error: unknown) => this.#unlessKnown(error, metric, services, ends));
    } finally {
      this.#needed.delete(need);
    }
  }

  /** What is known of a service in one window; undefined unless {@link load} has just returned. */
  part(metric: BuiltinMetric, service: ServiceKey, end: number): Part | undefined {
    return this.#known.find(metric, end, service);
  }

  /** The counts of a service that is loaded, summed over the windows. */
  counts(metric: BuiltinMetric, service: ServiceKey, ends: readonly number[], what: 'requests' | 'tries' = 'requests'): Counts {
    const total: Counts = new Map();
    for (const end of ends) {
      const part = this.part(metric, service, end);
      if (part) addCounts(total, part, part[what].get(service));
    }
    return total;
  }

  /** True when something is missing, which is asked for in the next round then. */
  #want(metric: BuiltinMetric, services: readonly ServiceKey[], ends: readonly number[]): boolean {
    const missing = services.flatMap((service) => ends.filter((end) => !this.#known.find(metric, end, service)).map((end) => [end, service] as const));
    if (missing.length === 0) return false;
    const { refusal } = this.options.pace;
    if (refusal) throw new EvidenceError(refusal.message, refusal.permanent);
    for (const [end, service] of missing) wantedAt(this.#wanted, metric, end).add(service);
    return true;
  }

  /** Somebody else's windows may be the ones that could not be had. */
  #unlessKnown(error: unknown, metric: BuiltinMetric, services: readonly ServiceKey[], ends: readonly number[]): void {
    if (!services.every((service) => ends.every((end) => this.#known.find(metric, end, service)))) throw error;
  }

  #round(): Promise<void> {
    if (this.#gathering) return this.#gathering;
    const round = this.#gather(this.#lastRound);
    this.#gathering = round;
    this.#lastRound = round.catch(() => undefined);
    return round;
  }

  /** One round after the other, so that what the last one brought is known when the next is planned. */
  async #gather(before: Promise<void>): Promise<void> {
    await Promise.all([(this.options.sleep ?? systemSleep)(GATHER_MS), before]);
    await this.options.pace.rested();
    this.#gathering = undefined;
    const wanted = this.#withAll(this.#stillWanted());
    const newest = [...wanted].map(([metric, byEnd]) => [metric, Math.max(...byEnd.keys())] as const);
    const error = await this.#carryOut(plan(wanted, this.options.gridMs, this.#limitsNow()));
    if (error) throw error;
    for (const [metric, end] of newest) this.#newest[metric] = Math.max(this.#newest[metric], end);
    this.#forget();
  }

  #stillWanted(): Wanted {
    const still: Wanted = new Map();
    for (const [metric, byEnd] of this.#wanted)
      for (const [end, services] of byEnd) for (const service of services) if (!this.#known.find(metric, end, service)) wantedAt(still, metric, end).add(service);
    this.#wanted = new Map();
    return still;
  }

  /** A window that is new to all will be wanted by all. */
  #withAll(wanted: Wanted): Wanted {
    const ends = new Set([...wanted.values()].flatMap((byEnd) => [...byEnd.keys()]));
    const since = this.options.now() - FORGET_MS;
    for (const metric of METRICS) {
      for (const [service, askedAt] of this.#members[metric]) {
        if (askedAt < since) this.#members[metric].delete(service);
        else for (const end of ends) if (this.#newest[metric] > 0 && end > this.#newest[metric]) wantedAt(wanted, metric, end).add(service);
      }
    }
    return wanted;
  }

  /** Returns the failure at which the rest was left. */
  async #carryOut(questions: Question[]): Promise<EvidenceError | undefined> {
    let failure: EvidenceError | undefined;
    const work = async (): Promise<void> => {
      for (let question; !failure && (question = questions.shift()); ) {
        const refused = await this.#ask(question);
        if (!refused) continue;
        const smaller = refused.tooMuch === 'size' ? halves(question, this.options.gridMs) : undefined;
        if (smaller) questions.unshift(...smaller);
        else failure = new EvidenceError(refused.message, refused.permanent);
      }
    };
    await Promise.all([work(), work()]);
    return failure;
  }

  async #ask(question: Question): Promise<Failed | undefined> {
    const { client, server, reporter, gridMs, pace } = this.options;
    const { start, end, services } = question;
    const query = groupedQuery(new Map([...services].map(([metric, keys]) => [metric, subjectsOf(keys)])), gridMs, reporter);
    // One that can be halved was too large, which is no failing of the server.
    const harmless = ({ tooMuch }: Failed): boolean => tooMuch === 'size' && halves(question, gridMs) !== undefined;
    const answer = await pace.ask(() => client.queryRange({ server, query, start, end, stepMs: gridMs }), harmless);
    if (answer.kind === 'failed') {
      if (answer.tooMuch) this.#limit(question, answer.tooMuch);
      return answer;
    }
    for (const [metric, byEnd] of partsOf(answer.series, question, gridMs, reporter)) for (const [at, part] of byEnd) this.#known.add(metric, at, part.build());
    return undefined;
  }

  #limitsNow(): Limits {
    const { now } = this.options;
    if (this.#limits !== LARGEST && now() - this.#limitedAt > GROW_AFTER_MS) {
      const { services, windows } = this.#limits;
      this.#limits = { services: Math.min(LARGEST.services, services * 2), windows: Math.min(LARGEST.windows, windows * 2) };
      this.#limitedAt = now();
    }
    return this.#limits;
  }

  #limit(question: Question, because: 'size' | 'time'): void {
    const { services, windows } = smallerThan(question, this.options.gridMs);
    const all = new Set(METRICS.flatMap((metric) => [...this.#members[metric].keys()])).size;
    const fewest = because === 'time' ? Math.ceil(all / PIECES_WHEN_LATE) : 1;
    this.#limits = { services: Math.min(this.#limits.services, Math.max(fewest, services)), windows: Math.min(this.#limits.windows, windows) };
    this.#limitedAt = this.options.now();
  }

  #lookBack(oldest: number): void {
    const now = this.options.now();
    const { ms, since } = this.#lookback;
    if (now - since > FORGET_MS) this.#lookback = { ms: 0, beforeMs: ms, since: now };
    this.#lookback.ms = Math.max(this.#lookback.ms, now - oldest);
  }

  #forget(): void {
    const { ms, beforeMs } = this.#lookback;
    const needed = Math.min(...[...this.#needed].map(({ oldest }) => oldest));
    this.#known.forget(this.options.now() - Math.max(ms, beforeMs) - KEEP_LONGER_MS, needed);
  }
}

const METRICS: readonly BuiltinMetric[] = ['request-success-rate', 'request-duration'];

function wantedAt(wanted: Wanted, metric: BuiltinMetric, end: number): Set<ServiceKey> {
  let byEnd = wanted.get(metric);
  if (!byEnd) wanted.set(metric, (byEnd = new Map()));
  let services = byEnd.get(end);
  if (!services) byEnd.set(end, (services = new Set()));
  return services;
}

function subjectsOf(keys: ReadonlySet<ServiceKey>): Subjects {
  const [namespaces, names] = [new Set<string>(), new Set<string>()];
  for (const key of keys) {
    const slash = key.indexOf('/');
    namespaces.add(key.slice(0, slash));
    names.add(key.slice(slash + 1));
  }
  return { namespaces: [...namespaces].toSorted(), names: [...names].toSorted() };
}

/** An answer by metric and window; every window that was asked for is there, though nothing may be in it. */
function partsOf(series: readonly RangeSeries[], { start, end, services }: Question, gridMs: number, reporter: Reporter): Map<BuiltinMetric, Map<number, PartBuilder>> {
  const parts = new Map([...services.keys()].map((metric) => [metric, new Map<number, PartBuilder>()]));
  for (const [metric, keys] of services) for (let at = start; at <= end; at += gridMs) parts.get(metric)?.set(at, new PartBuilder(keys));
  for (const { labels, values } of series) {
    const metric = labels[keyLabel('request-duration')] === undefined ? 'request-success-rate' : 'request-duration';
    const { what, service } = subjectOf(labels, reporter);
    for (const [at, value] of values) parts.get(metric)?.get(at)?.add(what, service, labels[keyLabel(metric)] ?? '', value);
  }
  return parts;
}

/** Whose count it is. Requests and tries in one answer are told apart by the labels that they were summed by. */
function subjectOf(labels: Record<string, string>, reporter: Reporter): { what: 'requests' | 'tries'; service: ServiceKey } {
  const asTries = reporter === 'workload' ? labels['reporter'] === 'destination' : reporter === 'source' && labels[subjectLabels('tries').name] !== undefined;
  const subject = subjectLabels(asTries ? 'tries' : reporter);
  return { what: asTries ? 'tries' : 'requests', service: serviceKey(labels[subject.namespace] ?? '', labels[subject.name] ?? '') };
}
