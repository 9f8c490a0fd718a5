import { isLatency } from '../core/checks.js';
import type { CanarySpec, Check, StepSpec } from '../api/index.js';
import { ms } from '../core/time.js';
import { optionsOf, outcomeOf } from '../core/verdict/outcome.js';
import { comparedBy } from '../core/verdict/refusal.js';
import { PlayedRelease, playable, type Answer, type Ended, type Question } from './release.js';
import type { Segment } from './segments.js';

/** What the comparison had shown at one evaluation. */
export interface Looked {
  /** Unix milliseconds. */
  at: number;
  /** Metric and, of latency, its bound in milliseconds, for which the evidence is strongest. */
  metric: string;
  bound?: number | undefined;
  /** Natural logarithm of the evidence that the canary is worse; at `needed` it is taken back. */
  strength: number;
  needed: number;
  /** Canary minus stable in percentage points, at least and at most. */
  low?: number | undefined;
  high?: number | undefined;
}

/** What would have become of a release that is in the record. */
export interface Replayed {
  /** Undefined when nothing would have taken it back. */
  ended?: { at: number } & Pick<Ended, 'reason' | 'message'>;
  looks: Looked[];
  /** Every check that was made, oldest first. */
  checks: Check[];
}

/** Longer than any record: the record decides when a step ends. */
const HOLD = '2000h';

/**
 * The spec with the weights of the record in place of its own plan, and without what only a live release has: webhooks, approvals,
 * steps that end early. What judges is as it was.
 * @param metrics names of those that the record holds
 */
export function recorded(spec: CanarySpec, segments: readonly Segment[], metrics: readonly string[]): CanarySpec {
  const { interval, threshold, warmup, primaryReadyThreshold, canaryReadyThreshold, verdict, evaluate } = spec.analysis;
  const steps = segments.map(({ weight }): StepSpec => ({ weight, hold: HOLD }));
  return playable({
    ...spec,
    skipAnalysis: false,
    analysis: {
      interval,
      threshold,
      warmup,
      primaryReadyThreshold,
      canaryReadyThreshold,
      steps,
      metrics: spec.analysis.metrics.filter(({ name }) => metrics.includes(name)),
      ...(verdict ? { verdict: { ...verdict, fast: false }, evaluate } : {}),
    },
  });
}

/**
 * Plays a release again: weights change when they changed, and whatever judges is asked when it would have been.
 * @param counted metrics of templates that give counts
 */
export class ReplayedRelease {
  readonly looks: Looked[] = [];
  readonly checks: Check[] = [];

  constructor(
    private readonly spec: CanarySpec,
    private readonly segments: readonly Segment[],
    private readonly counted: readonly string[],
  ) {}

  *play(): Generator<Question, Replayed, Answer> {
    const { looks, checks } = this;
    const begin = this.segments[0]?.from ?? 0;
    const end = this.segments.at(-1)?.to ?? 0;
    const release = new PlayedRelease(this.spec, begin, () => {});
    release.observed.counted = [...this.counted];
    let index = 0;
    for (let now = begin; ; ) {
      const wakeAt = yield* release.settle(now);
      this.#note(release, now);
      const [last] = release.status.history ?? [];
      if (last) return { ended: { at: now, reason: last.reason, message: last.message }, looks, checks };
      const next = this.segments[index + 1];
      now = Math.min(wakeAt ?? end, next?.from ?? end);
      if (now >= end) return { looks, checks };
      if (next && now === next.from) release.enterStep((index += 1), next.weight);
    }
  }

  #note({ status }: PlayedRelease, now: number): void {
    const known = new Set(this.checks.map(({ metric, at }) => `${metric} ${at}`));
    this.checks.push(...(status.checks ?? []).filter(({ metric, at }) => !known.has(`${metric} ${at}`) && ms(at) === now).toReversed());
    const { verdict: spec } = this.spec.analysis;
    const streams = status.verdict?.streams ?? [];
    const newest = Math.max(...streams.map(({ until }) => ms(until)));
    if (!spec || streams.length === 0 || newest <= (this.looks.at(-1)?.at ?? 0)) return;
    const outcome = outcomeOf(streams, comparedBy(this.spec, this.counted).length, optionsOf(spec));
    const worst = outcome.worse ?? streams.toSorted((a, b) => strengthOf(b.ratio) - strengthOf(a.ratio))[0];
    this.looks.push({
      at: newest,
      metric: worst?.metric ?? '',
      ...(worst && isLatency(worst.metric) ? { bound: worst.bound } : {}),
      strength: outcome.strength,
      needed: Math.log(1 / spec.alpha),
      low: worst?.low,
      high: worst?.high,
    });
  }
}

const strengthOf = (logs: readonly number[]): number => Math.max(...logs);
