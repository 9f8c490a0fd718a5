import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

const statusSchema = z.object({ state: z.enum(['pending', 'success', 'error', 'failure', 'warning']), context: z.string(), description: z.string().default(''), target_url: z.string().optional() });
const pullSchema = z.object({ head: z.string(), base: z.string(), title: z.string(), body: z.string().default('') });
const MAX_BYTES = 1024 * 1024;

export type HostStatus = z.infer<typeof statusSchema> & { commit: string };
export type HostPull = z.infer<typeof pullSchema> & { number: number; url: string };

/** The repository's name at the host. */
export const HOSTED = 'bookinfo/deploy';

/** A small Git host: commit statuses and pull requests, spoken as Gitea does. The repository itself is a folder. */
export interface GitHost {
  url: string;
  token: string;
  statuses: HostStatus[];
  pulls: HostPull[];
  stop(): Promise<void>;
}

class Refusal extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export async function startGitHost(token: string): Promise<GitHost> {
  const statuses: HostStatus[] = [];
  const pulls: HostPull[] = [];
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = new URL(request.url ?? '/', url).pathname;
      const page = pulls.find((pull) => path === `/${HOSTED}/pulls/${pull.number}`);
      if (page) return void response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(`${page.title}\n${page.head} → ${page.base}\n\n${page.body}\n`);
      if (request.headers.authorization !== `token ${token}`) throw new Refusal(401, 'token is required');
      const [code, body] = await answer(request.method ?? 'GET', path, request);
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    } catch (error) {
      const code = error instanceof Refusal ? error.code : error instanceof z.ZodError ? 422 : 500;
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify({ message: error instanceof Error ? error.message : String(error) }));
    }
  }

  async function answer(method: string, path: string, request: IncomingMessage): Promise<[number, unknown]> {
    const api = `/api/v1/repos/${HOSTED}`;
    const commit = path.startsWith(`${api}/statuses/`) ? path.slice(`${api}/statuses/`.length) : undefined;
    if (commit !== undefined && method === 'POST') {
      const status = { ...statusSchema.parse(await bodyOf(request)), commit };
      statuses.push(status);
      return [201, status];
    }
    if (path === `${api}/pulls` && method === 'GET') return [200, pulls.map(shown)];
    if (path === `${api}/pulls` && method === 'POST') return [201, shown(open(pullSchema.parse(await bodyOf(request))))];
    throw new Refusal(404, `${method} ${path} is not known here`);
  }

  function open(wanted: z.infer<typeof pullSchema>): HostPull {
    if (pulls.some(({ head, base }) => head === wanted.head && base === wanted.base)) throw new Refusal(409, 'pull request already exists for these branches');
    const number = pulls.length + 1;
    const pull = { ...wanted, number, url: `${url}/${HOSTED}/pulls/${number}` };
    pulls.push(pull);
    return pull;
  }

  return {
    url,
    token,
    statuses,
    pulls,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const shown = ({ head, base, ...pull }: HostPull): unknown => ({ ...pull, html_url: pull.url, head: { ref: head }, base: { ref: base } });

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Refusal(413, 'the body is too long');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
