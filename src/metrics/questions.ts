import type { z } from 'zod';
import { Failure, type ApiRequest } from './json-api.js';
import type { ProviderQuery } from './provider.js';
import { secretsOf } from './secrets.js';

/** Settings of a provider with its defaults; an absent object is an empty one. @throws Failure */
export function settingsOf<T>(schema: z.ZodType<T>, query: ProviderQuery): T {
  const { type } = query.provider;
  const given: unknown = (query.provider as Record<string, unknown>)[type];
  const parsed = schema.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = [`spec.provider.${type}`, ...(issue?.path ?? [])].join('.');
  throw new Failure(`${field}: ${issue?.message ?? 'is not as it should be'}`, true);
}

/**
 * The address to ask at; without one, `standard`. Its own path is kept, `path` is added.
 * @throws Failure when it is not an http or https address, or holds a password; its text is not repeated.
 */
export function endpoint(query: ProviderQuery, standard: string, path: string): URL {
  const text = query.address || standard;
  const field = 'spec.provider.address';
  const base = URL.canParse(text) ? new URL(text) : undefined;
  if (!base || (base.protocol !== 'https:' && base.protocol !== 'http:')) {
    throw new Failure(`${field} is not an http:// or https:// address`, true);
  }
  if (base.username !== '' || base.password !== '') {
    throw new Failure(`${field} holds a user or a password; put credentials into a Secret and name it in provider.secretRef`, true);
  }
  base.pathname = `${base.pathname.replace(/\/+$/, '')}${path}`;
  base.hash = '';
  return base;
}

/** The first of `keys` that the Secret has, without the newline that editors leave. @throws Failure */
export function credential(query: ProviderQuery, ...keys: [string, ...string[]]): string {
  for (const key of keys) {
    const value = query.credentials?.[key]?.trim();
    if (value) return value;
  }
  const wanted = keys.map((key) => `"${key}"`).join(' or ');
  const secret = query.provider.secretRef?.name;
  if (secret === undefined) {
    throw new Failure(`spec.provider.secretRef is needed: a Secret with ${wanted}`, true);
  }
  // The Secret may be mended while the check waits.
  throw new Failure(`the Secret "${secret}" has no ${wanted}`, false);
}

export const secretName = (query: ProviderQuery): string | undefined => query.provider.secretRef?.name;

/**
 * The identity that a cloud gives the controller is shown to that cloud and nobody else: whoever may write a MetricTemplate must not
 * get it sent to a place of his own.
 * @param own whether the address is the cloud's
 * @throws Failure
 */
export function keepIdentity(query: ProviderQuery, own: boolean, cloud: string, instead: string): void {
  const { insecureSkipVerify, headers = {} } = query.provider;
  // A front end that many services are behind goes by the header.
  const astray = Object.keys(headers).some((name) => name.toLowerCase() === 'host');
  if (own && !insecureSkipVerify && !astray && query.credentials?.['ca.crt'] === undefined) return;
  throw new Failure(`the identity of the controller is shown to ${cloud} only; ${instead}, or leave address, insecureSkipVerify, ca.crt and the header Host out`, true);
}

/** What every request takes over from the template. `secrets`: all that it holds, and what was exchanged for it. */
export function fromTemplate(query: ProviderQuery, exchanged: string[] = []): Pick<ApiRequest<unknown>, 'headers' | 'insecureSkipVerify' | 'ca' | 'secretName' | 'secrets'> {
  return {
    headers: query.provider.headers,
    insecureSkipVerify: query.provider.insecureSkipVerify,
    ca: query.credentials?.['ca.crt'],
    secretName: secretName(query),
    secrets: [...secretsOf(query), ...exchanged],
  };
}
