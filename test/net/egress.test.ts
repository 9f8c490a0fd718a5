import * as http from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { checkHost, isLinkLocal } from '../../src/net/egress.js';
import { isLoopback } from '../../src/net/host.js';
import { createHttp, TransportError } from '../../src/net/http.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const serve = async (listener: http.RequestListener): Promise<URL> => {
  const server = http.createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?secret=s3cr3t`);
};

const request = (url: URL) => ({ method: 'GET' as const, url, timeoutMs: 2_000, read: 'whole' as const, maxBytes: 100 });
const failure = async (promise: Promise<unknown>): Promise<TransportError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof TransportError) return error;
  throw new Error('expected a TransportError', { cause: error });
};

describe('addresses', () => {
  it.each(['169.254.169.254', '169.254.0.1', 'fe80::1', 'febf::1', 'fe80::1%eth0', '::ffff:169.254.169.254', 'fd00:ec2::254'])(
    '%s is link-local',
    (address) => expect(isLinkLocal(address)).toBe(true),
  );
  it.each(['127.0.0.1', '10.0.0.1', '169.253.1.1', '::1', 'fec0::1', '::ffff:10.0.0.1', 'example.org'])('%s is not', (address) =>
    expect(isLinkLocal(address)).toBe(false),
  );
  it.each([
    ['127.0.0.1', true],
    ['127.8.8.8', true],
    ['localhost', true],
    ['[::1]', true],
    ['127.example.org', false],
    ['10.0.0.1', false],
  ])('loopback: %s %s', (host, expected) => expect(isLoopback(host)).toBe(expected));
});

describe('the egress policy', () => {
  it.each(['http://169.254.169.254/latest/meta-data', 'http://2852039166/', 'http://[fe80::1]/', 'http://[::ffff:a9fe:a9fe]/'])(
    'denies %s before anything is sent',
    async (url) => {
      const http = createHttp();
      closers.push(() => http.close());
      const error = await failure(http.send(request(new URL(url))));
      expect(error.kind).toBe('denied');
      expect(error.message).toMatch(/link-local address.*--allow-link-local/);
    },
  );

  const resolvesTo = (address: string) => ({
    resolve: ((_host, _options, callback) => callback(null, [{ address, family: 4 }])) satisfies LookupFunction,
  });

  it('judges the address that a name resolves to when it connects', async () => {
    const http = createHttp(resolvesTo('169.254.169.254'));
    closers.push(() => http.close());
    const error = await failure(http.send(request(new URL('http://innocent.example.org/path'))));
    expect(error.kind).toBe('denied');
    expect(error.message).toContain('innocent.example.org (169.254.169.254) is a link-local address');
  });

  it('lets link-local addresses through with allowLinkLocal', () => {
    const url = new URL('http://169.254.0.1/');
    expect(() => checkHost(url, {})).toThrow('169.254.0.1 is a link-local address');
    expect(() => checkHost(url, { allowLinkLocal: true })).not.toThrow();
  });

  it('connects to where a name leads otherwise', async () => {
    const url = await serve((_request, response) => response.end('ok'));
    const http = createHttp(resolvesTo('127.0.0.1'));
    closers.push(() => http.close());
    expect((await http.send(request(new URL(`http://some.example.org:${url.port}/`)))).body).toBe('ok');
  });
});

describe('http', () => {
  const client = () => {
    const made = createHttp();
    closers.push(() => made.close());
    return made;
  };

  it('does not use the proxies of the environment for this machine', async () => {
    process.env.http_proxy = 'http://127.0.0.1:1';
    closers.push(() => delete process.env.http_proxy);
    const url = await serve((_request, response) => response.end('direct'));
    expect((await client().send(request(url))).body).toBe('direct');
  });

  it('bounds the body', async () => {
    const url = await serve((_request, response) => response.end('x'.repeat(101)));
    const error = await failure(client().send(request(url)));
    expect(error.message).toBe(`${url.host} answered more than 100 bytes`);
  });

  it('bounds the time, for a body that drips without end too', async () => {
    const url = await serve((_request, response) => {
      const drip = setInterval(() => response.write('.'), 20);
      response.once('close', () => clearInterval(drip));
    });
    const error = await failure(client().send({ ...request(url), maxBytes: 1e6, timeoutMs: 300 }));
    expect(error).toMatchObject({ kind: 'timeout', message: `${url.host} did not answer within 0.3 s` });
  });

  it('gives what came of a refusal, and does not wait for the body of a success', async () => {
    const url = await serve((incoming, response) => {
      response.statusCode = incoming.headers['x-want'] === 'ok' ? 200 : 403;
      response.write('no entry');
    });
    const start = { ...request(url), read: 'start' as const, timeoutMs: 400 };
    expect(await client().send(start)).toMatchObject({ status: 403, body: 'no entry' });
    const before = Date.now();
    expect(await client().send({ ...start, timeoutMs: 10_000, headers: { 'x-want': 'ok' } })).toMatchObject({ status: 200 });
    expect(Date.now() - before).toBeLessThan(5_000);
  });

  it('names the host and the trouble, never the rest of the address', async () => {
    const url = await serve(() => undefined);
    closers.splice(0).forEach((close) => close());
    const error = await failure(client().send(request(url)));
    expect(error.message).toBe(`${url.host} refused the connection`);
  });

  it('reports a redirect instead of following it', async () => {
    const url = await serve((_request, response) => response.writeHead(302, { location: 'http://elsewhere.example.org/' }).end());
    expect(await client().send(request(url))).toMatchObject({ status: 302 });
  });
});
