import { describe, expect, it } from 'vitest';
import type { MetricProvider, ProviderAnswer, ProviderOptions, ProviderQuery } from '../../src/metrics/provider.js';
import { createHttp } from '../../src/net/http.js';
import { scriptedServer, type Answer, type Asked } from './scripted-server.js';

/** A provider that speaks HTTP, and what is special about its server. */
export interface Subject {
  create: (options: ProviderOptions) => MetricProvider;
  /** A question to the server at this address, with credentials where the provider needs some. */
  question: (address: string) => ProviderQuery;
  /** Well-formed answers that hold nothing to judge: no series, and NaN or null where the format has it. */
  nothing: Record<string, Answer>;
  /** Answers with something else where the number belongs. */
  strange: Record<string, Answer>;
  /** Says how the server refuses a query that it cannot parse: the question, not the server, has to be mended. */
  malformed?: Record<string, Answer>;
  /** Answers to what is asked before the question itself, such as a token; undefined for the question. */
  before?: (asked: Asked) => Answer | undefined;
}

const TIMEOUT_MS = 400;

/** One question to a server that answers so. */
export async function askOnce(subject: Subject, answer: Answer | ((asked: Asked) => Answer), over: Partial<ProviderQuery> = {}, timeoutMs = TIMEOUT_MS) {
  const server = await scriptedServer((asked) => subject.before?.(asked) ?? (typeof answer === 'function' ? answer(asked) : answer));
  const http = createHttp();
  const told: { server: string; ok: boolean }[] = [];
  try {
    const provider = subject.create({ http, timeoutMs, now: () => 1_700_000_060_000, onQuery: (query) => told.push(query) });
    const asked = subject.question(server.url);
    const { address = asked.address } = over;
    const question = { ...asked, ...over, address, provider: { ...asked.provider, ...(asked.provider.address === undefined ? {} : { address }), ...over.provider } };
    const result = await provider.ask(question);
    return { result, asked: server.asked, told, host: new URL(server.url).host, question };
  } finally {
    http.close();
    server.close();
  }
}

const failure = (result: ProviderAnswer): { message: string; permanent: boolean } => {
  if (result.kind !== 'failed') throw new Error(`expected a failure, got ${JSON.stringify(result)}`);
  return result;
};

interface Case {
  answer: Answer;
  /** What the message must say. */
  says: RegExp;
  permanent?: boolean;
  timeoutMs?: number;
}

const HTML = '<!doctype html><html><body>Sign in to continue</body></html>';
const CASES: Record<string, Case> = {
  'an internal error': { answer: { status: 500, body: 'boom' }, says: /500/ },
  'an internal error in JSON': { answer: { status: 503, body: { status: 'x', errors: [1], message: { a: null } } }, says: /503/ },
  'an HTML page': { answer: { body: HTML, type: 'text/html' }, says: /HTML/ },
  'an HTML page as an error': { answer: { status: 502, body: HTML, type: 'text/html' }, says: /502/ },
  'no body': { answer: { body: '' }, says: /\w/ },
  'a body that breaks off': { answer: { body: '{"status":"success","data":{"resul' }, says: /\w/ },
  'a JSON string': { answer: { body: '"fine"' }, says: /\w/ },
  'a JSON number': { answer: { body: '42' }, says: /\w/ },
  null: { answer: { body: 'null' }, says: /\w/ },
  'a refusal without credentials': { answer: { status: 401, body: 'who are you?' }, says: /401.*(Secret|credentials)/s },
  'a refusal of these credentials': { answer: { status: 403, body: { message: 'forbidden' } }, says: /403.*(Secret|credentials)/s },
  'too many requests': { answer: { status: 429, body: 'slow down', headers: { 'retry-after': '30' } }, says: /429/ },
  'a redirect': { answer: { status: 302, body: '', headers: { location: 'http://127.0.0.1:1/secret-place' } }, says: /302.*redirect/s },
  silence: { answer: 'hang', says: /did not answer within 0\.4 s/ },
  'a broken connection': { answer: 'reset', says: /closed the connection/ },
  'more than anybody wants to read': { answer: { body: `[${' '.repeat(17 * 1024 * 1024)}]` }, says: /more than \d+ bytes/, timeoutMs: 10_000 },
};

/** What must hold for every provider, however its server behaves. */
export function behavesWhenServerDoesNot(subject: Subject): void {
  describe('a server that misbehaves', () => {
    it.each(Object.entries(CASES))('%s is a failure in words', async (_name, { answer, says, permanent = false, timeoutMs }) => {
      const { result, told, question } = await askOnce(subject, answer, {}, timeoutMs);
      const { message, permanent: forGood } = failure(result);
      expect(message).toMatch(says);
      expect({ message, permanent: forGood }).toEqual({ message, permanent });
      expect(told.length).toBeGreaterThan(0);
      expect(told.at(-1)?.ok).toBe(false);
      discreet(message, question);
    });

    it.each(Object.entries(subject.nothing))('%s is no data, not a failure', async (_name, answer) => {
      const { result } = await askOnce(subject, answer);
      expect(result.kind).toBe('samples');
      if (result.kind === 'samples') expect(result.samples.filter(({ value }) => !Number.isNaN(value))).toEqual([]);
    });

    it.each(Object.entries(subject.strange))('%s is a failure that asking again may cure', async (_name, answer) => {
      const { result, question } = await askOnce(subject, answer);
      expect(result).toMatchObject({ kind: 'failed', permanent: false });
      discreet(failure(result).message, question);
    });

    it.each(Object.entries(subject.malformed ?? {}))('%s has to be mended by a person', async (_name, answer) => {
      expect((await askOnce(subject, answer)).result).toMatchObject({ kind: 'failed', permanent: true });
    });

    it('a server that is not there', async () => {
      const { result } = await askOnce(subject, 'hang', subject.before ? {} : { address: 'http://127.0.0.1:9' });
      expect(result).toMatchObject({ kind: 'failed', permanent: false });
    });

    it('an address where clouds keep credentials is refused for good', async () => {
      const { result } = await askOnce(subject, 'hang', { address: 'http://169.254.169.254' });
      expect(result).toMatchObject({ kind: 'failed', permanent: true });
    });

    it('what the address itself holds is never repeated', async () => {
      const { result, question } = await askOnce(subject, { status: 500, body: 'x' }, {});
      const address = new URL(question.address);
      address.username = 'somebody';
      address.password = 'pa55word';
      const again = await askOnce(subject, { status: 500, body: 'x' }, { address: `${address.href}?key=in-the-query` });
      for (const one of [result, again.result]) expect(JSON.stringify(one)).not.toMatch(/pa55word|in-the-query/);
    });
  });
}

/** No message holds a credential, and none is longer than people read. */
export function discreet(message: string, question: ProviderQuery): void {
  for (const secret of Object.values(question.credentials ?? {})) if (secret.length > 3) expect(message).not.toContain(secret);
  for (const header of Object.values(question.provider.headers ?? {})) if (header.length > 3) expect(message).not.toContain(header);
  expect(message).not.toContain('secret-place');
  expect(message.length).toBeLessThan(1_000);
}

/** A question of some canary, but for provider and address. */
export const QUERY: Omit<ProviderQuery, 'provider' | 'address'> = {
  template: 'mine',
  query: 'up',
  namespace: 'shop',
  from: 1_700_000_000_000,
  to: 1_700_000_060_000,
  check: 'run-1/mine/1',
};
