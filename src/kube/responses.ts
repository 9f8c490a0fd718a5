import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { retryAfterSeconds } from '../net/retry-after.js';
import { KubeError } from './types.js';

const statusSchema = z.looseObject({
  kind: z.literal('Status'),
  code: z.number().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  details: z.looseObject({ retryAfterSeconds: z.number().optional() }).nullish(),
});

/** `metav1.StatusReason` for answers that are no `Status` (proxies, APF before authentication). */
const REASONS: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** How much of a body that is no `Status` is quoted, in characters. */
const QUOTE_LENGTH = 200;

/** Turns a refusal into a KubeError. `what` names the request: `get deployments.apps shop/reviews`. */
export function refusal(what: string, code: number, headers: IncomingHttpHeaders, body: string): KubeError {
  const status = parseStatus(body);
  const retryAfter = retryAfterSeconds(headers['retry-after'], Date.now()) ?? status?.details?.retryAfterSeconds;
  const message = status?.message ?? (body.trim().slice(0, QUOTE_LENGTH) || `HTTP ${code}`);
  return new KubeError(code, status?.reason || REASONS[code] || 'Unknown', `${what}: ${message}`, retryAfter);
}

/** The `Status` inside a watch's `ERROR` event. */
export function statusError(what: string, status: unknown): KubeError {
  const parsed = statusSchema.safeParse(status);
  const { code = 500, reason, message } = parsed.success ? parsed.data : {};
  return new KubeError(
    code,
    reason || REASONS[code] || 'Unknown',
    `${what}: ${message ?? 'the server ended the watch with an error'}`,
  );
}

function parseStatus(body: string): z.infer<typeof statusSchema> | undefined {
  try {
    const parsed = statusSchema.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
