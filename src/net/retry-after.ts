/**
 * Seconds that a `Retry-After` header asks to wait: a number of seconds or an HTTP date (RFC 9110, 10.2.3). Undefined when the
 * header is absent or makes no sense.
 * @param now unix milliseconds
 */
export function retryAfterSeconds(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  // Some servers give fractions, which the RFC has not.
  if (/^\s*\d{1,9}(\.\d{1,9})?\s*$/.test(header)) return Math.ceil(Number(header));
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}
