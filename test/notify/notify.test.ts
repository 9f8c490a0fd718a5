import { createHmac } from 'node:crypto';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { AlertProviderSpec } from '../../src/api/index.js';
import type { Notification } from '../../src/engine/ports.js';
import { createNotifier, NotifyError } from '../../src/notify/index.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Received {
  headers: http.IncomingHttpHeaders;
  body: string;
}

async function receiver(status = 200, body = 'ok', headers: Record<string, string> = {}) {
  const received: Received[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      if (status !== 0) response.writeHead(status, headers).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const notifier = createNotifier({ clock: { now: () => Date.parse('2030-01-01T12:00:00Z') } });
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
    () => notifier.close(),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/T0/pa7h?key=qu3ry`, received, notifier };
}

const spec = (over: Partial<AlertProviderSpec>): AlertProviderSpec => ({
  type: 'slack',
  username: 'sluice',
  timeout: '2s',
  ...over,
});

const notification: Notification = {
  id: 'run-1/Failed',
  event: 'Failed',
  severity: 'error',
  text: 'taken back: success rate 93.1 % < 99 % over 412 requests',
  cluster: 'prod',
  namespace: 'default',
  canary: 'reviews',
  target: 'reviews',
  revision: '7c4f',
  commit: '0123456789abcdef0123456789abcdef01234567',
  author: 'Jo <jo@example.org>',
  subject: 'use <!channel> & more',
  reason: 'ChecksFailed',
  weight: 20,
  at: '2030-01-01T12:00:00Z',
};

const failure = async (promise: Promise<void>): Promise<NotifyError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof NotifyError) return error;
  throw new Error('expected a NotifyError', { cause: error });
};

interface SlackMessage {
  text: string;
  username: string;
  channel?: string;
  attachments: { color: string; blocks: { text?: { text: string }; fields?: { text: string }[] }[] }[];
}

describe('slack', () => {
  const message = async (over: Partial<Notification> = {}, more: Partial<AlertProviderSpec> = {}): Promise<SlackMessage> => {
    const { url, received, notifier } = await receiver();
    await notifier.send({ name: 'chat', spec: spec({ address: url, ...more }) }, { ...notification, ...over });
    return JSON.parse(received[0]?.body ?? '') as SlackMessage;
  };

  it('tells the story with its reason and provenance', async () => {
    const { text, username, attachments } = await message();
    expect(username).toBe('sluice');
    expect(text).toBe('default/reviews: taken back: success rate 93.1 % &lt; 99 % over 412 requests');
    const [headline, details] = attachments[0]?.blocks ?? [];
    expect(headline?.text?.text).toContain('93.1 % &lt; 99 %');
    expect(details?.fields?.map((field) => field.text)).toEqual([
      '*Canary*\nreviews',
      '*Namespace*\ndefault',
      '*Cluster*\nprod',
      '*Revision*\n7c4f',
      '*Commit*\n0123456789ab use &lt;!channel&gt; &amp; more',
      '*Author*\nJo &lt;jo@example.org&gt;',
      '*Reason*\nChecksFailed',
      '*Weight*\n20 %',
    ]);
  });

  it('shows the severity as a colour', async () => {
    const colours = await Promise.all(
      (['info', 'warn', 'error'] as const).map(async (severity) => (await message({ severity })).attachments[0]?.color),
    );
    expect(new Set(colours).size).toBe(3);
  });

  it('leaves out what is not known, and names the channel that was asked for', async () => {
    const { attachments, channel } = await message(
      { cluster: undefined, commit: undefined, author: undefined, weight: 0 },
      { channel: '#releases' },
    );
    expect(channel).toBe('#releases');
    const fields = attachments[0]?.blocks[1]?.fields?.map((field) => field.text.split('\n')[0]);
    expect(fields).toEqual(['*Canary*', '*Namespace*', '*Revision*', '*Reason*', '*Weight*']);
  });

  it('leads to the views of the release, and leaves out an address that does not fit', async () => {
    const links = [
      { name: 'Grafana & co', url: 'https://grafana.example.com/d/x?a=1&b=p|q' },
      { name: 'Endless', url: `https://example.com/${'x'.repeat(3_000)}` },
      ...Array.from({ length: 12 }, (_, index) => ({ name: `View ${index}`, url: 'https://example.com/' })),
    ];
    const { attachments } = await message({ links });
    const elements = (attachments[0]?.blocks[2] as { type?: string; elements?: { text: string }[] } | undefined)?.elements ?? [];
    expect(elements[0]?.text).toBe('<https://grafana.example.com/d/x?a=1&amp;b=p%7Cq|Grafana &amp; co>');
    expect(elements).toHaveLength(10);
    expect(elements.map(({ text }) => text).join()).not.toContain('Endless');
    expect((await message()).attachments[0]?.blocks).toHaveLength(2);
  });

  it('keeps within the limits of Slack', async () => {
    const { attachments } = await message({ text: 'x'.repeat(5_000), subject: 'y'.repeat(5_000) });
    expect(attachments[0]?.blocks[0]?.text?.text.length).toBe(3_000);
    expect(Math.max(...(attachments[0]?.blocks[1]?.fields ?? []).map((field) => field.text.length))).toBe(2_000);
  });
});

describe('webhook', () => {
  it('sends the notification as it is, with its id, a token and a signature over the body', async () => {
    const { url, received, notifier } = await receiver(204, '');
    const credentials = { address: url, token: 't0ken\n', hmac: 'k3y\n' };
    await notifier.send({ name: 'hub', spec: spec({ type: 'webhook', secretRef: { name: 'hub' } }), credentials }, notification);
    const [{ headers, body }] = received as [Received];
    expect(JSON.parse(body)).toEqual(notification);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-sluice-id': 'run-1%2FFailed',
      authorization: 'Bearer t0ken',
      'x-sluice-signature': `sha256=${createHmac('sha256', 'k3y').update(body).digest('hex')}`,
    });
  });

  it('sends neither token nor signature without a Secret', async () => {
    const { url, received, notifier } = await receiver();
    await notifier.send({ name: 'hub', spec: spec({ type: 'webhook', address: url }) }, notification);
    expect(Object.keys(received[0]?.headers ?? {})).not.toEqual(expect.arrayContaining(['authorization']));
    expect(received[0]?.headers['x-sluice-signature']).toBeUndefined();
  });
});

describe('what goes wrong', () => {
  it.each<[number, boolean, string]>([
    [500, true, 'the receiver answered 500'],
    [503, true, 'the receiver answered 503'],
    [429, true, 'the receiver answered 429'],
    [400, false, 'the receiver answered 400'],
    [403, false, 'the receiver answered 403; look at Secret "chat-secret"'],
    [410, false, 'the receiver answered 410; there is no such receiver any more: look at Secret "chat-secret"'],
    [302, false, 'the receiver answered 302, a redirect; write the address that it leads to'],
  ])('%i: retryable %s', async (status, retryable, message) => {
    const { url, notifier } = await receiver(status, `Cannot POST /services/T0/pa7h?key=qu3ry`);
    const error = await failure(
      notifier.send(
        { name: 'chat', spec: spec({ secretRef: { name: 'chat-secret' } }), credentials: { address: url } },
        notification,
      ),
    );
    expect(error).toMatchObject({ retryable, message: `AlertProvider "chat": ${message}` });
    expect(error.message).not.toMatch(/pa7h|qu3ry/);
  });

  it('passes on when the receiver wants to be asked again', async () => {
    const { url, notifier } = await receiver(429, '', { 'Retry-After': '30' });
    expect(await failure(notifier.send({ name: 'chat', spec: spec({ address: url }) }, notification))).toMatchObject({
      retryAfterSeconds: 30,
    });
  });

  it("gives Slack's own word for a refusal", async () => {
    const { url, notifier } = await receiver(404, 'channel_not_found');
    const error = await failure(notifier.send({ name: 'chat', spec: spec({ address: url }) }, notification));
    expect(error.message).toContain('answered 404 (channel_not_found)');
  });

  it('a receiver that hangs is given up on and may be tried again', async () => {
    const { url, notifier } = await receiver(0);
    const error = await failure(notifier.send({ name: 'chat', spec: spec({ address: url, timeout: '200ms' }) }, notification));
    expect(error.retryable).toBe(true);
    expect(error.message).toMatch(/^AlertProvider "chat": 127\.0\.0\.1:\d+ did not answer within 0\.2 s$/);
  });

  it.each<[string, Parameters<ReturnType<typeof createNotifier>['send']>[0], string]>([
    [
      'no address',
      { name: 'chat', spec: spec({ secretRef: { name: 's' } }), credentials: {} },
      'the key "address" of Secret "s" is missing or empty',
    ],
    [
      'no URL',
      { name: 'chat', spec: spec({ secretRef: { name: 's' } }), credentials: { address: 'qu3ry' } },
      'the key "address" of Secret "s" is not an http:// or https:// address',
    ],
    [
      'a metadata service',
      { name: 'chat', spec: spec({ address: 'http://169.254.169.254/qu3ry' }) },
      '169.254.169.254 is a link-local address',
    ],
  ])('%s is final and says what to do', async (_name, provider, message) => {
    const { notifier } = await receiver();
    const error = await failure(notifier.send(provider, notification));
    expect(error.message).toContain(`AlertProvider "chat": ${message}`);
    expect(error.message).not.toContain('qu3ry');
    expect(error.retryable).toBe(false);
  });
});
