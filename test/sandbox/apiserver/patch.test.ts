import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../../src/sandbox/apiserver/index.js';
import { canary, CANARIES, canaryCrd, Client, configMap, deployment, DEPLOYMENTS, NS, start, type Doc } from './harness.js';

let server: ApiServer;
let client: Client;
beforeAll(async () => {
  ({ server, client } = await start({ crds: [canaryCrd()] }));
});
afterAll(() => server.stop());

const data = (reply: { body: Doc }): unknown => reply.body['data'];
const podSpec = (reply: { body: Doc }): Doc => (reply.body['spec'] as { template: { spec: Doc } }).template.spec;

describe('merge patch', () => {
  it('merges objects, removes nulls, replaces lists', async () => {
    await client.post(`${NS}/configmaps`, configMap('m', { a: '1', b: '2' }));
    expect(data(await client.merge(`${NS}/configmaps/m`, { data: { a: null, c: '3' } }))).toEqual({ b: '2', c: '3' });
  });
});

describe('JSON patch', () => {
  it('adds, replaces, removes, moves, copies and tests', async () => {
    await client.post(`${NS}/configmaps`, configMap('j', { a: '1', b: '2' }));
    const patched = await client.json(`${NS}/configmaps/j`, [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'replace', path: '/data/a', value: 'x' },
      { op: 'add', path: '/metadata/annotations', value: {} },
      { op: 'add', path: '/metadata/annotations/demo.dev~1note', value: 'y' },
      { op: 'move', from: '/data/b', path: '/data/e' },
      { op: 'copy', from: '/data/a', path: '/data/f' },
    ]);
    expect(data(patched)).toEqual({ a: 'x', e: '2', f: 'x' });
    expect(patched.body.metadata.annotations).toEqual({ 'demo.dev/note': 'y' });
  });

  it('changes nothing when a test or a path does not hold', async () => {
    await client.post(`${NS}/configmaps`, configMap('k', { a: '1' }));
    for (const operations of [
      [
        { op: 'replace', path: '/data/a', value: '2' },
        { op: 'test', path: '/data/a', value: '1' },
      ],
      [{ op: 'remove', path: '/data/missing' }],
      [{ op: 'remove', path: '/nowhere/x' }],
    ]) {
      expect((await client.json(`${NS}/configmaps/k`, operations)).status).toBe(422);
    }
    expect((await client.json(`${NS}/configmaps/k`, { op: 'add' })).status).toBe(400);
    expect(data(await client.get(`${NS}/configmaps/k`))).toEqual({ a: '1' });
  });
});

describe('strategic merge patch', () => {
  const two = (name: string): Doc =>
    deployment(name, {
      template: {
        metadata: { labels: { app: name } },
        spec: {
          containers: [
            {
              name: 'app',
              image: 'a:1',
              env: [
                { name: 'A', value: '1' },
                { name: 'B', value: '2' },
              ],
              ports: [{ containerPort: 80 }],
            },
            { name: 'side', image: 's:1' },
          ],
        },
      },
    });

  it('merges containers by name and env by name', async () => {
    await client.post(DEPLOYMENTS, two('sm'));
    const patch = {
      spec: {
        template: {
          spec: {
            containers: [
              {
                name: 'app',
                image: 'a:2',
                env: [
                  { name: 'B', value: '3' },
                  { name: 'C', value: '4' },
                ],
              },
            ],
          },
        },
      },
    };
    const { containers } = podSpec(await client.strategic(`${DEPLOYMENTS}/sm`, patch)) as { containers: Doc[] };
    expect(containers.map((item) => [item['name'], item['image']])).toEqual([
      ['app', 'a:2'],
      ['side', 's:1'],
    ]);
    expect(containers[0]?.['env']).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '3' },
      { name: 'C', value: '4' },
    ]);
  });

  it('obeys $patch delete and replace, and ignores $setElementOrder', async () => {
    await client.post(DEPLOYMENTS, two('sd'));
    const containers = [
      { name: 'side', $patch: 'delete' },
      { name: 'app', env: [{ $patch: 'replace' }, { name: 'Z', value: '9' }] },
    ];
    const patch = { spec: { template: { spec: { '$setElementOrder/containers': [{ name: 'app' }], containers } } } };
    const reply = await client.strategic(`${DEPLOYMENTS}/sd`, patch);
    expect(podSpec(reply)['containers']).toMatchObject([{ name: 'app', env: [{ name: 'Z', value: '9' }] }]);
  });

  it('retains only named keys of a strategy', async () => {
    await client.post(DEPLOYMENTS, two('sr'));
    const reply = await client.strategic(`${DEPLOYMENTS}/sr`, {
      spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
    });
    expect(reply.body['spec']).toMatchObject({ strategy: { type: 'Recreate' } });
    expect((reply.body['spec'] as { strategy: Doc }).strategy).not.toHaveProperty('rollingUpdate');
  });

  it('is refused for custom kinds', async () => {
    await client.post(CANARIES, canary('nosmp'));
    const { status, body } = await client.strategic(`${CANARIES}/nosmp`, { spec: {} });
    expect(status).toBe(415);
    expect(body.message).toBe(
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
    );
  });
});

describe('server-side apply', () => {
  const config = (name: string, spec: Doc = {}): Doc => ({ ...deployment(name, spec) });
  const managers = (reply: { body: { metadata: { managedFields?: { manager?: string; operation?: string }[] } } }): string[] =>
    (reply.body.metadata.managedFields ?? []).map((entry) => `${entry.manager}/${entry.operation}`);

  it('creates what is absent, and records the applier', async () => {
    const reply = await client.apply(`${DEPLOYMENTS}/new`, config('new', { replicas: 2 }), 'gitops');
    expect(reply.status).toBe(201);
    expect(managers(reply)).toEqual(['gitops/Apply']);
    expect(reply.body.metadata.managedFields?.[0]).toMatchObject({
      apiVersion: 'apps/v1',
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:spec': {
          'f:replicas': {},
          'f:selector': {},
          'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"app"}': { '.': {}, 'f:image': {} } } } },
        },
      },
    });
  });

  it('changes nothing when the same is applied again', async () => {
    const first = await client.apply(`${DEPLOYMENTS}/again`, config('again'), 'gitops');
    const second = await client.apply(`${DEPLOYMENTS}/again`, config('again'), 'gitops');
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  });

  it('names the other manager in a conflict, and takes the field by force', async () => {
    await client.post(`${DEPLOYMENTS}?fieldManager=kubectl-client-side-apply`, deployment('clash', { replicas: 3 }));
    const refused = await client.apply(`${DEPLOYMENTS}/clash`, config('clash', { replicas: 5 }), 'gitops');
    expect(refused.status).toBe(409);
    expect(refused.body.reason).toBe('Conflict');
    expect(refused.body.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
    );
    expect(refused.body.details?.causes).toEqual([
      {
        reason: 'FieldManagerConflict',
        message: 'conflict with "kubectl-client-side-apply" using apps/v1',
        field: '.spec.replicas',
      },
    ]);
    const forced = await client.apply(`${DEPLOYMENTS}/clash`, config('clash', { replicas: 5 }), 'gitops', true);
    expect(forced.body['spec']).toMatchObject({ replicas: 5 });
    const previous = forced.body.metadata.managedFields?.find((entry) => entry.manager === 'kubectl-client-side-apply');
    expect(previous?.fieldsV1).not.toHaveProperty('f:spec.f:replicas');
  });

  it('shares a field when the value is the same', async () => {
    await client.post(DEPLOYMENTS, deployment('share', { replicas: 3 }));
    const reply = await client.apply(`${DEPLOYMENTS}/share`, config('share', { replicas: 3 }), 'gitops');
    expect(reply.status).toBe(200);
    expect(managers(reply)).toEqual(['tester/Update', 'gitops/Apply']);
  });

  it('removes what a manager no longer applies, unless another owns it', async () => {
    const withEnv = (env: unknown[]): Doc =>
      config('prune', {
        template: { metadata: { labels: { app: 'prune' } }, spec: { containers: [{ name: 'app', image: 'a:1', env }] } },
      });
    await client.apply(
      `${DEPLOYMENTS}/prune`,
      withEnv([
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ]),
      'gitops',
    );
    await client.strategic(`${DEPLOYMENTS}/prune`, {
      spec: { template: { spec: { containers: [{ name: 'app', env: [{ name: 'C', value: '3' }] }] } } },
    });
    const reply = await client.apply(`${DEPLOYMENTS}/prune`, withEnv([{ name: 'A', value: '1' }]), 'gitops');
    expect(podSpec(reply)['containers']).toMatchObject([
      {
        env: [
          { name: 'C', value: '3' },
          { name: 'A', value: '1' },
        ],
      },
    ]);
    const labelled = { ...configMap('l', { a: '1' }, { x: '1', y: '2' }) };
    await client.apply(`${NS}/configmaps/l`, labelled, 'one');
    await client.apply(`${NS}/configmaps/l`, { ...configMap('l', {}, { x: '1' }) }, 'two');
    const left = await client.apply(`${NS}/configmaps/l`, configMap('l', { a: '1' }), 'one');
    expect(left.body.metadata.labels).toEqual({ x: '1' });
  });

  it('lets a writer take a field from an applier: the next apply conflicts', async () => {
    await client.apply(`${DEPLOYMENTS}/taken`, config('taken', { replicas: 2 }), 'gitops');
    await client.merge(`${DEPLOYMENTS}/taken?fieldManager=hpa`, { spec: { replicas: 9 } });
    const reply = await client.apply(`${DEPLOYMENTS}/taken`, config('taken', { replicas: 2 }), 'gitops');
    expect(reply.body.message).toContain('conflict with "hpa" using apps/v1: .spec.replicas');
  });

  it('merges lists of custom kinds by their declared keys; other lists are whole', async () => {
    const path = `${CANARIES}/lists`;
    await client.apply(path, canary('lists', { metrics: [{ name: 'a', max: 1 }], hosts: ['x'], steps: [1, 2] }), 'one');
    const reply = await client.apply(path, canary('lists', { metrics: [{ name: 'b', max: 2 }], hosts: ['y'] }), 'two');
    expect(reply.body['spec']).toMatchObject({
      metrics: [
        { name: 'a', max: 1 },
        { name: 'b', max: 2 },
      ],
      hosts: ['x', 'y'],
      steps: [1, 2],
    });
    const refused = await client.apply(path, canary('lists', { steps: [3] }), 'two');
    expect(refused.body.message).toBe('Apply failed with 1 conflict: conflict with "one": .spec.steps');
  });

  it('wants a fieldManager, and no managedFields in the configuration', async () => {
    const nameless = await client.call('PATCH', `${DEPLOYMENTS}/x`, config('x'), { type: 'application/apply-patch+yaml' });
    expect(nameless.status).toBe(422);
    expect(nameless.body.message).toContain('fieldManager: Required value');
    const managed = { ...config('x'), metadata: { name: 'x', managedFields: [{ manager: 'a' }] } };
    expect((await client.apply(`${DEPLOYMENTS}/x`, managed, 'one')).body.message).toBe('metadata.managedFields must be nil');
  });

  it('accepts YAML, and applies status by its own endpoint', async () => {
    const yaml = 'apiVersion: demo.dev/v1\nkind: Canary\nmetadata:\n  name: yaml\nspec:\n  target:\n    name: reviews\n';
    expect((await client.apply(`${CANARIES}/yaml`, yaml, 'one')).status).toBe(201);
    const status = { apiVersion: 'demo.dev/v1', kind: 'Canary', metadata: { name: 'yaml' }, status: { weight: 5 } };
    const reply = await client.apply(`${CANARIES}/yaml/status`, status, 'controller');
    expect(reply.body).toMatchObject({ spec: { target: { name: 'reviews' } }, status: { weight: 5 } });
    const entry = reply.body.metadata.managedFields?.find((item) => item.manager === 'controller');
    expect(entry).toMatchObject({ subresource: 'status', fieldsV1: { 'f:status': { 'f:weight': {} } } });
  });

  it('takes the first token of User-Agent as the manager of other writes', async () => {
    const reply = await client.post(`${NS}/configmaps`, configMap('agent', { a: '1' }), {
      agent: 'kubectl/v1.35.0 (linux/amd64)',
    });
    expect(managers(reply)).toEqual(['kubectl/Update']);
    const cleared = await client.merge(`${NS}/configmaps/agent`, { metadata: { managedFields: [{}] } });
    expect(cleared.body.metadata.managedFields).toBeUndefined();
  });
});
