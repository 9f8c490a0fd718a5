import { chmod, mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { createKubeClient, loadClusterAccess, Resources } from '../../src/kube/index.js';
import { configMap, reply, startScriptedServer, status } from './server.js';

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(path.join(tmpdir(), 'sluice-kubeconfig-'))));
afterEach(() => rm(dir, { recursive: true }));

const base64 = (text: string): string => Buffer.from(text).toString('base64');

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
    expect((await access.credentials.get()).tls).toMatchObject({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'kubernetes' });
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
    await mkdir(path.join(dir, 'sa'));
    for (const [name, content] of Object.entries({ token: 'pod', 'ca.crt': 'CA', namespace: 'sluice' })) {
      await writeFile(path.join(dir, 'sa', name), content);
    }
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const access = await loadClusterAccess({ env, serviceAccountFolder: path.join(dir, 'sa') });
    expect(access).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'sluice' });
    expect((await access.credentials.get()).headers['authorization']).toBe('Bearer pod');
  });

  it.each([
    ['a file that is missing', async () => path.join(dir, 'none'), 'cannot be read (ENOENT); pass --kubeconfig'],
    ['a context that is missing', () => kubeconfig({}), 'there is no context named other (it has: main)', 'other'],
    ['a server that is no URL', () => kubeconfig({}, { server: 'nowhere' }), 'cluster c: field server'],
    ['auth-provider', () => kubeconfig({ 'auth-provider': { name: 'gcp' } }), 'use an exec plugin'],
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
