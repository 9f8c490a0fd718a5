import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createInformer, createKubeClient, Resources, type KubeObject, type OwnedKubeClient } from '../../../src/kube/index.js';
import { Gate } from '../gate.js';
import { TrapWorld } from './world.js';

let world: TrapWorld;
beforeAll(async () => {
  world = await TrapWorld.start();
});
afterAll(() => world?.stop());

describe('K12: an informer that lists without pages and stops for good on an error', () => {
  const PAGE = 500;
  let gate: Gate;
  let client: OwnedKubeClient;
  beforeAll(async () => {
    gate = await Gate.open(world.plane.kubeconfig);
    client = await createKubeClient({ kubeconfig: gate.kubeconfig, userAgent: 'k12' });
  });
  afterAll(() => {
    client?.close();
    gate?.close();
  });
  const configMap = (name: string, value: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'k12', labels: { of: 'k12' } },
    data: { value },
  });

  it('lists page by page without managedFields, and after an outage shows what was made, changed and deleted meanwhile', async () => {
    await world.app('k12');
    const names = Array.from({ length: PAGE + 20 }, (_, index) => `item-${index}`);
    for (let from = 0; from < names.length; from += 40)
      await Promise.all(
        names.slice(from, from + 40).map((name) => world.client.create(Resources.ConfigMap, configMap(name, 'old'))),
      );
    const ending = new AbortController();
    const errors: unknown[] = [];
    const informer = createInformer<KubeObject>(client, Resources.ConfigMap, {
      namespace: 'k12',
      labelSelector: 'of=k12',
      onError: (error) => errors.push(error),
    });
    const seen: string[] = [];
    informer.onChange(
      ({ name }, object) =>
        void seen.push(`${name} ${object ? ((object['data'] as { value?: string }).value ?? '') : 'deleted'}`),
    );
    informer.start(ending.signal);
    await informer.whenSynced();
    expect(informer.list()).toHaveLength(names.length);
    expect(informer.list().filter(({ metadata }) => metadata.managedFields !== undefined)).toEqual([]);
    const audited = (await readFile(world.plane.auditLogPath, 'utf8'))
      .split('\n')
      .filter((line) => line.includes('"userAgent":"k12"') && line.includes('/namespaces/k12/configmaps'));
    const uris = audited.map((line) => (JSON.parse(line) as { requestURI: string }).requestURI);
    expect(uris.filter((uri) => uri.includes('continue=')).length, 'further pages').toBeGreaterThanOrEqual(1);
    expect(uris.filter((uri) => !uri.includes('watch=') && !/limit=\d+/.test(uri))).toEqual([]);

    gate.interrupt();
    await world.until('the informer to notice', () => errors.length > 0);
    await world.client.create(Resources.ConfigMap, configMap('made', 'new'));
    await world.client.patch(Resources.ConfigMap, 'k12', 'item-0', { data: { value: 'changed' } }, 'merge');
    await world.client.delete(Resources.ConfigMap, 'k12', 'item-1');
    expect(informer.get('k12', 'made')).toBeUndefined();
    gate.restore();
    await world.until(
      'what happened meanwhile',
      () => seen.includes('made new') && seen.includes('item-0 changed') && seen.includes('item-1 deleted'),
    );
    expect(informer.list()).toHaveLength(names.length);
    ending.abort();
  });

  it('the controller watches pods by label, and a Secret only when it is tracked, by its name', async () => {
    const app = await world.app('k12-secrets');
    for (const name of ['tracked', 'other'])
      await world.client.create(Resources.Secret, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace: 'k12-secrets' },
        stringData: { value: name },
      });
    const envFrom = ['tracked', 'other'].map((name) => ({ secretRef: { name } }));
    await app.adopt({
      template: { spec: { containers: [{ name: 'shop', image: 'shop:1', envFrom }] } },
      canary: { revisions: { configs: [{ kind: 'Secret', name: 'tracked', mode: 'track' }] } },
    });
    const lines = (await readFile(world.plane.auditLogPath, 'utf8'))
      .split('\n')
      .filter((line) => line.includes('"userAgent":"sluice-controller"'));
    const reads = lines
      .map((line) => JSON.parse(line) as { verb: string; requestURI: string; objectRef?: { resource?: string } })
      .filter(({ verb }) => ['get', 'list', 'watch'].includes(verb));
    const secrets = reads
      .filter(({ objectRef }) => objectRef?.resource === 'secrets')
      .map(({ requestURI }) => decodeURIComponent(requestURI));
    expect(secrets.length).toBeGreaterThan(0);
    for (const uri of secrets) expect(uri).toMatch(/metadata\.name=tracked|\/secrets\/tracked/);
    const pods = reads
      .filter(({ objectRef }) => objectRef?.resource === 'pods')
      .map(({ requestURI }) => decodeURIComponent(requestURI));
    expect(pods.length).toBeGreaterThan(0);
    for (const uri of pods) expect(uri).toContain('labelSelector=sluice.dev/canary');
  });
});
