import type { CanaryStatus } from '../api/index.js';
import type { CallRecord } from './traffic/callers.js';

/** What one group of callers got during one stage of a release. */
export interface Sight {
  /** Counts from 1; 0 before the first one. */
  release: number;
  /** `before`, `starting`, `step 1`, …, `promoting`, `ending` or `after`. */
  stage: string;
  group: string;
  /** Answers by Bookinfo's version: `v1`; `-` for those that no version gave. */
  versions: Record<string, number>;
  failed: number;
  /** Median of the answers' milliseconds. */
  medianMs: number;
  /** Users who had been given the version under test and got the stable one again, while the release ran. */
  returned: number;
}

/** Requests sent so soon after a change of stage, or answered so shortly before one, may have met the routes of either, in milliseconds. */
const MARGIN_MS = 1_000;

interface Stage {
  release: number;
  name: string;
  since: number;
  until: number;
}
interface Counter {
  sight: Sight;
  latencies: number[];
}
interface Answer {
  group: string;
  record: CallRecord;
  sentAt: number;
  onCanary: boolean;
  user: number | undefined;
}

/** The stage that a status shows; a step counts once its routes are written. */
function stageOf(status: CanaryStatus | undefined): string {
  if (!status?.run) return status?.history?.length ? 'after' : 'before';
  if (status.run.ending) return 'ending';
  if (status.phase === 'Promoting' || status.phase === 'Finalising') return 'promoting';
  return status.step?.startedAt ? `step ${status.step.index + 1}` : 'starting';
}

/** Counts what callers saw, by the stage that their requests were sent and answered in; those that met a change of stage are left out. */
export class Seen {
  readonly #counters = new Map<string, Counter>();
  readonly #onCanary = new Set<string>();
  readonly #stages: [Stage, ...Stage[]];
  /** Sent so lately that the stage may yet turn out to end then. */
  #recent: Answer[] = [];
  #run: string | undefined;

  constructor(private readonly now: () => number) {
    this.#stages = [{ release: 0, name: 'before', since: now(), until: Infinity }];
  }

  /** The Canary changed. */
  follow(status: CanaryStatus | undefined): void {
    const name = stageOf(status);
    const { run } = status ?? {};
    const begins = run !== undefined && run.id !== this.#run;
    const last = this.#stages.at(-1) ?? this.#stages[0];
    if (name === last.name && !begins) return;
    last.until = this.now();
    this.#settle();
    if (begins) {
      this.#run = run.id;
      this.#onCanary.clear();
    }
    this.#stages.push({ release: last.release + (begins ? 1 : 0), name, since: this.now(), until: Infinity });
  }

  count(group: string, record: CallRecord, onCanary: boolean, user?: number): void {
    this.#recent.push({ group, record, sentAt: Date.parse(record.time), onCanary, user });
    this.#settle();
  }

  all(): Sight[] {
    this.#settle();
    return [...this.#counters.values()].map(({ sight, latencies }) => ({ ...sight, medianMs: median(latencies) }));
  }

  /** Count what was sent long enough ago to know its stage. */
  #settle(): void {
    const known = Math.min(this.now(), this.#stages.at(-1)?.until ?? Infinity) - MARGIN_MS;
    const ended = this.#stages.at(-1)?.until !== Infinity;
    const waiting: Answer[] = [];
    for (const answer of this.#recent) {
      const stage = this.#stages.findLast(({ since }) => since <= answer.sentAt) ?? this.#stages[0];
      if (stage.until === Infinity && answer.sentAt + answer.record.latencyMs > known) waiting.push(answer);
      else if (answer.sentAt >= stage.since + MARGIN_MS && answer.sentAt + answer.record.latencyMs <= stage.until - MARGIN_MS) this.#add(stage, answer);
    }
    this.#recent = ended ? [] : waiting;
  }

  #add({ release, name }: Stage, { group, record, onCanary, user }: Answer): void {
    const key = JSON.stringify([release, name, group]);
    const counter = this.#counters.get(key) ?? { sight: { release, stage: name, group, versions: {}, failed: 0, medianMs: 0, returned: 0 }, latencies: [] };
    this.#counters.set(key, counter);
    const { sight, latencies } = counter;
    if (record.status === 0 || record.status >= 400) sight.failed += 1;
    const version = record.version ?? '-';
    sight.versions[version] = (sight.versions[version] ?? 0) + 1;
    latencies.push(record.latencyMs);
    if (user === undefined || !name.startsWith('step') || version === '-') return;
    const who = `${group}/${user}`;
    if (onCanary) this.#onCanary.add(who);
    else if (this.#onCanary.delete(who)) sight.returned += 1;
  }
}

const median = (values: number[]): number => Math.round([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
