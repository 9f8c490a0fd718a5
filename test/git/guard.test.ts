import { createServer, type Server } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EgressPolicy } from '../../src/net/egress.js';
import { serveSmartHttp } from './write-back/smart-http.js';
import { configMap, until, World } from './world.js';

let world: World;
let stop: (() => void)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const end of stop) end();
  stop = [];
  await world.destroy();
});
beforeEach(() => {
  stop = [];
  for (const name of Object.keys(process.env).filter((key) => /_proxy$/i.test(key))) vi.stubEnv(name, undefined);
});

/** As DNS answers: the name leads there. */
const names = (known: Record<string, string>): LookupFunction => (hostname, _options, callback) => {
  const address = known[hostname];
  if (address === undefined) callback(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), []);
  else callback(null, [{ address, family: address.includes(':') ? 6 : 4 }]);
};
const create = async (egress: EgressPolicy): Promise<void> => {
  world = await World.create({ egress, secrets: { git: { identity: 'key', known_hosts: 'x' } } });
  await world.commit({ 'deploy/a.yaml': configMap('a') });
};
async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a repository at a link-local address', () => {
  it.each([
    'http://169.254.169.254/shop.git',
    'https://169.254.169.254/shop.git',
    'http://2852039166/shop.git',
    'http://[fe80::1]/shop.git',
    'http://[fd00:ec2::254]/shop.git',
    'http://[::ffff:169.254.169.254]/shop.git',
    'ssh://git@169.254.169.254/shop.git',
    'git@169.254.169.254:shop.git',
    'ssh://git@[fe80::1]:22/shop.git',
  ])('%s is refused, and the message names the flag', async (url) => {
    await create({});
    world.source({ url, ...(url.startsWith('http') ? {} : { secretRef: { name: 'git' } }) });
    await world.start();
    expect(await world.reason('InvalidUrl')).toContain('is a link-local address; start the controller with --allow-link-local');
    expect(world.condition('Stalled')?.status).toBe('True');
  });

  it.each(['http://metadata.example/shop.git', 'https://metadata.example/shop.git', 'git@metadata.example:shop.git'])('behind the name of %s is refused too', async (url) => {
    await create({ resolve: names({ 'metadata.example': '169.254.169.254' }) });
    world.source({ url, ...(url.startsWith('http') ? {} : { secretRef: { name: 'git' } }) });
    await world.start();
    expect(await world.reason('InvalidUrl')).toContain('metadata.example (169.254.169.254) is a link-local address');
  });

  it('behind a redirect is refused too', async () => {
    await create({});
    const url = await listen(createServer((request, response) => void response.writeHead(302, { location: `http://169.254.169.254${request.url}` }).end()));
    world.source({ url: `${url}/shop.git` });
    await world.start();
    expect(await world.reason('InvalidUrl')).toContain('169.254.169.254 is a link-local address');
  });

  it('in a submodule is refused too, by the name of the submodule', async () => {
    await create({});
    const submodule = await world.commit({ 'x.yaml': configMap('x') }, { branch: 'aside' });
    await world.commit({ 'deploy/parts': { submodule }, '.gitmodules': '[submodule "p"]\n\tpath = deploy/parts\n\turl = http://169.254.169.254/parts.git\n' });
    // Only a commit that is not there yet is asked for.
    await world.git('update-ref', '-d', 'refs/heads/aside');
    world.source({ submodules: true });
    await world.start();
    expect(await world.reason('InvalidUrl')).toContain('submodule deploy/parts: 169.254.169.254 is a link-local address');
  });

  it('is asked where that is allowed', async () => {
    await create({ allowLinkLocal: true });
    // Nothing listens there in a test; that it was tried is what matters.
    world.source({ url: 'http://169.254.169.254:9/shop.git', timeout: '500ms' });
    await world.start();
    await until(() => world.condition()?.status === 'False', () => 'an answer of the machine or of its network');
    expect(world.condition()?.message).not.toContain('link-local');
  });
});

it('every other repository is read through the guard as without it: large ones, by name, behind a redirect', async () => {
  await create({ resolve: names({ 'git.example': '127.0.0.1' }) });
  const sha = await world.commit({ 'deploy/big.yaml': configMap('big', 'x'.repeat(2_000_000)) });
  const server = await serveSmartHttp(world.dir, 'bot', 'pw');
  stop.push(() => void server.close());
  world.secrets['http'] = { username: 'bot', password: 'pw' };
  const redirect = await listen(createServer((request, response) => void response.writeHead(301, { location: `${server.url}${request.url}` }).end()));
  const { port } = new URL(server.url);
  world.source({ url: `http://git.example:${port}/shop.git`, secretRef: { name: 'http' } }, 'named');
  await world.start();
  await world.applied(sha, 'named');
  world.source({ url: `${redirect}/shop.git`, secretRef: { name: 'http' } }, 'moved');
  // The password is for the first origin; that Git got as far as being asked for one is enough.
  expect(await world.reason('AuthenticationFailed', 'moved')).not.toContain('link-local');
});
