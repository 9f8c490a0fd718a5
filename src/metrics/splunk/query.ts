import { durationMs } from '../../api/common.js';
import { splunkSettings } from '../../api/metric-providers/splunk.js';
import { Failure, type ApiRequest, type Refusal } from '../json-api.js';
import type { ProviderQuery } from '../provider.js';
import { credential, endpoint, fromTemplate, settingsOf } from '../questions.js';
import { signalflowAnswer, signalflowError, type SignalFlowAnswer } from './schema.js';
import { streamMessages } from './stream.js';

/** A SignalFlow program over the time of the evidence, computed at once. @throws Failure */
export function splunkRequest(query: ProviderQuery): ApiRequest<SignalFlowAnswer> {
  const { realm, resolution } = settingsOf(splunkSettings, query);
  if (realm === undefined && query.address === '') {
    throw new Failure('spec.provider.splunk.realm or spec.provider.address is needed', true);
  }
  const url = endpoint(query, `https://stream.${realm ?? ''}.signalfx.com`, '/v2/signalflow/execute');
  // Flagger's templates name the API's host, which computes nothing.
  url.hostname = url.hostname.replace(/^api\.([a-z0-9]+\.signalfx\.com)$/, 'stream.$1');
  url.searchParams.set('start', String(query.from));
  url.searchParams.set('stop', String(query.to));
  url.searchParams.set('immediate', 'true');
  if (resolution !== undefined) url.searchParams.set('resolution', String(durationMs(resolution)));
  return {
    url,
    body: query.query,
    ...fromTemplate(query),
    own: { 'X-SF-Token': credential(query, 'sf_token_key'), 'Content-Type': 'text/plain', Accept: 'text/event-stream' },
    answer: signalflowAnswer,
    decode: streamMessages,
    refusal,
  };
}

function refusal(body: unknown): Refusal | undefined {
  const error = signalflowError.safeParse(body).data;
  if (error) return { message: error.message };
  const failed = signalflowAnswer.safeParse(body).data?.find((message) => message.event === 'error')?.data;
  if (!failed) return undefined;
  const words = [failed.message, ...(failed.errors ?? []).map((one) => one.message ?? one.code)].filter(Boolean);
  return {
    message: words.join('; ') || 'no reason was given',
    denied: failed.error === 401 || failed.error === 403,
    busy: failed.error === 429,
    permanent: failed.error === 400,
  };
}
