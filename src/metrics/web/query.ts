import { z } from 'zod';
import type { WebSettings } from '../../api/metric-providers/web.js';
import { Failure, type ApiRequest } from '../json-api.js';
import { authorizationOf } from '../http-auth.js';
import type { ProviderQuery } from '../provider.js';
import { endpoint, fromTemplate } from '../questions.js';

/** Any JSON. */
const json = z.unknown();
/** Where a path leads into it, there has to be something to look into. */
const structured = z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]);

/** Keys of the Secret that become headers: `header.X-Api-Key`. */
const HEADER = 'header.';

/** @throws Failure */
export function webRequest(query: ProviderQuery, { method, path = '', body }: WebSettings, steps: readonly unknown[]): ApiRequest<unknown> {
  const url = endpoint(query, '', '');
  const target = within(url, path);
  if (!target) throw new Failure('spec.provider.web.path leads to another address; it begins with "/" or "?"', true);
  return {
    url: target,
    ...(method === 'POST' ? { body: body ?? '' } : {}),
    ...fromTemplate(query),
    own: { ...authorizationOf(query), ...secretHeaders(query) },
    ...(method === 'POST' ? { headers: { 'content-type': 'application/json', ...lowerCase(query.provider.headers ?? {}) } } : {}),
    answer: steps.length === 0 ? json : structured,
  };
}

/** The address with the path behind it; undefined when that is a place outside of the address. */
function within(base: URL, path: string): URL | undefined {
  if (path === '') return base;
  if (!/^[/?]/.test(path)) return undefined;
  const prefix = base.pathname.replace(/\/+$/, '');
  const url = new URL(base);
  const [before = '', ...after] = path.split('?');
  url.pathname = `${prefix}${before}`;
  if (after.length > 0) url.search = after.join('?');
  return url.pathname.startsWith(prefix) ? url : undefined;
}

const lowerCase = (headers: Record<string, string>): Record<string, string> => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

const secretHeaders = ({ credentials = {} }: ProviderQuery): Record<string, string> =>
  Object.fromEntries(Object.entries(credentials).flatMap(([key, value]) => (key.startsWith(HEADER) ? [[key.slice(HEADER.length), value.trim()]] : [])));
