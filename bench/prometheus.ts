import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Requests that every slot's Service had in every window, all of them answered with 200. */
const REQUESTS = 100;
/** Upper bounds of Istio's latency histogram in milliseconds, and how many of the requests were at most so slow. */
const LATENCY: [le: string, requests: number][] = [
  ['0.5', 0],
  ['1', 0],
  ['5', 50],
  ['10', 80],
  ...[
    '25',
    '50',
    '100',
    '250',
    '500',
    '1000',
    '2500',
    '5000',
    '10000',
    '30000',
    '60000',
    '300000',
    '600000',
    '1800000',
    '3600000',
    '+Inf',
  ].map((le): [string, number] => [le, REQUESTS]),
];

const SERIES: Record<string, { key: string; values: [string, number][] }> = {
  istio_requests_total: { key: 'response_code', values: [['200', REQUESTS]] },
  istio_request_duration_milliseconds_bucket: { key: 'le', values: LATENCY },
};

export interface MetricsStandIn {
  url: string;
  /** Queries answered so far. */
  queries(): number;
  close(): Promise<void>;
}

/**
 * Answers the controller's grouped queries as a Prometheus would that scrapes the proxies of perfectly healthy services: the
 * same number of series, each of the same size. Any other query is refused, so that a change of the queries is noticed.
 */
export async function startMetricsStandIn(namespace: string, services: string[]): Promise<MetricsStandIn> {
  const refused = JSON.stringify({ status: 'error', errorType: 'bad_data', error: 'the bench does not know this query' });
  const wholes = new Map(Object.keys(SERIES).map((series) => [series, vector(series, namespace, services)]));
  let queries = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const form = new URLSearchParams(body);
      const query = form.get('query') ?? '';
      const series = /^sum by \([a-z_,]+\) \(\((istio_[a-z_]+)\{/.exec(query)?.[1] ?? '';
      const names = /destination_service_name=~?"([^"]+)"/.exec(query)?.[1]?.split('|');
      const known = query.includes(`destination_service_namespace="${namespace}"`) && series in SERIES;
      const parts = known ? (names ? vector(series, namespace, names) : wholes.get(series)) : undefined;
      queries += 1;
      response.writeHead(parts ? 200 : 400, { 'content-type': 'application/json' });
      response.end(parts ? parts.join(form.get('time') ?? '0') : refused);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queries: () => queries,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An instant vector, cut where the time of evaluation goes. */
function vector(series: string, namespace: string, services: string[]): string[] {
  const { key = '', values = [] } = SERIES[series] ?? {};
  const mark = '@TIME@';
  // Requests are asked for as callers counted them and, in the same query, as the pods did.
  const names = (service: string): Record<string, string>[] => [
    { destination_service_namespace: namespace, destination_service_name: service },
    ...(key === 'response_code' ? [{ destination_workload_namespace: namespace, destination_workload: service }] : []),
  ];
  const result = services.flatMap((service) =>
    names(service).flatMap((name) => values.map(([label, count]) => ({ metric: { ...name, [key]: label }, value: [mark, String(count)] }))),
  );
  return JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }).split(`"${mark}"`);
}
