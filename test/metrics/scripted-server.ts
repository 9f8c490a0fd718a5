import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  path: string;
  method: string;
  headers: http.IncomingHttpHeaders;
  query: string;
  /** Milliseconds. */
  time: number;
}
export type Answer = { status?: number; body: unknown; type?: string; headers?: Record<string, string> } | 'hang' | 'reset';

/** A metrics server that answers what the test says and remembers what it was asked. */
export async function scriptedServer(answer: (asked: Asked) => Answer) {
  const asked: Asked[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const one: Asked = {
        path: request.url ?? '',
        method: request.method ?? '',
        headers: request.headers,
        query: form.get('query') ?? '',
        time: Math.round(Number(form.get('time')) * 1000),
      };
      asked.push(one);
      const reply = answer(one);
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
