import type { ProviderQuery } from './provider.js';

/** What a Secret with `token`, or `username` and `password`, says to a server; nothing without them. */
export function authorizationOf({ credentials }: ProviderQuery, scheme = 'Bearer'): Record<string, string> {
  const token = credentials?.['token']?.trim();
  if (token) return { Authorization: `${scheme} ${token}` };
  const { username, password } = credentials ?? {};
  if (!username && !password) return {};
  return { Authorization: `Basic ${Buffer.from(`${username ?? ''}:${password ?? ''}`).toString('base64')}` };
}
