import type { ProviderQuery } from './provider.js';

/** Keys of Secrets whose values say who asks whom, and give nothing away. */
const PUBLIC = new Set(['ca.crt', 'project', 'org', 'tenantId', 'clientId', 'newrelic_account_id']);

/** A shorter text than this is no secret, and blotting it out would make messages unreadable. */
const MIN_LENGTH = 4;

/** What of a template and its Secret must not appear in messages. */
export function secretsOf({ credentials = {}, provider }: ProviderQuery): string[] {
  const secret = Object.entries(credentials).flatMap(([key, value]) => (PUBLIC.has(key) ? [] : [value]));
  return [...secret, ...Object.values(provider.headers ?? {})].flatMap((value) => [value, value.trim()]);
}

/** A text without the secrets that somebody repeated in it. */
export function withoutSecrets(text: string, secrets: Iterable<string>): string {
  const longestFirst = [...secrets].filter((secret) => secret.length >= MIN_LENGTH).toSorted((a, b) => b.length - a.length);
  return longestFirst.reduce((result, secret) => result.replaceAll(secret, '***'), text);
}
