import type { BuiltinMetric } from './queries.js';

/** `NAMESPACE/SERVICE`. */
export type ServiceKey = string;

/** What is to be known: of each metric, the services by the end of the window. */
export type Wanted = Map<BuiltinMetric, Map<number, Set<ServiceKey>>>;

/** One query: the windows that end at `start`, `start` + grid, … up to `end`, for all these services. */
export interface Question {
  start: number;
  end: number;
  services: ReadonlyMap<BuiltinMetric, ReadonlySet<ServiceKey>>;
}

/** Series of one service: response codes of requests and tries, or the buckets of Istio's histogram. */
const SERIES: Record<BuiltinMetric, number> = { 'request-success-rate': 8, 'request-duration': 22 };
/** Of an answer in JSON: the labels of a series, and each of its values. */
const SERIES_BYTES = 180;
const POINT_BYTES = 30;
/** An answer should not be longer. The client reads 16 MiB at most. */
const ANSWER_BYTES = 10_000_000;
/** Services in one query: their names are in it several times. */
const MAX_SERVICES = 2_000;
/** Fewer are not asked for apart: then it is not their number that the server cannot bear. */
const MIN_SERVICES = 8;
/** Prometheus gives 11,000 values of a series at most. */
const MAX_WINDOWS = 10_000;

/** How large one question may be. */
export interface Limits {
  services: number;
  windows: number;
}
export const LARGEST: Limits = { services: MAX_SERVICES, windows: MAX_WINDOWS };

/** Half of a question's size: of its services while there are many, else of its windows. */
export function smallerThan(question: Question, gridMs: number): Limits {
  const services = namesOf(question.services).length;
  if (services > MIN_SERVICES) return { services: Math.ceil(services / 2), windows: MAX_WINDOWS };
  return { services: MIN_SERVICES, windows: Math.ceil(((question.end - question.start) / gridMs + 1) / 2) };
}

/** The fewest queries for all that is wanted. */
export function plan(wanted: Wanted, gridMs: number, limits: Limits): Question[] {
  return [...alike(wanted).values()].flatMap(({ ends, services }) => runs(ends, gridMs).flatMap((run) => divide(run, services, gridMs, limits)));
}

const namesOf = (services: Question['services']): ServiceKey[] => [...new Set([...services.values()].flatMap((some) => [...some]))].toSorted();

/** Services that lack the same windows are asked for together. */
function alike(wanted: Wanted): Map<string, { ends: number[]; services: Map<BuiltinMetric, Set<ServiceKey>> }> {
  const groups = new Map<string, { ends: number[]; services: Map<BuiltinMetric, Set<ServiceKey>> }>();
  for (const [metric, byEnd] of wanted) {
    const missing = new Map<ServiceKey, number[]>();
    for (const [end, services] of [...byEnd].toSorted(([a], [b]) => a - b)) for (const service of services) appended(missing, service, end);
    for (const [service, ends] of missing) {
      const key = ends.join();
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { ends, services: new Map() }));
      let services = group.services.get(metric);
      if (!services) group.services.set(metric, (services = new Set()));
      services.add(service);
    }
  }
  return groups;
}

function appended<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

/** Windows that follow each other, so that nothing is asked for that is known. */
function runs(ends: readonly number[], gridMs: number): number[][] {
  const found: number[][] = [];
  for (const end of ends) {
    const last = found.at(-1);
    if (last && end - (last.at(-1) ?? 0) === gridMs) last.push(end);
    else found.push([end]);
  }
  return found;
}

function divide(ends: readonly number[], services: Map<BuiltinMetric, Set<ServiceKey>>, gridMs: number, limits: Limits): Question[] {
  const names = namesOf(services);
  const series = [...services.keys()].reduce((sum, metric) => sum + SERIES[metric], 0);
  const most = Math.max(MIN_SERVICES, Math.min(limits.services, Math.floor(ANSWER_BYTES / series / (SERIES_BYTES + POINT_BYTES))));
  const perQuery = Math.ceil(names.length / Math.ceil(names.length / most));
  const windows = Math.max(1, Math.min(limits.windows, Math.floor((ANSWER_BYTES / (perQuery * series) - SERIES_BYTES) / POINT_BYTES)));
  const questions: Question[] = [];
  for (let at = 0; at < names.length; at += perQuery) {
    const part = only(services, new Set(names.slice(at, at + perQuery)));
    for (let from = 0; from < ends.length; from += windows) {
      const start = ends[from] ?? 0;
      questions.push({ start, end: start + (Math.min(windows, ends.length - from) - 1) * gridMs, services: part });
    }
  }
  return questions;
}

function only(services: Question['services'], names: ReadonlySet<ServiceKey>): Map<BuiltinMetric, ReadonlySet<ServiceKey>> {
  const kept = [...services].map(([metric, some]) => [metric, new Set([...some].filter((name) => names.has(name)))] as const);
  return new Map(kept.filter(([, some]) => some.size > 0));
}

/** The same in two questions, or undefined for one that is small as it is. */
export function halves({ start, end, services }: Question, gridMs: number): [Question, Question] | undefined {
  const names = namesOf(services);
  if (names.length > MIN_SERVICES) {
    const middle = Math.ceil(names.length / 2);
    return [
      { start, end, services: only(services, new Set(names.slice(0, middle))) },
      { start, end, services: only(services, new Set(names.slice(middle))) },
    ];
  }
  if (start === end) return undefined;
  const middle = start + Math.floor((end - start) / gridMs / 2) * gridMs;
  return [
    { start, end: middle, services },
    { start: middle + gridMs, end, services },
  ];
}
