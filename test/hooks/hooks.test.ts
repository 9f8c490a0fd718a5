import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { WebhookSpec } from '../../src/api/index.js';
import { createHookCaller, type HookOptions } from '../../src/hooks/index.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Reply = (request: http.IncomingMessage, response: http.ServerResponse, attempt: number) => void;

async function world(reply: Reply, options: HookOptions = {}) {
  const bodies: string[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      reply(request, response, bodies.length);
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const pauses: number[] = [];
  const clock = { at: 1_000, now: () => clock.at };
  const sleep = async (ms: number) => {
    pauses.push(ms);
    clock.at += ms;
  };
  const caller = createHookCaller({ clock, sleep, ...options });
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
    () => caller.close(),
  );
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call = (over: Partial<WebhookSpec> = {}) =>
    caller.call(
      { name: 'gate', type: 'confirm-rollout', url: `http://${host}/gate`, timeout: '2s', retries: 0, ...over },
      { name: 'reviews', namespace: 'default', phase: 'Progressing', checksum: '7c4f', metadata: { team: 'a' } },
    );
  return { host, bodies, pauses, call };
}

const status =
  (code: number, body = '', headers: Record<string, string> = {}): Reply =>
  (_request, response) =>
    void response.writeHead(code, headers).end(body);

describe('a webhook', () => {
  it('is told about the release', async () => {
    const { call, bodies } = await world(status(200));
    expect(await call()).toMatchObject({ ok: true });
    expect(JSON.parse(bodies[0] ?? '')).toEqual({
      name: 'reviews',
      namespace: 'default',
      phase: 'Progressing',
      checksum: '7c4f',
      metadata: { team: 'a' },
    });
  });

  it.each([200, 201, 202, 204, 299])('agrees with %i', async (code) => {
    const { call, host } = await world(status(code));
    expect(await call()).toEqual({ ok: true, message: `webhook "gate": ${host} answered ${code}` });
  });

  it('agrees with a 2xx whose body never ends', async () => {
    const { call } = await world((_request, response) => response.writeHead(200).write('yes'));
    expect(await call()).toMatchObject({ ok: true });
  });

  it.each([400, 403, 404])('refuses with %i at once, and its text is in the message', async (code) => {
    const { call, host, bodies } = await world(status(code, 'not before\n  the freeze\u0007 ends'));
    expect(await call({ retries: 3 })).toEqual({
      ok: false,
      message: `webhook "gate": ${host} answered ${code}: not before the freeze ends`,
    });
    expect(bodies).toHaveLength(1);
  });

  it('may say only so much', async () => {
    const { call, host } = await world(status(403, 'x'.repeat(100_000)));
    expect((await call()).message).toBe(`webhook "gate": ${host} answered 403: ${'x'.repeat(512)}`);
  });

  it('cannot send the controller elsewhere', async () => {
    const elsewhere = await world(status(200));
    const { call } = await world(status(307, '', { location: `http://${elsewhere.host}/` }));
    expect(await call()).toMatchObject({
      ok: false,
      message: expect.stringContaining('answered 307, a redirect, which is not followed') as string,
    });
    expect(elsewhere.bodies).toEqual([]);
  });

  it('cannot reach the metadata service of a cloud', async () => {
    const { call, pauses } = await world(status(200));
    expect(await call({ url: 'http://169.254.169.254/latest', retries: 3 })).toMatchObject({
      ok: false,
      message: expect.stringContaining('webhook "gate": 169.254.169.254 is a link-local address') as string,
    });
    expect(pauses).toEqual([]);
  });
});

it.each([{ url: 'ftp://nowhere' }, { url: 'nowhere' }, { timeout: 'soon' }])('%o gets an answer too', async (over) => {
  const { call } = await world(status(200));
  const answer = await call(over);
  expect(answer).toMatchObject({ ok: false, message: expect.stringMatching(/^webhook "gate": /) as string });
});

describe('retries', () => {
  it.each([429, 500, 503])('follow %i, with longer and longer pauses', async (code) => {
    const { call, bodies, pauses } = await world((request, response, attempt) =>
      status(attempt < 4 ? code : 200)(request, response, attempt),
    );
    expect(await call({ retries: 3 })).toMatchObject({ ok: true });
    expect(bodies).toHaveLength(4);
    expect(pauses).toEqual([250, 500, 1_000]);
  });

  it('follow a broken connection', async () => {
    const { call, bodies } = await world((request, response, attempt) =>
      attempt === 1 ? void request.socket.destroy() : status(200)(request, response, attempt),
    );
    expect(await call({ retries: 1 })).toMatchObject({ ok: true });
    expect(bodies).toHaveLength(2);
  });

  it('are as many as asked for, and the last answer counts', async () => {
    const { call, bodies, host } = await world((request, response, attempt) =>
      status(503, `attempt ${attempt}`)(request, response, attempt),
    );
    expect(await call({ retries: 2 })).toEqual({ ok: false, message: `webhook "gate": ${host} answered 503: attempt 3` });
    expect(bodies).toHaveLength(3);
  });

  it('wait as long as the receiver asks, unless that is too long', async () => {
    const patient = await world((request, response, attempt) =>
      status(attempt === 1 ? 429 : 200, '', { 'Retry-After': '3' })(request, response, attempt),
    );
    expect(await patient.call({ retries: 1 })).toMatchObject({ ok: true });
    expect(patient.pauses).toEqual([3_000]);
    const hasty = await world(status(429, '', { 'Retry-After': '60' }));
    expect(await hasty.call({ retries: 1 })).toMatchObject({ ok: false });
    expect(hasty.bodies).toHaveLength(1);
  });

  it.each<[string, Reply]>([
    ['does not answer', () => undefined],
    [
      'drips a body without end',
      (_request, response) => {
        response.writeHead(503);
        const drip = setInterval(() => response.write('.'), 10);
        response.once('close', () => clearInterval(drip));
      },
    ],
  ])('a server that %s holds no longer than timeout × (retries + 1)', async (_name, reply) => {
    const { call, bodies } = await world(reply, { clock: { now: () => Date.now() }, sleep: undefined });
    const before = Date.now();
    const answer = await call({ timeout: '150ms', retries: 2 });
    const took = Date.now() - before;
    expect(answer.ok).toBe(false);
    expect(bodies.length).toBeGreaterThan(1);
    expect(took).toBeGreaterThanOrEqual(290);
    // A loaded machine may be late, but not by another attempt per retry.
    expect(took).toBeLessThan(450 + 1_000);
  });
});
