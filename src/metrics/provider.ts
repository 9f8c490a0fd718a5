import type { MetricProviderSpec } from '../api/index.js';
import type { Http } from '../net/http.js';
import type { Sample } from './prometheus/client.js';

/** One question to one provider: placeholders are filled in, credentials are read. */
export interface ProviderQuery {
  /** Name of the MetricTemplate, for messages. */
  template: string;
  provider: MetricProviderSpec;
  /** In the provider's own language. */
  query: string;
  /** Base address: `provider.address`; of Prometheus without it, the metrics server of the Canary. Else empty: a hosted service knows its own. */
  address: string;
  /** Content of the Secret that `provider.secretRef` names. */
  credentials?: Record<string, string>;
  /** Of the Canary. */
  namespace: string;
  /** Evidence of requests in [from, to], unix milliseconds. */
  from: number;
  to: number;
  /** The same for the same check of the same run, after a restart as well: what a check starts (a Job) is named after it. */
  check: string;
  /** The Canary: what a check makes belongs to it. */
  owner?: { name: string; uid: string };
}

/**
 * `samples`: one per series; none is no data, and NaN is a value that means none. `failed` as in `QueryResult`: `permanent` when
 * asking again cannot help. `pending`: what the question started has not ended.
 */
export type ProviderAnswer =
  | { kind: 'samples'; samples: Sample[] }
  | { kind: 'failed'; message: string; permanent: boolean }
  | { kind: 'pending'; message: string };

/** Asks one kind of metrics server. */
export interface MetricProvider {
  /** Never rejects. No message holds credentials, or more of the address than host and port. */
  ask(query: ProviderQuery): Promise<ProviderAnswer>;
}

export interface ProviderOptions {
  http: Http;
  /** Longest time for one exchange, milliseconds. */
  timeoutMs: number;
  /** Unix milliseconds. */
  now: () => number;
  /** Called after every question that was sent; `server` is its origin, without credentials. */
  onQuery?: ((query: { server: string; seconds: number; ok: boolean }) => void) | undefined;
}
