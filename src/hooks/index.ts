import { setTimeout as sleepFor } from 'node:timers/promises';
import type { AxiosInstance } from 'axios';
import { durationMs, type WebhookSpec } from '../api/index.js';
import type { HookAnswer, HookCaller, HookPayload } from '../engine/ports.js';
import type { EgressPolicy } from '../net/egress.js';
import { createHttp, TransportError, type Http, type HttpResponse } from '../net/http.js';
import { retryAfterSeconds } from '../net/retry-after.js';

export interface HookOptions {
  egress?: EgressPolicy;
  axios?: AxiosInstance;
  /** Unix milliseconds; default is the system's clock. */
  clock?: { now(): number };
  /** Waits so many milliseconds between two attempts. */
  sleep?: (ms: number) => Promise<unknown>;
}

/** How much of a refusal goes into the message, bytes. */
const REFUSAL_BYTES = 512;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/** What one attempt came to. `pauseMs` is what the receiver asked for; `hung` attempts have waited long enough already. */
type Attempt = { answer: HookAnswer; again: false } | { answer: HookAnswer; again: true; hung: boolean; pauseMs?: number };

/** Calls webhooks. A call ends within the webhook's timeout × (retries + 1), pauses included. `close` ends idle connections. */
export function createHookCaller(options: HookOptions = {}): HookCaller & { close(): void } {
  const http = createHttp(options.egress, options.axios);
  const clock = options.clock ?? { now: () => Date.now() };
  const sleep = options.sleep ?? (async (ms: number) => await sleepFor(ms));
  const attempts = async (webhook: WebhookSpec, payload: HookPayload): Promise<HookAnswer> => {
    const timeoutMs = durationMs(webhook.timeout);
    const until = clock.now() + timeoutMs * (webhook.retries + 1);
    for (let retry = 0; ; retry++) {
      const attempt = await tryOnce(http, webhook, payload, Math.min(timeoutMs, until - clock.now()), clock.now());
      if (!attempt.again || retry >= webhook.retries) return attempt.answer;
      const pause = attempt.hung ? 0 : (attempt.pauseMs ?? pauseBefore(retry, timeoutMs));
      if (clock.now() + pause >= until) return attempt.answer;
      if (pause > 0) await sleep(pause);
    }
  };
  return {
    async call(webhook, payload) {
      try {
        return await attempts(webhook, payload);
      } catch {
        // The schema refuses such values at admission; the port promises an answer even without it.
        return refusal(webhook, 'it could not be called; look at its url and timeout');
      }
    },
    close: () => http.close(),
  };
}

/** Doubles from retry to retry, and never takes so much that the attempts themselves would not fit into their time any more. */
const pauseBefore = (retry: number, timeoutMs: number): number =>
  Math.min(Math.min(FIRST_PAUSE_MS, timeoutMs / 4) * 2 ** retry, LONGEST_PAUSE_MS, timeoutMs / 2);

async function tryOnce(http: Http, webhook: WebhookSpec, payload: HookPayload, timeoutMs: number, now: number): Promise<Attempt> {
  const url = new URL(webhook.url);
  const { name, namespace, phase, checksum, metadata } = payload;
  try {
    const response = await http.send({
      method: 'POST',
      url,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name, namespace, phase, checksum, metadata }),
      timeoutMs,
      read: 'start',
      maxBytes: REFUSAL_BYTES,
    });
    if (response.status >= 200 && response.status < 300) {
      return {
        answer: { ok: true, message: `webhook "${webhook.name}": ${url.host} answered ${response.status}` },
        again: false,
      };
    }
    return judge(response, refusal(webhook, describe(response, url)), now);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    const answer = refusal(webhook, error.message);
    if (error.kind === 'denied' || error.kind === 'invalid') return { answer, again: false };
    return { answer, again: true, hung: error.kind === 'timeout' };
  }
}

const refusal = (webhook: WebhookSpec, message: string): HookAnswer => ({
  ok: false,
  message: `webhook "${webhook.name}": ${message}`,
});

function judge({ status, headers }: HttpResponse, answer: HookAnswer, now: number): Attempt {
  if (status !== 429 && status < 500) return { answer, again: false };
  const seconds = retryAfterSeconds(headers['retry-after'], now);
  return { answer, again: true, hung: false, ...(seconds === undefined ? {} : { pauseMs: seconds * 1000 }) };
}

function describe({ status, body }: HttpResponse, url: URL): string {
  if (status >= 300 && status < 400)
    return `${url.host} answered ${status}, a redirect, which is not followed; write the address that it leads to`;
  const text = body.replaceAll(/[\p{Cc}\s\uFFFD]+/gu, ' ').trim();
  return `${url.host} answered ${status}${text ? `: ${text}` : ''}`;
}
