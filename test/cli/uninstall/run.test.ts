import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crds } from '../../../src/api/crd.js';
import { API_VERSION, FINALIZER, SluiceResources, type Canary, type GitSource } from '../../../src/api/index.js';
import { run } from '../../../src/cli/program.js';
import type { Io } from '../../../src/cli/io.js';
import { Resources } from '../../../src/kube/index.js';
import { startApiServer, type ApiServer } from '../../../src/sandbox/apiserver/index.js';

let server: ApiServer;
let folder: string;
let time = 0;

beforeEach(async () => {
  server = await startApiServer({ crds: crds() });
  server.store.create(Resources.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  folder = await mkdtemp(path.join(tmpdir(), 'sluice-uninstall-'));
  await writeFile(path.join(folder, 'kubeconfig'), server.kubeconfig());
  time = Date.UTC(2026, 0, 1);
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs `sluice uninstall`; each wait of the command moves its clock and lets `meanwhile` happen. */
async function uninstall(args: string[], meanwhile: () => void = () => {}): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const io: Io = {
    out: (text) => (out += text),
    err: (text) => (err += text),
    now: () => time,
    sleep: async (ms) => {
      time += ms;
      meanwhile();
    },
    isTTY: false,
    color: false,
    env: {},
    signal: new AbortController().signal,
  };
  const code = await run(['uninstall', '--kubeconfig', path.join(folder, 'kubeconfig'), ...args], io);
  return { code, out, err };
}

function addCanary(namespace: string, name: string): void {
  const spec = { targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name }, service: { port: 80 }, analysis: { stepWeight: 20 } };
  const canary = { apiVersion: API_VERSION, kind: 'Canary', metadata: { namespace, name, finalizers: [FINALIZER] }, spec };
  server.store.create(SluiceResources.Canary, canary as unknown as Canary);
}
function addSource(namespace: string, name: string, suspend = false): void {
  const source = { apiVersion: API_VERSION, kind: 'GitSource', metadata: { namespace, name }, spec: { url: 'https://git.example.com/shop.git', suspend } };
  server.store.create(SluiceResources.GitSource, source as unknown as GitSource);
}
const canaries = (): string[] => server.store.list(SluiceResources.Canary).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
const suspended = (namespace: string, name: string): boolean | undefined => server.store.get(SluiceResources.GitSource, namespace, name)?.spec.suspend;

/** What the controller does once a target has its pods back. */
function giveBack(): void {
  for (const canary of server.store.list(SluiceResources.Canary))
    if (canary.metadata.deletionTimestamp) server.store.patch(SluiceResources.Canary, canary.metadata.namespace, canary.metadata.name, { metadata: { finalizers: null } }, 'merge');
}

describe('sluice uninstall', () => {
  it('waits until the controller has given every target back', async () => {
    addCanary('shop', 'reviews');
    addCanary('default', 'ratings');
    let waits = 0;
    const { code, out } = await uninstall(['--all-namespaces', '--wait'], () => {
      waits += 1;
      if (waits === 3) giveBack();
    });
    expect(code).toBe(0);
    expect(waits).toBe(3);
    expect(canaries()).toEqual([]);
    expect(out).toContain('Deployment shop/reviews serves by itself again');
    expect(out).toContain('No Canary is left');
  });

  it('suspends the GitSources before anything is deleted, so that no sync brings a Canary back', async () => {
    addSource('shop', 'app');
    addCanary('shop', 'reviews');
    const order: string[] = [];
    server.store.watch(SluiceResources.GitSource, ({ type, object }) => type === 'MODIFIED' && order.push(`suspend ${String((object as GitSource).spec.suspend)}`));
    server.store.watch(SluiceResources.Canary, ({ type }) => type === 'MODIFIED' && order.push('delete'));
    await uninstall(['-n', 'shop']);
    expect(order).toEqual(['suspend true', 'delete']);
  });

  it('touches only the namespace that was named', async () => {
    addSource('default', 'other');
    addCanary('shop', 'reviews');
    addCanary('default', 'ratings');
    const { code } = await uninstall(['-n', 'shop', '--wait'], giveBack);
    expect(code).toBe(0);
    expect(canaries()).toEqual(['default/ratings']);
    expect(suspended('default', 'other')).toBe(false);
  });

  it('ends with 4, and says what holds it up, when Canaries are still there after --timeout', async () => {
    addCanary('shop', 'reviews');
    const conditions = [{ type: 'Progressing', status: 'True', reason: 'TakingBack', message: '0 of 2 pods are ready', lastTransitionTime: new Date(time).toISOString() }];
    server.store.patch(SluiceResources.Canary, 'shop', 'reviews', { status: { failedChecks: 0, canaryWeight: 0, conditions } }, 'merge', { subresource: 'status' });
    const { code, err } = await uninstall(['-n', 'shop', '--wait', '--timeout', '30s']);
    expect(code).toBe(4);
    expect(err).toContain('Canary shop/reviews (TakingBack: 0 of 2 pods are ready)');
    expect(time - Date.UTC(2026, 0, 1)).toBe(30_000);
  });

  it('refuses to guess where', async () => {
    addCanary('default', 'ratings');
    expect(await uninstall(['--wait'])).toMatchObject({ code: 2 });
    expect(await uninstall(['-A', '-n', 'shop'])).toMatchObject({ code: 2 });
    expect(canaries()).toEqual(['default/ratings']);
  });

  it('has nothing to do where Sluice is not installed, or has no Canaries', async () => {
    expect((await uninstall(['-A', '--wait', '--output', 'json'])).code).toBe(0);
    await server.stop();
    server = await startApiServer();
    await writeFile(path.join(folder, 'kubeconfig'), server.kubeconfig());
    const { code, out } = await uninstall(['-A', '--wait', '--output', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ suspended: [], deleted: [], remaining: [] });
  });
});
