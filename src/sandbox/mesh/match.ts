import type { IncomingHttpHeaders } from 'node:http';
import { toRegExp } from './schema.js';
import type { Redirect, Rewrite, Route, RouteMatch, StringMatch } from './types.js';

/** The parts of a request that routes look at. */
export interface RequestView {
  method: string;
  authority: string;
  /** Without the query. */
  path: string;
  /** With its `?`; empty without one. */
  query: string;
  headers: IncomingHttpHeaders;
}

/** Route tables live as long as their configuration, and use few patterns. */
const compiled = new Map<string, RegExp>();

const regExp = (text: string, ignoreCase: boolean): RegExp => {
  const key = `${ignoreCase}${text}`;
  let known = compiled.get(key);
  if (known === undefined) {
    known = toRegExp(text, ignoreCase);
    if (compiled.size > 1000) compiled.clear();
    compiled.set(key, known);
  }
  return known;
};

const holds = (match: StringMatch, value: string, ignoreCase = false): boolean => {
  if (match.kind === 'present') return true;
  if (match.kind === 'regex') return regExp(match.value, false).test(value);
  const [wanted, given] = ignoreCase ? [match.value.toLowerCase(), value.toLowerCase()] : [match.value, value];
  return match.kind === 'exact' ? given === wanted : given.startsWith(wanted);
};

const headerValue = (request: RequestView, name: string): string | undefined => {
  if (name === ':authority' || name === 'host') return request.authority;
  if (name === ':method') return request.method;
  if (name === ':path') return request.path + request.query;
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
};

const headersHold = (match: RouteMatch, request: RequestView): boolean => {
  for (const [name, wanted] of Object.entries(match.headers ?? {})) {
    const value = headerValue(request, name);
    if (value === undefined || !holds(wanted, value)) return false;
  }
  for (const [name, unwanted] of Object.entries(match.withoutHeaders ?? {})) {
    const value = headerValue(request, name);
    // A missing header counts as an empty one here, except where the rule is "must not be there".
    if (unwanted.kind === 'present' ? value !== undefined : holds(unwanted, value ?? '')) return false;
  }
  return true;
};

const queryHolds = (match: RouteMatch, request: RequestView): boolean => {
  if (match.queryParams === undefined) return true;
  const parameters = new URLSearchParams(request.query);
  return Object.entries(match.queryParams).every(([name, wanted]) => {
    const value = parameters.get(name);
    return value !== null && holds(wanted, value);
  });
};

/** Whether every condition of a match holds. */
const matches = (match: RouteMatch | undefined, request: RequestView): boolean => {
  if (match === undefined) return true;
  if (match.uri && !holds(match.uri, request.path, match.ignoreUriCase)) return false;
  if (match.method && !holds(match.method, request.method)) return false;
  if (match.authority && !holds(match.authority, request.authority)) return false;
  if (match.scheme && !holds(match.scheme, 'http')) return false;
  return headersHold(match, request) && queryHolds(match, request);
};

export const findRoute = (routes: readonly Route[], request: RequestView): Route | undefined =>
  routes.find((route) => matches(route.match, request));

/** The length of the path's part that a rewrite replaces. */
const matchedLength = (match: RouteMatch | undefined, path: string): number => {
  if (match?.uri?.kind === 'prefix') return match.uri.value.length;
  return match?.uri === undefined ? 1 : path.length;
};

/** Path (with query) that the upstream gets. */
export const rewritePath = (request: RequestView, route: Route): string => {
  const rewrite: Rewrite | undefined = route.rewrite;
  if (rewrite?.uriRegex !== undefined) {
    const search = new RegExp(toRegExp(rewrite.uriRegex.match, false).source.slice(4, -2), 'g');
    return request.path.replace(search, rewrite.uriRegex.rewrite.replaceAll(/\\([0-9])/g, '$$$1')) + request.query;
  }
  if (rewrite?.uri === undefined) return request.path + request.query;
  return rewrite.uri + request.path.slice(matchedLength(route.match, request.path)) + request.query;
};

export const redirectLocation = (request: RequestView, redirect: Redirect): string => {
  const scheme = redirect.scheme ?? 'http';
  const [host = '', port] = (redirect.authority ?? request.authority).split(':');
  const wanted = redirect.port === undefined ? port : String(redirect.port);
  const authority = wanted === undefined || wanted === (scheme === 'https' ? '443' : '80') ? host : `${host}:${wanted}`;
  return `${scheme}://${authority}${redirect.uri ?? request.path + request.query}`;
};
