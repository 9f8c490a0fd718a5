import { readFile, writeFile } from 'node:fs/promises';
import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request as forwardSecurely } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { parse, stringify } from 'yaml';

/** A request that changes something. */
export interface Write {
  method: string;
  /** `/apis/apps/v1/namespaces/default/deployments/reviews-green/scale`. */
  path: string;
  body: Record<string, unknown>;
}

export interface GateHooks {
  /** Before the API server gets a write; it waits for the promise. */
  before?: (write: Write) => Promise<void> | void;
  /** When the API server has answered a write and the caller has not heard of it: `drop` lets the caller never hear. */
  after?: (write: Write, status: number) => Promise<'drop' | void> | 'drop' | void;
}

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { token: string } }[];
}

/** Stands between a client and the API server, and looks at each write before and after it happens. */
export class Gate {
  hooks: GateHooks = {};
  readonly #agent: Agent;
  #server: Server | undefined;
  #interrupted = false;

  private constructor(
    readonly kubeconfig: string,
    private readonly upstream: URL,
    private readonly token: string,
    certificate: string,
  ) {
    this.#agent = new Agent({ keepAlive: true, ca: certificate });
  }

  /** Listens on 127.0.0.1 and writes a kubeconfig that leads here, beside the one it is made from. */
  static async open(kubeconfig: string): Promise<Gate> {
    const config = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
    const cluster = config.clusters[0]?.cluster;
    const token = config.users[0]?.user.token;
    if (!cluster || !token) throw new Error(`${kubeconfig} has no cluster or no token`);
    const gate = new Gate(
      `${kubeconfig}.gate`,
      new URL(cluster.server),
      token,
      Buffer.from(cluster['certificate-authority-data'], 'base64').toString(),
    );
    const server = createServer((request, response) => {
      gate.#handle(request, response).catch(() => response.destroy());
    });
    gate.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const here = { server: `http://127.0.0.1:${port}` };
    await writeFile(
      gate.kubeconfig,
      stringify({ ...config, clusters: [{ ...config.clusters[0], cluster: here }], users: [{ ...config.users[0], user: {} }] }),
    );
    return gate;
  }

  /** From now on nobody gets through, and who is connected is cut off. */
  interrupt(): void {
    this.#interrupted = true;
    this.#server?.closeAllConnections();
  }

  restore(): void {
    this.#interrupted = false;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#agent.destroy();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#interrupted) return void response.destroy();
    const { method = 'GET', url = '/' } = request;
    const body = method === 'GET' ? undefined : await buffer(request);
    const write = body && { method, path: url.split('?')[0] ?? url, body: parsed(body) };
    if (write) await this.hooks.before?.(write);
    const answer = await this.#ask(request, body);
    if (write && (await this.hooks.after?.(write, answer.statusCode ?? 0)) === 'drop') {
      answer.destroy();
      response.destroy();
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.once('close', () => answer.destroy());
    answer.pipe(response);
  }

  #ask({ method, url, headers }: IncomingMessage, body: Buffer | undefined): Promise<IncomingMessage> {
    const secure = this.upstream.protocol === 'https:';
    const options = {
      method,
      headers: { ...headers, host: this.upstream.host, authorization: `Bearer ${this.token}` },
      ...(secure ? { agent: this.#agent } : {}),
    };
    return new Promise((resolve, reject) => {
      (secure ? forwardSecurely : forward)(new URL(url ?? '/', this.upstream), options, resolve)
        .once('error', reject)
        .end(body);
    });
  }
}

function parsed(body: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(body.toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}
