import type { MeasureRequest } from '../../src/engine/ports.js';
import { BuiltinMetrics } from '../../src/metrics/prometheus/builtin.js';
import type { RangeRequest, RangeResult, RangeSeries } from '../../src/metrics/prometheus/client.js';

export const GRID_MS = 5_000;
export const TIMEOUT_MS = 5_000;
export const T0 = Date.parse('2030-01-01T12:00:00Z');

/** Time that passes only when everybody waits for it. */
export class Clock {
  #now = T0;
  readonly #waiting: { at: number; wake: () => void }[] = [];

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number): Promise<void> => new Promise((wake) => this.#waiting.push({ at: this.#now + Math.max(0, ms), wake }));

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const due = Math.min(...this.#waiting.map(({ at }) => at));
      if (due > until) break;
      this.#now = due;
      const ripe = this.#waiting.filter(({ at }) => at <= due);
      this.#waiting.splice(0, Infinity, ...this.#waiting.filter(({ at }) => at > due));
      for (const { wake } of ripe) wake();
    }
    this.#now = until;
  }
}

/** One question that was asked, and when. */
export interface Question extends RangeRequest {
  at: number;
  /** Names of services in it. */
  names: string[];
  windows: number;
}
type Server = (question: Question) => RangeResult | Promise<RangeResult>;

const listOf = (query: string, label: string): string[] => new RegExp(`${label}=~?"([^"]*)"`).exec(query)?.[1]?.split('|') ?? [];

/**
 * Every service that is asked about had so many requests in every window, one of them failed, all within 100 ms. It is in the
 * namespace that its name begins with, if that is asked about.
 */
export function busy(requests = 100): Server {
  return ({ query, start, end, stepMs }) => {
    const namespaces = new Set(listOf(query, 'destination_service_namespace'));
    const series = listOf(query, 'destination_service_name').flatMap((name): RangeSeries[] => {
      const [first = ''] = name.split('-');
      const namespace = namespaces.has(first) ? first : 'default';
      const of = (more: Record<string, string>, value: number): RangeSeries => ({
        labels: { destination_service_namespace: namespace, destination_service_name: name, ...more },
        values: Array.from({ length: (end - start) / stepMs + 1 }, (_, index) => [start + index * stepMs, value]),
      });
      return [
        ...(query.includes('istio_requests_total') ? [of({ response_code: '200' }, requests - 1), of({ response_code: '503' }, 1)] : []),
        ...(query.includes('istio_request_duration') ? [of({ le: '50' }, requests / 2), of({ le: '100' }, requests), of({ le: '+Inf' }, requests)] : []),
      ];
    });
    return { kind: 'series', series };
  };
}

/** The built-in metrics in simulated time, before a server of the test's. */
export function simulation(server: Server = busy()) {
  const clock = new Clock();
  const asked: Question[] = [];
  const state = { server };
  const client = {
    async queryRange(request: RangeRequest): Promise<RangeResult> {
      const question = { ...request, at: clock.now(), names: listOf(request.query, 'destination_service_name'), windows: (request.end - request.start) / request.stepMs + 1 };
      asked.push(question);
      return await state.server(question);
    },
  };
  const builtin = new BuiltinMetrics({ client, gridMs: GRID_MS, timeoutMs: TIMEOUT_MS, now: clock.now, sleep: clock.sleep });
  const request = (canary: string, namespace: string, lookbackMs = 60_000): MeasureRequest => ({
    metric: '',
    server: 'http://prometheus:9090',
    namespace,
    name: canary,
    target: canary,
    revision: 'abc',
    service: `${canary}-green`,
    stableService: `${canary}-blue`,
    from: clock.now() - lookbackMs,
    to: clock.now(),
  });
  /** A run that is evaluated every 10 s, beginning at some moment of its own, and whose thresholds are checked every minute. */
  const run = async (canary: string, namespace: string, phase: number, minutes: number): Promise<string[]> => {
    const heard: string[] = [];
    await clock.sleep(phase * 10_000);
    for (let evaluation = 0; evaluation < minutes * 6; evaluation += 1) {
      const answers = [builtin.windows('request-success-rate', request(canary, namespace)), builtin.windows('request-duration', request(canary, namespace))];
      const checks = evaluation % 6 === 5 ? [builtin.measure('request-success-rate', request(canary, namespace)), builtin.measure('request-duration', request(canary, namespace))] : [];
      const due = clock.now() + 10_000;
      heard.push(...(await Promise.all([...answers, ...checks])).map(({ kind }) => kind));
      await clock.sleep(due - clock.now());
    }
    return heard;
  };
  return { clock, asked, state, builtin, request, run };
}
