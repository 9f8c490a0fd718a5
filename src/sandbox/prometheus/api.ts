import { percentDecoded } from '../../net/percent.js';
import { formatDuration } from './format.js';
import { BadDataError, durationParameter, invalidParameter, limitParameter, requiredTime, timeParameter } from './parameters.js';
import { EvaluationError, ParseError, QueryTimeoutError } from './promql/errors.js';
import { parseSelector } from './promql/parser.js';
import { type QueryData, type QueryEngine, type QueryLimits } from './query.js';
import type { Scraper } from './scraper.js';
import type { Database } from './storage/database.js';
import type { Series } from './storage/series.js';

const MAX_POINTS = 11_000;
const DEFAULT_TIMEOUT_MS = 120_000;

export interface ApiContext {
  database: Database;
  engine: QueryEngine;
  scraper: Scraper;
  now: () => number;
  lookbackMs: number;
  intervalMs: number;
}

/** An answer of the HTTP API: the status and the JSON body. */
export interface ApiAnswer {
  status: number;
  body: { status: 'success'; data: unknown; warnings?: string[] } | { status: 'error'; errorType: string; error: string };
}

const TRUNCATED = ['results truncated due to limit'];

/** Answers a path below /api/v1; undefined when Prometheus has no such endpoint. Errors become answers of the real shape. */
export function answerApi(context: ApiContext, path: string, params: URLSearchParams): ApiAnswer | undefined {
  const handler = findHandler(path);
  if (handler === undefined) return undefined;
  try {
    return handler(context, params);
  } catch (error) {
    return failure(error);
  }
}

type Handler = (context: ApiContext, params: URLSearchParams) => ApiAnswer;

function findHandler(path: string): Handler | undefined {
  const values = /^label\/([^/]+)\/values$/.exec(path);
  if (values !== null) return (context, params) => labelValues(context, params, percentDecoded(values[1]!) ?? values[1]!);
  return HANDLERS.get(path);
}

const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['query', instantQuery],
  ['query_range', rangeQuery],
  ['series', series],
  ['labels', labelNames],
  ['targets', targets],
  ['metadata', metadata],
  ['status/buildinfo', buildInfo],
]);

function success(data: unknown, warnings?: string[]): ApiAnswer {
  return { status: 200, body: warnings === undefined ? { status: 'success', data } : { status: 'success', data, warnings } };
}

function failure(error: unknown): ApiAnswer {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof BadDataError) return { status: 400, body: { status: 'error', errorType: 'bad_data', error: message } };
  if (error instanceof QueryTimeoutError) return { status: 503, body: { status: 'error', errorType: 'timeout', error: message } };
  if (error instanceof EvaluationError) return { status: 422, body: { status: 'error', errorType: 'execution', error: message } };
  return { status: 500, body: { status: 'error', errorType: 'internal', error: message } };
}

function queryLimits(context: ApiContext, params: URLSearchParams): QueryLimits {
  const asked = params.get('timeout') ? durationParameter(params, 'timeout') : DEFAULT_TIMEOUT_MS;
  const lookback = params.get('lookback_delta') ? durationParameter(params, 'lookback_delta') : context.lookbackMs;
  return { timeoutMs: Math.min(asked, DEFAULT_TIMEOUT_MS), lookbackMs: lookback };
}

function runQuery(run: () => QueryData, limit: number): ApiAnswer {
  try {
    const data = run();
    if (limit === 0 || (data.resultType !== 'vector' && data.resultType !== 'matrix') || data.result.length <= limit)
      return success(data);
    return success({ ...data, result: data.result.slice(0, limit) }, TRUNCATED);
  } catch (error) {
    if (error instanceof EvaluationError || error instanceof QueryTimeoutError || !(error instanceof Error)) throw error;
    throw invalidParameter('query', error.message);
  }
}

function instantQuery(context: ApiContext, params: URLSearchParams): ApiAnswer {
  const limit = limitParameter(params);
  const at = timeParameter(params, 'time', context.now());
  const limits = queryLimits(context, params);
  return runQuery(() => context.engine.instant(params.get('query') ?? '', at, limits), limit);
}

function rangeQuery(context: ApiContext, params: URLSearchParams): ApiAnswer {
  const limit = limitParameter(params);
  const start = requiredTime(params, 'start');
  const end = requiredTime(params, 'end');
  if (end < start) throw invalidParameter('end', 'end timestamp must not be before start time');
  const step = durationParameter(params, 'step');
  if (step <= 0) {
    throw invalidParameter('step', 'zero or negative query resolution step widths are not accepted. Try a positive integer');
  }
  if (Math.trunc((end - start) / step) > MAX_POINTS) {
    throw new BadDataError(
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    );
  }
  const limits = queryLimits(context, params);
  return runQuery(
    () => context.engine.range(params.get('query') ?? '', start, end, Math.max(1, Math.trunc(step)), limits),
    limit,
  );
}

/** The series that the `match[]` parameters select and that have samples between `start` and `end`. */
function matched(context: ApiContext, params: URLSearchParams): Series[] {
  const start = timeParameter(params, 'start', Number.NEGATIVE_INFINITY);
  const end = timeParameter(params, 'end', Number.POSITIVE_INFINITY);
  const found = new Set<Series>();
  for (const selector of params.getAll('match[]')) {
    for (const one of context.database.select(selectorMatchers(selector))) {
      if (one.firstMs <= end && one.lastMs >= start) found.add(one);
    }
  }
  return [...found];
}

function selectorMatchers(selector: string): ReturnType<typeof parseSelector> {
  try {
    return parseSelector(selector);
  } catch (error) {
    if (error instanceof ParseError) throw invalidParameter('match[]', error.message);
    throw error;
  }
}

function limited(values: unknown[], params: URLSearchParams): ApiAnswer {
  const limit = limitParameter(params);
  return limit > 0 && values.length > limit ? success(values.slice(0, limit), TRUNCATED) : success(values);
}

function series(context: ApiContext, params: URLSearchParams): ApiAnswer {
  if (params.getAll('match[]').length === 0) throw new BadDataError('no match[] parameter provided');
  return limited(
    matched(context, params).map((one) => one.labels.toObject()),
    params,
  );
}

function labelNames(context: ApiContext, params: URLSearchParams): ApiAnswer {
  if (params.getAll('match[]').length === 0) return limited(context.database.labelNames(), params);
  const names = new Set(matched(context, params).flatMap((one) => one.labels.pairs.map(([name]) => name)));
  return limited([...names].toSorted(), params);
}

function labelValues(context: ApiContext, params: URLSearchParams, name: string): ApiAnswer {
  if (name === '') throw new BadDataError(`invalid label name: ${JSON.stringify(name)}`);
  if (params.getAll('match[]').length === 0) return limited(context.database.labelValues(name), params);
  const values = new Set(matched(context, params).map((one) => one.labels.get(name)));
  values.delete('');
  return limited([...values].toSorted(), params);
}

function targets(context: ApiContext, params: URLSearchParams): ApiAnswer {
  const interval = formatDuration(context.intervalMs);
  const active = context.scraper.states.map((state) => ({
    discoveredLabels: { __address__: state.target.instance, job: state.target.job },
    labels: state.labels.toObject(),
    scrapePool: state.target.job,
    scrapeUrl: state.target.url,
    globalUrl: state.target.url,
    lastError: state.lastError,
    lastScrape: state.lastScrapeMs === 0 ? '0001-01-01T00:00:00Z' : new Date(state.lastScrapeMs).toISOString(),
    lastScrapeDuration: state.lastDurationSeconds,
    health: state.health,
    scrapeInterval: interval,
    scrapeTimeout: formatDuration(Math.min(context.intervalMs, 10_000)),
  }));
  const dropped = params.get('state') === 'dropped';
  return success({ activeTargets: dropped ? [] : active, droppedTargets: [], droppedTargetCounts: {} });
}

function metadata(context: ApiContext, params: URLSearchParams): ApiAnswer {
  const limit = limitParameter(params);
  const wanted = params.get('metric') ?? '';
  const found: Record<string, { type: string; help: string; unit: string }[]> = {};
  for (const [name, { type, help }] of context.scraper.metadata) {
    if (wanted !== '' && wanted !== name) continue;
    if (limit > 0 && Object.keys(found).length >= limit) break;
    found[name] = [{ type, help, unit: '' }];
  }
  return success(found);
}

/** The version is that of the Prometheus whose answers the recorded tests hold this one to. */
function buildInfo(): ApiAnswer {
  return success({ version: '3.15.0', revision: 'sluice-sandbox', branch: '', buildUser: '', buildDate: '', goVersion: '' });
}
