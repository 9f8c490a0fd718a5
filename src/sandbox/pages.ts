import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Shows Bookinfo's page in a browser: every request goes through the mesh to productpage, as from an ingress gateway. */
export async function startPages(proxy: string, service: string): Promise<{ url: string; stop(): Promise<void> }> {
  const upstream = new URL(proxy);
  const server = createServer((incoming, outgoing) => {
    const forwarded = request(
      { host: upstream.hostname, port: upstream.port, method: incoming.method, path: incoming.url === '/' ? '/productpage' : incoming.url, headers: { ...incoming.headers, host: service } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    forwarded.on('error', (error) => {
      if (!outgoing.headersSent) outgoing.writeHead(502, { 'content-type': 'text/plain' });
      outgoing.end(`the sandbox's mesh does not answer: ${error.message}\n`);
    });
    incoming.pipe(forwarded);
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
