import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
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
  const retryAfter = retryAfterSeconds(headers['retry-after']) ?? status?.details?.retryAfterSeconds;
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

/** `Retry-After` is seconds or an HTTP date (RFC 9110 section 10.2.3). */
function retryAfterSeconds(header: string | undefined): number | undefined {
  if (!header) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}
