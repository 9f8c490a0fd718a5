import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  path: string;
  body: Record<string, unknown>;
  answered: number | 'hang';
  /** What {@link Stub.look} saw when it came. */
  seen?: unknown;
}
/** Status and text of an answer; `hang` never answers. */
export type StubReply = number | 'hang' | [status: number, text: string];

/** A receiver of messages and webhooks: keeps what it gets, and answers each path as a test says (200 at first). */
export class Stub {
  readonly received: Received[] = [];
  readonly #replies = new Map<string, StubReply>();
  readonly #looks = new Map<string, () => unknown>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Stub> {
    const server = createServer();
    const stub = new Stub(server);
    server.on('request', (request, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const path = request.url ?? '/';
        const reply = stub.#replies.get(path) ?? 200;
        const [status, text] = Array.isArray(reply) ? reply : [reply, 'ok'];
        stub.received.push({ path, body: JSON.parse(Buffer.concat(chunks).toString() || '{}') as Record<string, unknown>, answered: status, seen: stub.#looks.get(path)?.() });
        if (status !== 'hang') response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  reply(path: string, reply: StubReply): void {
    this.#replies.set(path, reply);
  }

  /** Whenever something comes to this path, note what the world looks like. */
  look(path: string, look: () => unknown): void {
    this.#looks.set(path, look);
  }

  at(path: string): Received[] {
    return this.received.filter((item) => item.path === path);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
