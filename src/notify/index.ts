import type { AxiosInstance } from 'axios';
import { durationMs, type AlertProviderSpec } from '../api/index.js';
import type { Notification, Notifier } from '../engine/ports.js';
import type { EgressPolicy } from '../net/egress.js';
import { createHttp, TransportError, type Http, type HttpResponse } from '../net/http.js';
import { retryAfterSeconds } from '../net/retry-after.js';
import { slack } from './slack.js';
import { NotifyError, type NotifyTarget } from './types.js';
import { webhook } from './webhook.js';

export { NotifyError } from './types.js';

/** Every kind of receiver; a new one is a file and a line here. */
const TARGETS: Record<AlertProviderSpec['type'], NotifyTarget> = { slack, webhook };

/** How much of a refusal is read, bytes. */
const REFUSAL_BYTES = 512;

export interface NotifierOptions {
  egress?: EgressPolicy;
  axios?: AxiosInstance;
  /** Unix milliseconds; default is the system's clock. */
  clock?: { now(): number };
}

type Provider = Parameters<Notifier['send']>[0];

/** Sends notifications. `send` rejects with {@link NotifyError} only; `close` ends idle connections. */
export function createNotifier(options: NotifierOptions = {}): Notifier & { close(): void } {
  const http = createHttp(options.egress, options.axios);
  const clock = options.clock ?? { now: () => Date.now() };
  return {
    async send(provider, notification) {
      const response = await deliver(http, provider, notification);
      if (response.status < 200 || response.status >= 300) throw refusal(provider, response, clock.now());
    },
    close: () => http.close(),
  };
}

async function deliver(http: Http, provider: Provider, notification: Notification): Promise<HttpResponse> {
  const { name, spec, credentials = {} } = provider;
  const url = addressOf(provider);
  try {
    const { headers, body } = TARGETS[spec.type].write(notification, spec, credentials);
    return await http.send({
      method: 'POST',
      url,
      headers: { ...headers, 'Content-Type': 'application/json' },
      body,
      timeoutMs: durationMs(spec.timeout),
      read: 'start',
      maxBytes: REFUSAL_BYTES,
    });
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new NotifyError(`AlertProvider "${name}": ${error.message}`, error.kind !== 'denied' && error.kind !== 'invalid');
  }
}

function addressOf({ name, spec, credentials }: Provider): URL {
  const address = (spec.address ?? credentials?.address)?.trim();
  const place = spec.address === undefined ? `the key "address" of Secret "${spec.secretRef?.name ?? ''}"` : 'spec.address';
  if (!address) throw new NotifyError(`AlertProvider "${name}": ${place} is missing or empty`, false);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new NotifyError(`AlertProvider "${name}": ${place} is not an http:// or https:// address`, false);
}

function refusal({ name, spec }: Provider, { status, headers, body }: HttpResponse, now: number): NotifyError {
  const retryable = status === 408 || status === 429 || status >= 500;
  const detail = TARGETS[spec.type].explain?.(body);
  const text = `AlertProvider "${name}": the receiver answered ${status}${detail ? ` (${detail})` : ''}${advice(status, spec)}`;
  return new NotifyError(text, retryable, retryable ? retryAfterSeconds(headers['retry-after'], now) : undefined);
}

function advice(status: number, spec: AlertProviderSpec): string {
  const secret = spec.secretRef ? `Secret "${spec.secretRef.name}"` : 'the address';
  if (status === 401 || status === 403) return `; look at ${secret}`;
  if (status === 404 || status === 410) return `; there is no such receiver any more: look at ${secret}`;
  if (status >= 300 && status < 400) return ', a redirect; write the address that it leads to';
  return '';
}
