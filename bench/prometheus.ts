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
export async function startMetricsStandIn(namespace: string): Promise<MetricsStandIn> {
  const refused = JSON.stringify({ status: 'error', errorType: 'bad_data', error: 'the bench does not know this query' });
  let queries = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const form = new URLSearchParams(body);
      const asked = questions(form.get('query') ?? '', namespace);
      queries += 1;
      response.writeHead(asked ? 200 : 400, { 'content-type': 'application/json' });
      response.end(asked ? matrix(asked, namespace, form) : refused);
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

interface Question {
  series: string;
  /** Label that names the service: callers know the Service, and the pods' own proxies the workload. */
  label: 'destination_service' | 'destination_workload';
  names: string[];
}

/** What a query asks for, or undefined when it is none of the controller's. */
function questions(query: string, namespace: string): Question[] | undefined {
  const asked = query.split(/ or (?=sum by)/).map((part): Question | undefined => {
    const [, label, series = ''] = /^sum by \((destination_service|destination_workload)[a-z_,]+\) \(\((istio_[a-z_]+)\{/.exec(part) ?? [];
    const names = /destination_(?:service_name|workload)=~?"([^"]+)"/.exec(part)?.[1]?.split('|');
    if (!names || !(series in SERIES) || !part.includes(`${label}_namespace="${namespace}"`)) return undefined;
    return { series, label: label as Question['label'], names };
  });
  const known = asked.filter((one) => one !== undefined);
  return known.length === asked.length ? known : undefined;
}

function matrix(asked: readonly Question[], namespace: string, form: URLSearchParams): string {
  const [start, end, step] = ['start', 'end', 'step'].map((field) => Number(form.get(field))) as [number, number, number];
  const times = Array.from({ length: Math.floor((end - start) / step + 1e-6) + 1 }, (_, index) => start + index * step);
  const result = asked.flatMap(({ series, label, names }) =>
    names.flatMap((service) => {
      const { key = '', values = [] } = SERIES[series] ?? {};
      const name = { [`${label}_namespace`]: namespace, [label === 'destination_service' ? 'destination_service_name' : label]: service };
      return values.map(([value, count]) => ({ metric: { ...name, [key]: value }, values: times.map((time) => [time, String(count)]) }));
    }),
  );
  return JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } });
}
