import { parseDurationMs, parseFloatStrict } from './promql/literals.js';

/** A request that the HTTP API answers with 400 `bad_data`. */
export class BadDataError extends Error {
  override name = 'BadDataError';
}

/** Wraps what is wrong with a parameter as Prometheus does: `invalid parameter "step": …`. */
export function invalidParameter(name: string, reason: string): BadDataError {
  return new BadDataError(`invalid parameter "${name}": ${reason}`);
}

/** Unix seconds or RFC 3339 as milliseconds; undefined when it is neither. */
function parseTimeMs(text: string): number | undefined {
  const seconds = parseFloatStrict(text);
  if (seconds !== undefined && Number.isFinite(seconds)) return Math.round(seconds * 1000);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** A time parameter in milliseconds, `fallback` when it is not given. @throws BadDataError */
export function timeParameter(params: URLSearchParams, name: string, fallback: number): number {
  const text = params.get(name) ?? '';
  if (text === '') return fallback;
  const parsed = parseTimeMs(text);
  if (parsed !== undefined) return parsed;
  throw invalidParameter(name, `invalid time value for '${name}': cannot parse ${JSON.stringify(text)} to a valid timestamp`);
}

/** A time parameter that must be given. @throws BadDataError */
export function requiredTime(params: URLSearchParams, name: string): number {
  const text = params.get(name) ?? '';
  const parsed = parseTimeMs(text);
  if (parsed === undefined) throw invalidParameter(name, `cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  return parsed;
}

/** A duration parameter (seconds or `1m`), in milliseconds. @throws BadDataError */
export function durationParameter(params: URLSearchParams, name: string): number {
  const text = params.get(name) ?? '';
  const seconds = parseFloatStrict(text);
  const parsed = seconds !== undefined && Number.isFinite(seconds) ? seconds * 1000 : parseDurationMs(text);
  if (parsed === undefined) throw invalidParameter(name, `cannot parse ${JSON.stringify(text)} to a valid duration`);
  return parsed;
}

/** The `limit` parameter; 0, the default, means none. @throws BadDataError */
export function limitParameter(params: URLSearchParams): number {
  const text = params.get('limit') ?? '';
  if (text === '') return 0;
  if (!/^-?\d+$/.test(text)) throw invalidParameter('limit', `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (text.startsWith('-')) throw invalidParameter('limit', 'limit must be non-negative');
  return Number(text);
}
