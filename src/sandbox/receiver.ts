import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A message as it arrived. */
export interface ReceivedMessage {
  time: string;
  /** `slack` or `webhook`, by the path. */
  receiver: string;
  headers: Record<string, string>;
  body: unknown;
}

const MAX_BODY = 1_000_000;

/** Stands in for Slack and for a webhook: takes every message, and keeps it as it came. */
export async function startReceiver(onMessage: (message: ReceivedMessage) => void): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY) chunks.push(chunk);
    });
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      let body: unknown = text;
      try {
        body = JSON.parse(text);
      } catch {
        // Kept as text: what arrived is evidence, whatever it is.
      }
      const id = request.headers['x-sluice-id'];
      onMessage({ time: new Date().toISOString(), receiver: (request.url ?? '/').slice(1) || 'webhook', headers: typeof id === 'string' ? { 'x-sluice-id': id } : {}, body });
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
