import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { asRange, timesOf } from '../metrics/as-range.js';

/** What callers of one Service measure. */
export interface Health {
  /** Share of the requests answered 500, 0 to 1. */
  errorRate: number;
  latencyMs: number;
  /** Requests in each window of evidence. */
  requests: number;
}
type Series = [labels: Record<string, string>, value: string];
/** A whole answer: instead of the measured one. */
export type Lie = 'hang' | 'reset' | { status?: number; type?: string; body: unknown } | { series: Series[] };

const HEALTHY: Health = { errorRate: 0, latencyMs: 20, requests: 100 };
const BOUNDS = [10, 50, 100, 250, 500, 1000, 2500];

const namespacesOf = (query: string): string[] => /destination_(?:service|workload)_namespace=~?"([^"]*)"/.exec(query)?.[1]?.split('|') ?? [];

/** Answers Sluice's grouped queries like Prometheus, for Services whose health a test sets; or lies as it is told. */
export class MetricsServer {
  readonly queries: string[] = [];
  /** Set to answer everything with it. */
  lie: Lie | undefined;
  /** Answers queries that are not Sluice's own. */
  template: (query: string) => Lie = () => ({ series: [[{}, '1']] });
  readonly #health = new Map<string, Partial<Health>>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<MetricsServer> {
    const server = createServer();
    const metrics = new MetricsServer(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => metrics.#answer(new URLSearchParams(Buffer.concat(chunks).toString()), request, response));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return metrics;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What is measured of `NAMESPACE/SERVICE` from now on. */
  set(service: string, health: Partial<Health>): void {
    this.#health.set(service, health);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(form: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
    const query = form.get('query') ?? '';
    this.queries.push(query);
    const reply = this.lie ?? this.#truth(query);
    if (reply === 'hang') return;
    if (reply === 'reset') return void request.socket.destroy();
    if ('series' in reply) {
      const result = reply.series.map(([metric, value]) => ({ metric, value: [1, value] as [number, string] }));
      const body = form.has('step') ? asRange(timesOf(form), () => result) : { status: 'success', data: { resultType: 'vector', result } };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      return;
    }
    const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
    response.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'application/json' }).end(text);
  }

  #truth(query: string): Lie {
    const counts = [...(query.includes('istio_requests_total') ? [this.#codes] : []), ...(query.includes('istio_request_duration') ? [this.#buckets] : [])];
    if (counts.length === 0) return this.template(query);
    // Where slots are subsets of one Service, only their workloads have names of their own.
    const by = query.startsWith('sum by (destination_workload') ? 'workload' : 'service';
    const series = namespacesOf(query).flatMap((namespace) =>
      ['reviews-blue', 'reviews-green'].flatMap((service) => {
        const health = { ...HEALTHY, ...this.#health.get(`${namespace}/${service}`) };
        const labels: Record<string, string> = by === 'workload' ? { destination_workload_namespace: namespace, destination_workload: service } : { destination_service_namespace: namespace, destination_service_name: service };
        // Requests of subsets are told from their tries by who counted; buckets are counted by callers only.
        return counts.flatMap((of) => of(health)).map(([more, value]): Series => [{ ...labels, ...(by === 'workload' && !('le' in more) ? { reporter: 'source' } : {}), ...more }, String(value)]);
      }),
    );
    return { series };
  }

  readonly #codes = ({ requests, errorRate }: Health): [Record<string, string>, number][] => [
    [{ response_code: '200' }, requests * (1 - errorRate)],
    [{ response_code: '500' }, requests * errorRate],
  ];

  readonly #buckets = ({ requests, latencyMs }: Health): [Record<string, string>, number][] => [
    ...BOUNDS.map((le): [Record<string, string>, number] => [{ le: String(le) }, latencyMs <= le ? requests : 0]),
    [{ le: '+Inf' }, requests],
  ];
}
