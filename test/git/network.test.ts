import { execFileSync, spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { serveSmartHttp } from './write-back/smart-http.js';
import { configMap, World } from './world.js';

const openssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0;
let world: World;
let stop: (() => unknown)[] = [];
let sha = '';
beforeEach(async () => {
  for (const name of Object.keys(process.env).filter((key) => /_proxy$/i.test(key))) vi.stubEnv(name, undefined);
  world = await World.create({ secrets: { git: { username: 'bot', password: 'very-secret' } } });
  sha = await world.commit({ 'deploy/a.yaml': configMap('a') });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(stop.map((end) => end()));
  stop = [];
  await world.destroy();
});

async function certificate(name: string): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(world.dir, `${name}.key`), join(world.dir, `${name}.crt`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
}

describe.skipIf(!openssl)('a server with a certificate authority of its own', () => {
  const follow = async (secret: Record<string, string>, tls: { key: string; cert: string }): Promise<void> => {
    const server = await serveSmartHttp(world.dir, 'bot', 'very-secret', tls);
    stop.push(() => server.close());
    world.secrets['git'] = { username: 'bot', password: 'very-secret', ...secret };
    world.source({ url: `${server.url}/shop.git`, secretRef: { name: 'git' } });
    await world.start();
  };

  it('is trusted with its ca.crt in the Secret', async () => {
    const tls = await certificate('own');
    await follow({ 'ca.crt': tls.cert }, tls);
    await world.applied(sha);
  });

  it('is not trusted without it, nor with another one; and it is told as that', async () => {
    await follow({ 'ca.crt': (await certificate('other')).cert }, await certificate('own'));
    expect(await world.reason('FetchFailed')).toMatch(/certificate/i);
    expect(world.cluster.get('ConfigMap', 'a')).toBeUndefined();
  });
});

/** A proxy as companies have them, which alone knows the names of the outside. */
async function startProxy(port: number): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url?.split('/info')[0]}`);
    response.writeHead(407).end();
  });
  server.on('connect', ({ url }, socket) => {
    asked.push(`CONNECT ${url}`);
    const upstream = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    upstream.on('error', () => socket.destroy()).pipe(socket);
    socket.on('error', () => upstream.destroy()).pipe(upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

describe('the proxy of the environment', () => {
  it.runIf(openssl)('leads to servers whose names only it knows', async () => {
    const [key, cert] = [join(world.dir, 'p.key'), join(world.dir, 'p.crt')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=git.example', '-addext', 'subjectAltName=DNS:git.example', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const tls = { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
    const server = await serveSmartHttp(world.dir, 'bot', 'very-secret', tls);
    stop.push(() => server.close());
    const proxy = await startProxy(Number(new URL(server.url).port));
    vi.stubEnv('https_proxy', proxy.url);
    world.secrets['git'] = { username: 'bot', password: 'very-secret', 'ca.crt': tls.cert };
    world.source({ url: 'https://git.example/shop.git', secretRef: { name: 'git' } });
    await world.start();
    await world.applied(sha);
    expect(new Set(proxy.asked)).toEqual(new Set(['CONNECT git.example:443']));
  });

  it('is not used for this machine', async () => {
    const proxy = await startProxy(9);
    vi.stubEnv('http_proxy', proxy.url);
    const server = await serveSmartHttp(world.dir, 'bot', 'very-secret');
    stop.push(() => server.close());
    world.source({ url: `${server.url}/shop.git`, secretRef: { name: 'git' } });
    await world.start();
    await world.applied(sha);
    expect(proxy.asked).toEqual([]);
  });
});
