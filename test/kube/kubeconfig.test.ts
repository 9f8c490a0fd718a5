import http from 'node:http';
import type https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { chmod, mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { createKubeClient, loadClusterAccess, Resources } from '../../src/kube/index.js';
import type { Credentials } from '../../src/kube/credentials.js';
import { configMap, reply, startScriptedServer, status } from './server.js';

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(path.join(tmpdir(), 'sluice-kubeconfig-'))));
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const tlsOf = ({ agent }: Credentials): Record<string, string> => {
  const { ca, cert, key, servername } = (agent as https.Agent).options as Record<string, Buffer | string>;
  return { ca: String(ca), cert: String(cert), key: String(key), servername: String(servername) };
};

async function kubeconfig(user: object, cluster: object = {}, file = 'config'): Promise<string> {
  const target = path.join(dir, file);
  const content = {
    'current-context': 'main',
    contexts: [{ name: 'main', context: { cluster: 'c', user: 'u', namespace: 'shop' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
  };
  await writeFile(target, stringify(content));
  return target;
}

describe('a kubeconfig', () => {
  it('gives server, namespace, CA and client certificate, from data and from files beside it', async () => {
    await writeFile(path.join(dir, 'client.crt'), 'CERT');
    const file = await kubeconfig(
      { 'client-certificate': 'client.crt', 'client-key-data': base64('KEY') },
      { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'kubernetes' },
    );
    const access = await loadClusterAccess({ kubeconfig: file });
    expect(access).toMatchObject({ server: 'https://127.0.0.1:6443', namespace: 'shop' });
    expect(tlsOf(await access.credentials.get())).toEqual({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'kubernetes' });
  });

  it('reads a rotated token again after the server refused the old one', async () => {
    const tokenFile = path.join(dir, 'token');
    await writeFile(tokenFile, 'old\n');
    const server = await startScriptedServer();
    server.handle((request, response) => {
      if (request.headers.authorization === 'Bearer new') reply(response, configMap('a', 1));
      else reply(response, status(401, 'Unauthorized'), 401);
    });
    const client = await createKubeClient({ kubeconfig: await kubeconfig({ tokenFile: 'token' }, { server: server.url }) });
    await expect(client.get(Resources.ConfigMap, 'shop', 'a')).rejects.toMatchObject({ code: 401 });
    await writeFile(tokenFile, 'new\n');
    expect((await client.get(Resources.ConfigMap, 'shop', 'a')).metadata.name).toBe('a');
    client.close();
    await server.close();
  });

  it('runs an exec plugin once and keeps its token until it expires', async () => {
    const plugin = path.join(dir, 'plugin.sh');
    const answer = { status: { token: 'from-plugin', expirationTimestamp: new Date(Date.now() + 3_600_000).toISOString() } };
    await writeFile(
      plugin,
      `#!/bin/sh\necho run >> ${dir}/runs\necho "$KUBERNETES_EXEC_INFO" > ${dir}/info\necho '${JSON.stringify(answer)}'\n`,
    );
    await chmod(plugin, 0o755);
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin.sh', provideClusterInfo: true };
    const { credentials } = await loadClusterAccess({ kubeconfig: await kubeconfig({ exec }) });
    expect((await credentials.get()).headers['authorization']).toBe('Bearer from-plugin');
    await credentials.get();
    const { readFile } = await import('node:fs/promises');
    expect(await readFile(path.join(dir, 'runs'), 'utf8')).toBe('run\n');
    expect(JSON.parse(await readFile(path.join(dir, 'info'), 'utf8'))).toMatchObject({
      spec: { cluster: { server: 'https://127.0.0.1:6443' } },
    });
  });

  it('merges the files of KUBECONFIG, the first one winning', async () => {
    const first = await kubeconfig({ token: 'first' }, {}, 'one');
    const second = await kubeconfig({ token: 'second' }, { server: 'https://127.0.0.1:2' }, 'two');
    const access = await loadClusterAccess({
      env: { KUBECONFIG: [path.join(dir, 'missing'), first, second].join(path.delimiter) },
    });
    expect(access.server).toBe('https://127.0.0.1:6443');
    expect((await access.credentials.get()).headers['authorization']).toBe('Bearer first');
  });

  it('uses the service account inside a pod', async () => {
    const folder = path.join(dir, 'var/run/secrets/kubernetes.io/serviceaccount');
    await mkdir(folder, { recursive: true });
    for (const [name, content] of Object.entries({ token: 'pod\n', 'ca.crt': 'CA', namespace: 'sluice\n' })) {
      await writeFile(path.join(folder, name), content);
    }
    vi.stubEnv('KUBERNETES_SERVICE_HOST', 'fd00::1').stubEnv('KUBERNETES_SERVICE_PORT', '443');
    const access = await loadClusterAccess({ podRoot: dir });
    expect(access).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'sluice' });
    const credentials = await access.credentials.get();
    expect(credentials.headers['authorization']).toBe('Bearer pod');
    expect(tlsOf(credentials).ca).toBe('CA');
  });

  it('sends basic authentication and impersonation, groups included', async () => {
    const file = await kubeconfig({ username: 'joe', password: 'pw', as: 'jane', 'as-groups': ['dev', 'ops'] });
    expect((await (await loadClusterAccess({ kubeconfig: file })).credentials.get()).headers).toEqual({
      authorization: `Basic ${base64('joe:pw')}`,
      'impersonate-user': 'jane',
      'impersonate-group': ['dev', 'ops'],
    });
  });

  it("sends an OpenID Connect provider's token while it is valid", async () => {
    const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
    const token = `${encode({ alg: 'none' })}.${encode({ exp: Date.now() / 1000 + 3600 })}.c2ln`;
    const file = await kubeconfig({ 'auth-provider': { name: 'oidc', config: { 'id-token': token } } });
    const { credentials } = await loadClusterAccess({ kubeconfig: file });
    expect((await credentials.get()).headers['authorization']).toBe(`Bearer ${token}`);
  });

  it('needs no user, and lets inline data win over a file', async () => {
    const file = path.join(dir, 'config');
    const cluster = {
      server: 'https://127.0.0.1:1',
      'certificate-authority': 'gone',
      'certificate-authority-data': base64('CA'),
    };
    await writeFile(
      file,
      stringify({ contexts: [{ name: 'main', context: { cluster: 'c' } }], clusters: [{ name: 'c', cluster }] }),
    );
    const { credentials } = await loadClusterAccess({ kubeconfig: file, context: 'main' });
    expect(tlsOf(await credentials.get()).ca).toBe('CA');
  });

  it('reaches the server through proxy-url, and never through a proxy of the environment', async () => {
    const connects: string[] = [];
    const proxy = http.createServer().on('connect', (request: http.IncomingMessage, socket: Duplex) => {
      connects.push(request.url ?? '');
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const ask = async (cluster: object): Promise<unknown> => {
      const client = await createKubeClient({ kubeconfig: await kubeconfig({}, cluster) });
      return client.get(Resources.ConfigMap, 'shop', 'a').catch((error: unknown) => error);
    };
    vi.stubEnv('HTTPS_PROXY', url).stubEnv('https_proxy', url);
    expect(await ask({ server: 'https://127.0.0.1:1' })).toMatchObject({ reason: 'NoAnswer' });
    expect(connects).toEqual([]);
    expect(await ask({ server: 'https://127.0.0.1:1', 'proxy-url': url })).toMatchObject({ reason: 'NoAnswer' });
    expect(connects).toEqual(['127.0.0.1:1']);
    proxy.close();
  });

  it('keeps one connection for requests that follow each other', async () => {
    const server = await startScriptedServer();
    const ports = new Set<number | undefined>();
    server.handle((request, response) => {
      ports.add(response.socket?.remotePort);
      reply(response, configMap(request.path, 1));
    });
    const client = await createKubeClient({ kubeconfig: await kubeconfig({ token: 't' }, { server: server.url }) });
    for (const name of ['a', 'b', 'c']) await client.get(Resources.ConfigMap, 'shop', name);
    expect(ports.size).toBe(1);
    client.close();
    await server.close();
  });

  it('says which plugin failed and nothing of what it printed', async () => {
    const plugin = path.join(dir, 'plugin.sh');
    await writeFile(plugin, '#!/bin/sh\necho very-secret\necho very-secret >&2\nexit $CODE\n');
    await chmod(plugin, 0o755);
    const said = async (command: string, code: string): Promise<string> => {
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command, env: [{ name: 'CODE', value: code }] };
      const { credentials } = await loadClusterAccess({ kubeconfig: await kubeconfig({ exec }) });
      return credentials.get().then(
        () => 'no error',
        (error: Error) => error.message,
      );
    };
    for (const code of ['0', '1'])
      expect(await said('./plugin.sh', code)).toBe(
        `credential plugin ${plugin} gave no usable ExecCredential; run it by hand to see why`,
      );
    expect(await said('./none.sh', '0')).toContain('none.sh did not start (ENOENT); install it');
  });

  it.each([
    ['a file that is missing', async () => path.join(dir, 'none'), 'cannot be read (ENOENT); pass --kubeconfig'],
    ['a context that is missing', () => kubeconfig({}), 'there is no context named other (it has: main)', 'other'],
    ['a server that is no URL', () => kubeconfig({}, { server: 'nowhere' }), 'cluster c: field server'],
    ['an auth-provider nobody knows', () => kubeconfig({ 'auth-provider': { name: 'openstack' } }), 'use an exec plugin'],
    ['a field of the wrong type', () => kubeconfig({ tokenFile: 7 }), 'config: field users.0.user.tokenFile:'],
  ] as const)('names the problem: %s', async (_name, file, message, context?: string) => {
    await expect(loadClusterAccess({ kubeconfig: await file(), context })).rejects.toThrow(message);
  });

  it('never quotes secrets of a file that is not YAML', async () => {
    const file = path.join(dir, 'broken');
    await writeFile(file, 'users: [{token: very-secret');
    const error = await loadClusterAccess({ kubeconfig: file }).catch((reason: Error) => reason);
    expect((error as Error).message).toContain('is not valid YAML');
    expect((error as Error).message).not.toContain('very-secret');
  });
});
