import { shortened } from '../../core/text.js';
import { TransportError, type Http, type HttpResponse } from '../../net/http.js';
import { percentDecoded } from '../../net/percent.js';
import { queryAnswer, sampleValue, type QueryAnswer } from './schema.js';

/** One series of an instant vector. */
export interface Sample {
  labels: Record<string, string>;
  /** NaN and infinities included. */
  value: number;
}

/** `permanent`: the query itself is wrong; asking again cannot help. */
export type QueryResult = { kind: 'samples'; samples: Sample[] } | { kind: 'failed'; message: string; permanent: boolean };

/** How much of a server's words is repeated, in characters. */
const MAX_QUOTE = 400;

export interface QueryRequest {
  /** Base address of the server; a path prefix is kept. */
  server: string;
  query: string;
  /** Evaluation time, unix milliseconds. */
  time: number;
  headers?: Record<string, string>;
  credentials?: Record<string, string>;
  /** For messages: the Secret that the credentials came from. */
  secretName?: string;
  insecureSkipVerify?: boolean;
}

export interface PrometheusClientOptions {
  http: Http;
  timeoutMs: number;
  /** Largest answer that is read, bytes. Default 16 MiB. */
  maxBytes?: number;
  /** Called after every query; `server` is its origin, without credentials. */
  onQuery?: (query: { server: string; seconds: number; ok: boolean }) => void;
  /** Monotonic milliseconds, for `onQuery`. */
  elapsed?: () => number;
}

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Asks Prometheus instant queries. It never rejects; no message holds credentials or more of the address than host and port. */
export class PrometheusClient {
  constructor(private readonly options: PrometheusClientOptions) {}

  async query(request: QueryRequest): Promise<QueryResult> {
    const base = serverUrl(request.server);
    if (typeof base === 'string') return failed(base, true);
    const elapsed = this.options.elapsed ?? (() => performance.now());
    const startedAt = elapsed();
    const result = await this.#ask(base, request);
    this.options.onQuery?.({ server: base.origin, seconds: (elapsed() - startedAt) / 1000, ok: result.kind === 'samples' });
    return result;
  }

  async #ask(base: URL, request: QueryRequest): Promise<QueryResult> {
    const url = new URL(base);
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/api/v1/query`;
    url.username = '';
    url.password = '';
    try {
      const response = await this.options.http.send({
        method: 'POST',
        url,
        headers: {
          ...request.headers,
          ...authorization(base, request.credentials),
          Accept: 'application/json',
          'Content-Type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams({ query: request.query, time: (request.time / 1000).toFixed(3) }).toString(),
        timeoutMs: this.options.timeoutMs,
        read: 'whole',
        maxBytes: this.options.maxBytes ?? MAX_ANSWER_BYTES,
        insecureSkipVerify: request.insecureSkipVerify,
      });
      return interpret(response, base.host, request.secretName);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      return failed(`the metrics server ${error.message}`, error.kind === 'denied' || error.kind === 'invalid');
    }
  }
}

/** The parsed base address, or what is wrong with it (without repeating it: it may hold a password). */
function serverUrl(server: string): URL | string {
  if (server === '') return 'no metrics server is known; set --metrics-server or spec.metricsServer';
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url && (percentDecoded(url.username) === undefined || percentDecoded(url.password) === undefined))
    return 'the address of the metrics server holds a user or password with a "%" that is not followed by two hexadecimal digits; write %25 for a "%", or put them into a Secret and name it in provider.secretRef';
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  return 'the address of the metrics server is not an http:// or https:// address; correct --metrics-server, spec.metricsServer or provider.address';
}

function authorization(base: URL, credentials: Record<string, string> | undefined): Record<string, string> {
  if (credentials?.token) return { Authorization: `Bearer ${credentials.token.trim()}` };
  const username = credentials?.username ?? percentDecoded(base.username);
  const password = credentials?.password ?? percentDecoded(base.password);
  if (!username && !password) return {};
  return { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

function interpret(response: HttpResponse, host: string, secretName: string | undefined): QueryResult {
  if (response.status === 401 || response.status === 403) {
    const remedy = secretName
      ? `look at the Secret "${secretName}"`
      : 'it wants credentials; give them with a MetricTemplate and its provider.secretRef';
    return failed(`the metrics server ${host} answered ${response.status}: ${remedy}`, false);
  }
  const answer = parse(response.body);
  if (answer?.status === 'error') {
    const permanent = answer.errorType === 'bad_data';
    return failed(`the metrics server ${host} ${permanent ? 'refused the query' : 'failed'}: ${shortened(answer.error, MAX_QUOTE)}`, permanent);
  }
  if (response.status >= 300 || !answer) return failed(`the metrics server ${host} ${strange(response)}`, false);
  return samplesOf(answer.data, host);
}

function samplesOf(data: Extract<QueryAnswer, { status: 'success' }>['data'], host: string): QueryResult {
  if (!('result' in data)) {
    return failed(
      `the query gives a ${data.resultType === 'matrix' ? 'range of values' : 'string'}; it must give one number`,
      true,
    );
  }
  const series = data.resultType === 'scalar' ? [{ metric: {}, value: data.result }] : data.result;
  const samples: Sample[] = [];
  for (const one of series) {
    const value = sampleValue(one.value[1]);
    if (value === undefined)
      return failed(`the metrics server ${host} answered "${shortened(one.value[1], 40)}" where a number belongs`, false);
    samples.push({ labels: one.metric, value });
  }
  return { kind: 'samples', samples };
}

function parse(body: string): QueryAnswer | undefined {
  try {
    return queryAnswer.safeParse(JSON.parse(body)).data;
  } catch {
    return undefined;
  }
}

function strange({ status, headers, body }: HttpResponse): string {
  const kind =
    /^\s*</.test(body) || headers['content-type']?.includes('html')
      ? 'an HTML page'
      : 'something that is not a Prometheus answer';
  if (status >= 300 && status < 400) return `answered ${status}, a redirect; write the address that it leads to`;
  return `answered ${status} with ${kind}; is the address that of a Prometheus?`;
}

const failed = (message: string, permanent: boolean): QueryResult => ({ kind: 'failed', message, permanent });
