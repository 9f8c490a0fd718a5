import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { asRange, timesOf } from './as-range.js';

export interface Asked {
  path: string;
  method: string;
  headers: http.IncomingHttpHeaders;
  body: string;
  /** From the form, where the body is one. */
  query: string;
  /** Milliseconds; of a range, the first one. */
  time: number;
  /** Times that a range is about; of an instant, that one. */
  times: number[];
}
export type Answer = { status?: number; body: unknown; type?: string; headers?: Record<string, string> } | 'hang' | 'reset';

type Samples = { metric: Record<string, string>; value: [number, string] }[];
const samplesIn = (reply: Answer): Samples | undefined => (typeof reply === 'object' && (reply.body as { data?: { resultType: string } }).data?.resultType === 'vector' ? (reply.body as { data: { result: Samples } }).data.result : undefined);

/** What is answered at each time of a range, together; anything but samples is the whole answer. */
function overRange(one: Asked, answer: (asked: Asked) => Answer): Answer {
  const replies = new Map(one.times.map((time) => [time, answer({ ...one, time })]));
  const other = [...replies.values()].find((reply) => samplesIn(reply) === undefined);
  if (other !== undefined) return other;
  return { body: asRange(one.times, (time) => samplesIn(replies.get(time) ?? 'hang') ?? []) };
}

/** A metrics server that answers what the test says and remembers what it was asked. */
export async function scriptedServer(answer: (asked: Asked) => Answer) {
  const asked: Asked[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const form = new URLSearchParams(body);
      const times = timesOf(form);
      const one: Asked = {
        path: request.url ?? '',
        method: request.method ?? '',
        headers: request.headers,
        body,
        query: form.get('query') ?? '',
        time: times[0] ?? 0,
        times,
      };
      asked.push(one);
      const reply = form.has('step') ? overRange(one, answer) : answer(one);
      if (reply === 'hang') return;
      if (reply === 'reset') return void request.socket.destroy();
      const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
      response.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'application/json', ...reply.headers }).end(text);
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export const vector = (...series: [labels: Record<string, string>, value: string][]): Answer => ({
  body: {
    status: 'success',
    data: { resultType: 'vector', result: series.map(([metric, value]) => ({ metric, value: [1, value] })) },
  },
});

export const requests = (
  service: string,
  code: string,
  value: number,
  namespace = 'default',
): [Record<string, string>, string] => [
  { destination_service_namespace: namespace, destination_service_name: service, response_code: code },
  String(value),
];

/** What a Canary in the middle of a run asks, but for the server and the time. */
export const QUESTION = {
  metric: 'request-success-rate',
  namespace: 'default',
  name: 'reviews',
  target: 'reviews',
  revision: 'abc',
  service: 'reviews-green',
  stableService: 'reviews-blue',
} as const;
