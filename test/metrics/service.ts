import { expect } from 'vitest';
import type { MetricProviderSpec } from '../../src/api/index.js';
import type { ProviderAnswer, ProviderQuery } from '../../src/metrics/provider.js';
import { TransportError, type Http, type HttpRequest, type HttpResponse } from '../../src/net/http.js';
import { QUERY } from './misbehaving.js';

/** The middle of the evidence that `QUERY` asks for, as a point of a minute: from :00 to :60. */
export const FROM = QUERY.from;
export const TO = QUERY.to;

export type Reply = Partial<HttpResponse> & { json?: unknown };

/** The internet: who is asked is answered what the test says, and all requests are kept. A host that nobody answers for is unknown to DNS. */
export function internet(answer: (request: HttpRequest) => Reply | undefined) {
  const asked: HttpRequest[] = [];
  const http: Http = {
    send: (request) => {
      asked.push(request);
      const reply = answer(request);
      if (!reply) return Promise.reject(new TransportError(`${request.url.host} is not a name that DNS knows`, 'transport'));
      return Promise.resolve({ status: 200, headers: {}, body: reply.json === undefined ? '' : JSON.stringify(reply.json), ...reply });
    },
    close: () => undefined,
  };
  return { http, asked };
}

/** A question to a provider of this type. */
export function question(
  provider: Omit<Partial<MetricProviderSpec>, 'type'> & Pick<MetricProviderSpec, 'type'>,
  credentials?: Record<string, string>,
  over: Partial<ProviderQuery> = {},
): ProviderQuery {
  return {
    ...QUERY,
    provider: { insecureSkipVerify: false, ...(credentials && { secretRef: { name: 'keys' } }), ...provider },
    address: provider.address ?? '',
    ...(credentials && { credentials }),
    ...over,
  };
}

/** The samples of an answer; fails the test where it is none. */
export function samples(answer: ProviderAnswer): { labels: Record<string, string>; value: number }[] {
  expect(answer).toMatchObject({ kind: 'samples' });
  return answer.kind === 'samples' ? answer.samples : [];
}

/** What an answer says of a failure. */
export function failure(answer: ProviderAnswer): { message: string; permanent: boolean } {
  expect(answer).toMatchObject({ kind: 'failed' });
  return answer.kind === 'failed' ? answer : { message: '', permanent: false };
}
