import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createGitHome, gitEnvironment } from '../../src/git/environment.js';
import { runGit } from '../../src/git/run.js';
import { configMap, until, World } from './world.js';

const PASSWORD = 'p@ss/w0rd:very-secret';
let world: World;
let server: Server | undefined;
beforeEach(async () => {
  world = await World.create({ secrets: { git: { username: 'bot', password: PASSWORD } } });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await world.destroy();
  server?.closeAllConnections();
  server?.close();
});

async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  server = createServer(handle);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Serves the repository's files, as any web server can, to whoever knows the password. */
function protectedFiles(request: IncomingMessage, response: ServerResponse): void {
  const expected = `Basic ${Buffer.from(`bot:${PASSWORD}`).toString('base64')}`;
  if (request.headers.authorization !== expected) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end(`no: ${request.headers.authorization}`);
    return;
  }
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const file = createReadStream(join(world.dir, pathname));
  file.on('error', () => response.writeHead(404).end());
  file.pipe(response);
}

async function publish(): Promise<void> {
  const home = await createGitHome(join(world.dir, 'publisher'));
  await runGit(['update-server-info'], { cwd: world.repository, environment: gitEnvironment(home.dir) });
}

async function everythingWritten(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return (await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')))).join('\n');
}

/** Of every process on the machine; ps is missing on slim Linux images, /proc elsewhere. */
function commandLines(): string[] {
  if (!existsSync('/proc/self/cmdline')) return execFileSync('ps', ['-A', '-o', 'args'], { encoding: 'utf8' }).split('\n');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    });
}

const leaks = (text: string): boolean =>
  [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(`bot:${PASSWORD}`).toString('base64'), 'wrong-secret'].some((secret) =>
    text.includes(secret),
  );

describe('a repository behind a password', () => {
  it('is read with the Secret, and the password is nowhere afterwards', async () => {
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a') });
    await publish();
    const url = `${await serve(protectedFiles)}/shop.git`;
    world.source({ url, secretRef: { name: 'git' } });
    await world.start();
    await world.applied(sha);
    expect(leaks(JSON.stringify([...world.cluster.objects.values()]) + world.log.join('\n'))).toBe(false);
    await world.stop();
    expect(leaks(await everythingWritten(world.data))).toBe(false);
  });

  it('says what to check when the password is wrong, without the password, and recovers when the Secret is mended', async () => {
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a') });
    await publish();
    const url = `${await serve(protectedFiles)}/shop.git`;
    world.secrets.git = { username: 'bot', password: 'wrong-secret' };
    world.source({ url, secretRef: { name: 'git' } });
    await world.start();
    expect(await world.reason('AuthenticationFailed')).toContain('spec.secretRef');
    expect(leaks(JSON.stringify([...world.cluster.objects.values()]) + world.log.join('\n'))).toBe(false);
    world.secrets.git = { username: 'bot', password: PASSWORD };
    await world.applied(sha);
  });

  it('does not hand the password to the host of a redirect', async () => {
    await world.commit({ 'deploy/a.yaml': configMap('a') });
    const given: string[] = [];
    const elsewhere = createServer((request, response) => {
      given.push(request.headers.authorization ?? '');
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const { port } = elsewhere.address() as AddressInfo;
    const url = `${await serve((request, response) => void response.writeHead(302, { location: `http://127.0.0.1:${port}${request.url}` }).end())}/shop.git`;
    world.source({ url, secretRef: { name: 'git' } });
    await world.start();
    await world.reason('AuthenticationFailed');
    elsewhere.close();
    expect(given.length).toBeGreaterThan(0);
    expect(given.filter(Boolean)).toEqual([]);
  });

  it('names the Secret or the key that is missing', async () => {
    world.source({ url: 'https://git.invalid/shop.git', secretRef: { name: 'nothing' } }, 'one');
    world.source({ url: 'git@git.invalid:shop.git', secretRef: { name: 'git' } }, 'two');
    world.source({ url: 'https://bot:hunter2@git.invalid/shop.git' }, 'three');
    await world.start();
    expect(await world.reason('CredentialsNotFound', 'one')).toContain('Secret "nothing" does not exist');
    expect(await world.reason('CredentialsNotFound', 'two')).toContain('lacks the key "identity"');
    const message = await world.reason('InvalidUrl', 'three');
    expect(message).toContain('holds a password');
    expect(message).not.toContain('hunter2');
  });
});

describe('a server that never answers', () => {
  it('is given up after spec.timeout, and no Git is left behind', async () => {
    const url = `${await serve(() => {})}/shop.git`;
    world.source({ url, timeout: '400ms', interval: '1m' });
    await world.start();
    expect(await world.reason('FetchFailed')).toContain('spec.timeout (0.4 s)');
    const left = (): number => commandLines().filter((line) => line.includes(url)).length;
    await until(
      () => left() === 0,
      () => 'no process that still speaks to the server',
    );
  });
});

describe('a strange machine', () => {
  it('does not matter: no HOME, or a configuration that signs, hooks and rewrites', async () => {
    const hooks = join(world.dir, 'hooks');
    const home = join(world.dir, 'user');
    await mkdir(hooks);
    await mkdir(home);
    for (const hook of ['reference-transaction', 'post-update', 'pre-auto-gc'])
      await writeFile(join(hooks, hook), `#!/bin/sh\ntouch '${world.dir}/hooked'\nexit 1\n`, { mode: 0o755 });
    const config = `[core]\n\thooksPath = ${hooks}\n[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n[gpg]\n\tprogram = /bin/false\n[url "file:///nowhere/"]\n\tinsteadOf = file:///\n[fetch]\n\tprune = true\n`;
    await writeFile(join(home, '.gitconfig'), config);
    vi.stubEnv('GIT_CONFIG_GLOBAL', join(home, '.gitconfig'));
    vi.stubEnv('GIT_DIR', '/nowhere');
    vi.stubEnv('GIT_AUTHOR_NAME', undefined);
    vi.stubEnv('LANG', 'de_DE.UTF-8');
    vi.stubEnv('https_proxy', 'http://127.0.0.1:9');
    vi.stubEnv('http_proxy', 'http://127.0.0.1:9');
    vi.stubEnv('HOME', home);
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    await publish();
    world.source({ url: `${await serve(protectedFiles)}/shop.git`, secretRef: { name: 'git' } }, 'http');
    world.source();
    await world.start();
    await world.applied(first);
    await world.applied(first, 'http');
    vi.stubEnv('HOME', undefined);
    await world.applied(await world.commit({ 'deploy/a.yaml': configMap('a', 'b') }));
    expect(await readdir(world.dir)).not.toContain('hooked');
  });

  it('hands proxies on only for other hosts', () => {
    const parent = { https_proxy: 'http://proxy.invalid', GIT_SSH_COMMAND: 'touch /x', SSH_ASKPASS: '/x' };
    expect(gitEnvironment('/h', 'github.com', parent)).toMatchObject({ https_proxy: 'http://proxy.invalid', HOME: '/h' });
    for (const host of ['localhost', '127.0.0.1', '[::1]', '', 'git.localhost'])
      expect(gitEnvironment('/h', host, parent)).not.toHaveProperty('https_proxy');
    expect(Object.keys(gitEnvironment('/h', 'github.com', parent))).not.toContain('GIT_SSH_COMMAND');
    expect(Object.keys(gitEnvironment('/h', 'github.com', parent))).not.toContain('SSH_ASKPASS');
  });
});
