import { request as plain, type IncomingMessage } from 'node:http';
import { request as secure } from 'node:https';
import type { Json, Request, Target } from './types.js';

/** How long an answer, or an event of a watch, may take, in ms. */
export const PATIENCE_MS = 30_000;

export interface RawAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
}

const CONTENT_TYPE = 'application/json';

export function send(target: Target, step: Request): Promise<IncomingMessage> {
  const [method = 'GET', ...rest] = step.call.split(' ');
  const body = step.body === undefined ? undefined : typeof step.body === 'string' ? step.body : JSON.stringify(step.body);
  const headers: Record<string, string> = {
    accept: step.accept ?? CONTENT_TYPE,
    'user-agent': step.agent ?? 'conformance/1.0 (test)',
    ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
    ...(body === undefined
      ? {}
      : { 'content-type': step.type ?? CONTENT_TYPE, 'content-length': String(Buffer.byteLength(body)) }),
  };
  const url = new URL(rest.join(' '), target.url);
  const open = url.protocol === 'https:' ? secure : plain;
  return new Promise((resolve, reject) => {
    // The server signs its own certificate.
    const call = open(url, { method, headers, rejectUnauthorized: false, agent: false }, resolve);
    call.once('error', reject);
    call.end(body);
  });
}

export async function readAll(response: IncomingMessage): Promise<RawAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return { status: response.statusCode ?? 0, headers: response.headers, body: parse(text) };
}

function parse(text: string): unknown {
  if (!text.startsWith('{') && !text.startsWith('[')) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** An open watch and what it has brought so far. */
export class OpenWatch {
  readonly events: Json[] = [];
  private ended = false;

  constructor(private readonly response: IncomingMessage) {
    let rest = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') this.events.push(JSON.parse(line) as Json);
    });
    response.once('end', () => (this.ended = true));
    response.once('error', () => (this.ended = true));
  }

  /** What has come when there are that many, or when the watch has ended, or {@link PATIENCE_MS} have passed. */
  async take(events: number | 'end'): Promise<Json[]> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!this.ended && Date.now() < deadline && (events === 'end' || this.events.length < events)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return events === 'end' ? this.events : this.events.slice(0, events);
  }

  close(): void {
    this.response.destroy();
  }
}
