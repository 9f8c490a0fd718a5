import { shortened } from '../../core/text.js';
import { TransportError, type Http, type HttpResponse } from '../../net/http.js';
import { percentDecoded } from '../../net/percent.js';
import { failure, queryAnswer, rangeAnswer, sampleValue } from './schema.js';

/** One series of an instant vector. */
export interface Sample {
  labels: Record<string, string>;
  /** NaN and infinities included. */
  value: number;
}

/** `permanent`: the query itself is wrong; asking again cannot help. */
export interface Failed {
  kind: 'failed';
  message: string;
  permanent: boolean;
  /** Asking for less at once may help: the question or its answer was too large, or took too long. */
  tooMuch?: 'size' | 'time';
}
export type QueryResult = { kind: 'samples'; samples: Sample[] } | Failed;

/** One series over a range of time. */
export interface RangeSeries {
  labels: Record<string, string>;
  /** Ascending: unix milliseconds, and the value then; NaN and infinities included. Times without a value are absent. */
  values: [ms: number, value: number][];
}
export type RangeResult = { kind: 'series'; series: RangeSeries[] } | Failed;

/** How much of a server's words is repeated, in characters. */
const MAX_QUOTE = 400;

/** Who is asked what. */
export interface ServerQuery {
  /** Base address of the server; a path prefix is kept. */
  server: string;
  query: string;
  headers?: Record<string, string>;
  /** `token`, or `username` and `password`; `ca.crt` for the certificate authority of the server. */
  credentials?: Record<string, string>;
  /** For messages: the Secret that the credentials came from. */
  secretName?: string;
  insecureSkipVerify?: boolean;
}

export interface QueryRequest extends ServerQuery {
  /** Evaluation time, unix milliseconds. */
  time: number;
}

/** Evaluations at `start`, `start + stepMs`, … up to `end`, unix milliseconds. Prometheus allows 11,000 of them. */
export interface RangeRequest extends ServerQuery {
  start: number;
  end: number;
  stepMs: number;
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

/** Asks servers that speak Prometheus's HTTP API. It never rejects; no message holds credentials or more of the address than host and port. */
export class PrometheusClient {
  constructor(private readonly options: PrometheusClientOptions) {}

  async query(request: QueryRequest): Promise<QueryResult> {
    return await this.#timed(request, 'query', { time: seconds(request.time) }, instant);
  }

  async queryRange(request: RangeRequest): Promise<RangeResult> {
    const { start, end, stepMs } = request;
    return await this.#timed(request, 'query_range', { start: seconds(start), end: seconds(end), step: seconds(stepMs) }, range);
  }

  async #timed<T extends { kind: string }>(request: ServerQuery, endpoint: string, form: Record<string, string>, read: Reader<T>): Promise<T | Failed> {
    const base = serverUrl(request.server);
    if (typeof base === 'string') return failed(base, true);
    const elapsed = this.options.elapsed ?? (() => performance.now());
    const startedAt = elapsed();
    const result = await this.#ask(base, request, endpoint, form, read);
    this.options.onQuery?.({ server: base.origin, seconds: (elapsed() - startedAt) / 1000, ok: result.kind !== 'failed' });
    return result;
  }

  async #ask<T>(base: URL, request: ServerQuery, endpoint: string, form: Record<string, string>, read: Reader<T>): Promise<T | Failed> {
    const url = new URL(base);
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/api/v1/${endpoint}`;
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
        body: new URLSearchParams({ query: request.query, ...form }).toString(),
        timeoutMs: this.options.timeoutMs,
        read: 'whole',
        maxBytes: this.options.maxBytes ?? MAX_ANSWER_BYTES,
        insecureSkipVerify: request.insecureSkipVerify,
        ca: request.credentials?.['ca.crt'],
      });
      return interpret(response, base.host, request.secretName, read);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      const tooMuch = error.kind === 'oversize' ? 'size' : error.kind === 'timeout' ? 'time' : undefined;
      return failed(`the metrics server ${error.message}`, error.kind === 'denied' || error.kind === 'invalid', tooMuch);
    }
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

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

/** Reads the JSON that one endpoint answers; undefined when it is nothing that this endpoint answers. */
type Reader<T> = (body: unknown, host: string) => T | Failed | undefined;

function interpret<T>(response: HttpResponse, host: string, secretName: string | undefined, read: Reader<T>): T | Failed {
  if (response.status === 401 || response.status === 403) {
    const remedy = secretName
      ? `look at the Secret "${secretName}"`
      : 'it wants credentials; give them with a MetricTemplate and its provider.secretRef';
    return failed(`the metrics server ${host} answered ${response.status}: ${remedy}`, false);
  }
  const body = parse(response.body);
  const refusal = failure.safeParse(body).data;
  if (refusal) {
    const permanent = refusal.errorType === 'bad_data';
    return failed(`the metrics server ${host} ${permanent ? 'refused the query' : 'failed'}: ${shortened(refusal.error, MAX_QUOTE)}`, permanent, tooMuchOf(refusal.errorType));
  }
  return (response.status < 300 ? read(body, host) : undefined) ?? failed(`the metrics server ${host} ${strange(response)}`, false, tooMuchOf(String(response.status)));
}

/** By the kind of error that Prometheus names, or by the HTTP status, which VictoriaMetrics names there. */
function tooMuchOf(errorType: string): Failed['tooMuch'] {
  if (['timeout', '408', '504'].includes(errorType)) return 'time';
  return ['bad_data', 'execution', '400', '413', '414', '422'].includes(errorType) ? 'size' : undefined;
}

function instant(body: unknown, host: string): QueryResult | undefined {
  const data = queryAnswer.safeParse(body).data?.data;
  if (!data) return undefined;
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
    if (value === undefined) return noNumber(host, one.value[1]);
    samples.push({ labels: one.metric, value });
  }
  return { kind: 'samples', samples };
}

function range(body: unknown, host: string): RangeResult | undefined {
  const data = rangeAnswer.safeParse(body).data?.data;
  if (!data) return undefined;
  const series: RangeSeries[] = [];
  for (const { metric, values } of data.result) {
    const read: RangeSeries = { labels: metric, values: [] };
    for (const [at, text] of values) {
      const value = sampleValue(text);
      if (value === undefined) return noNumber(host, text);
      read.values.push([Math.round(at * 1000), value]);
    }
    series.push(read);
  }
  return { kind: 'series', series };
}

const noNumber = (host: string, text: string): Failed => failed(`the metrics server ${host} answered "${shortened(text, 40)}" where a number belongs`, false);

function parse(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
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

const failed = (message: string, permanent: boolean, tooMuch?: Failed['tooMuch']): Failed => ({ kind: 'failed', message, permanent, ...(tooMuch ? { tooMuch } : {}) });
