import { z } from 'zod';
import type { ApiRequest, JsonApi, Refusal } from './json-api.js';
import type { Lent } from './tokens.js';

const tokenAnswer = z.object({ access_token: z.string().min(1), expires_in: z.coerce.number().positive() });
const tokenError = z.object({ error: z.string(), error_description: z.string().optional() });

/**
 * A token for what `form` shows (RFC 6749), or for what `request` asks by itself.
 * @param now unix milliseconds
 * @throws Failure
 */
export async function accessToken(
  api: JsonApi,
  now: () => number,
  request: Pick<ApiRequest<unknown>, 'url' | 'own' | 'secretName' | 'secrets'>,
  form?: Record<string, string>,
): Promise<Lent<string>> {
  const { access_token: value, expires_in: seconds } = await api.exchange({
    ...request,
    ...(form && { body: new URLSearchParams(form).toString() }),
    own: { ...request.own, ...(form && { 'Content-Type': 'application/x-www-form-urlencoded' }) },
    answer: tokenAnswer,
    refusal,
  });
  return { value, expiresAt: now() + seconds * 1000 };
}

function refusal(body: unknown): Refusal | undefined {
  const error = tokenError.safeParse(body).data;
  if (!error) return undefined;
  const busy = /temporarily_unavailable|server_error/.test(error.error);
  const [firstLine = ''] = (error.error_description ?? '').split(/\r?\n/);
  // Whatever is wrong lies in the credentials, or in what the cloud knows of them: neither is the fault of the query.
  return { message: [error.error, firstLine].filter(Boolean).join(': '), denied: !busy, permanent: false };
}
