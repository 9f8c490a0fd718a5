/** Requests for which a route of the user's and something of Sluice's both hold, as a list of Istio's HTTPMatchRequest. */
import type { StringMatch as Wanted, TrafficMatch } from '../../api/index.js';

type Match = Record<string, unknown>;
/** Istio's StringMatch; empty means that the header is there. */
interface StringMatch {
  exact?: string;
  prefix?: string;
  regex?: string;
}

const escapeRegex = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** Istio has no `suffix`. */
const istioMatch = ({ suffix, ...rest }: Wanted): StringMatch => (suffix === undefined ? rest : { regex: `.*${escapeRegex(suffix)}` });

const mapValues = <A, B>(record: Record<string, A>, change: (value: A) => B, key: (name: string) => string = (name) => name): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [key(name), change(value)]));

/** One match of a Canary, the way Istio writes it. */
export const toIstio = ({ headers, queryParams, sourceLabels }: TrafficMatch): Match => ({
  ...(headers ? { headers: mapValues(headers, istioMatch, (name) => name.toLowerCase()) } : {}),
  ...(queryParams ? { queryParams: mapValues(queryParams, istioMatch) } : {}),
  ...(sourceLabels ? { sourceLabels } : {}),
});

/** Requests that carry a cookie with exactly this value. */
export const cookieMatch = ({ name, value }: { name: string; value: string }): Match => ({
  headers: { cookie: { regex: `^(.*;\\s*)?${escapeRegex(name)}=${escapeRegex(value)}(\\s*;.*)?$` } },
});

const NEVER = 'never';
const UNKNOWN = 'unknown';

/** RE2 for a whole string, as far as JavaScript can tell; undefined when it cannot. */
function holds(regex: string, text: string): boolean | undefined {
  try {
    return new RegExp(`^(?:${regex.replaceAll('(?P<', '(?<')})$`, 'u').test(text);
  } catch {
    return undefined;
  }
}

const isPresence = (match: StringMatch): boolean => match.exact === undefined && match.prefix === undefined && match.regex === undefined;

const isSame = (one: StringMatch, other: StringMatch): boolean => one.exact === other.exact && one.prefix === other.prefix && one.regex === other.regex;

/** Two conditions on one value as one condition. `unknown` when Istio's matches cannot say it. */
function bothStrings(one: StringMatch, other: StringMatch): StringMatch | typeof NEVER | typeof UNKNOWN {
  if (isPresence(one)) return other;
  if (isPresence(other) || isSame(one, other)) return one;
  const [exact, rest] = one.exact === undefined ? [other.exact, one] : [one.exact, other];
  if (exact !== undefined) {
    const held = rest.regex !== undefined ? holds(rest.regex, exact) : rest.exact !== undefined ? rest.exact === exact : exact.startsWith(rest.prefix ?? '');
    return held === undefined ? UNKNOWN : held ? { exact } : NEVER;
  }
  if (one.prefix === undefined || other.prefix === undefined) return UNKNOWN;
  const [short, long] = one.prefix.length < other.prefix.length ? [one.prefix, other.prefix] : [other.prefix, one.prefix];
  return long.startsWith(short) ? { prefix: long } : NEVER;
}

const record = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {});

interface Joined {
  match?: Match;
  fault?: string;
}

function joinMaps(user: Match, wanted: Match, field: 'headers' | 'queryParams'): { map?: Record<string, unknown>; never?: true; fault?: string } {
  if (user[field] === undefined && wanted[field] === undefined) return {};
  const map = { ...record(user[field]) };
  for (const [name, match] of Object.entries(record(wanted[field]))) {
    const known = Object.keys(map).find((key) => (field === 'headers' ? key.toLowerCase() : key) === name);
    const joined = known === undefined ? (match as StringMatch) : bothStrings(record(map[known]), match as StringMatch);
    if (joined === NEVER) return { never: true };
    if (joined === UNKNOWN) return { fault: `${field === 'headers' ? 'header' : 'query parameter'} "${name}" is matched by the route too, and Istio has no match for both conditions at once` };
    map[known ?? name] = joined;
  }
  return { map };
}

function join(user: Match, wanted: Match): Joined {
  const joined: Match = { ...user };
  for (const field of ['headers', 'queryParams'] as const) {
    const { map, never, fault } = joinMaps(user, wanted, field);
    if (never) return {};
    if (fault) return { fault };
    if (map) joined[field] = map;
  }
  const labels = Object.entries(record(wanted['sourceLabels']));
  const known = record(user['sourceLabels']);
  if (labels.some(([name, value]) => known[name] !== undefined && known[name] !== value)) return {};
  if (labels.length > 0) joined['sourceLabels'] = { ...known, ...Object.fromEntries(labels) };
  return { match: joined };
}

/**
 * What a route of the user's (any of its matches; none at all means every request) and any of `wanted` have in common. Empty when
 * no request can be both. `faults` names what Istio cannot express.
 */
export function conjoin(user: unknown, wanted: Match[]): { matches: Match[]; faults: string[] } {
  const own: unknown[] = Array.isArray(user) && user.length > 0 ? user : [{}];
  const joined = own.flatMap((match) => wanted.map((more) => join(record(match), more)));
  return {
    matches: joined.flatMap(({ match }) => (match ? [match] : [])),
    faults: [...new Set(joined.flatMap(({ fault }) => (fault ? [fault] : [])))],
  };
}
