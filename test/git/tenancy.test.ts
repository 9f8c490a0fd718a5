import { afterEach, describe, expect, it } from 'vitest';
import { canarySpec, type Canary } from '../../src/api/index.js';
import type { Tenancy } from '../../src/git/tenancy.js';
import type { KubeObject } from '../../src/kube/types.js';
import { deployment, template } from './write-back/world.js';
import { configMap, until, World } from './world.js';

let world: World;
afterEach(() => world.destroy());
const create = async (tenancy: Tenancy): Promise<World> => (world = await World.create({ tenancy }));

const alone: Tenancy = { allowCrossNamespace: false, ownNamespace: 'sluice-system' };
const inNamespace = (namespace: string, text: string): string => text.replace('metadata:\n', `metadata:\n  namespace: ${namespace}\n`);
const factory = 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: factory\n';

describe('a GitSource', () => {
  it('applies nothing into another namespace, nor what belongs to the whole cluster; everything else is applied', async () => {
    await create(alone);
    await world.commit({ 'deploy/own.yaml': configMap('own'), 'deploy/theirs.yaml': inNamespace('bank', configMap('theirs')), 'deploy/ns.yaml': factory });
    world.source();
    await world.start();
    await world.reason('ApplyFailed');
    const messages = (world.cluster.source().status?.failures ?? []).map(({ message }) => message).join('\n');
    expect(messages).toContain('deploy/theirs.yaml:1 ConfigMap bank/theirs: lies in namespace bank');
    expect(messages).toMatch(/Namespace .*factory: belongs to the whole cluster/);
    expect(messages).toContain('--allow-cross-namespace');
    expect(world.cluster.get('ConfigMap', 'own')).toBeDefined();
    // Not even looked at: what others have is none of its business.
    expect(world.cluster.requests.filter((request) => /theirs|factory/.test(request))).toEqual([]);
  });

  it('cannot get around it by spec.targetNamespace', async () => {
    await create(alone);
    await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ targetNamespace: 'bank' });
    await world.start();
    await world.reason('ApplyFailed');
    expect(world.cluster.get('ConfigMap', 'a', 'bank')).toBeUndefined();
  });

  it.each<[string, Tenancy]>([
    ['the controller may do that', { allowCrossNamespace: true }],
    ['it lies in the namespace of the controller', { allowCrossNamespace: false, ownNamespace: 'shop' }],
  ])('does where %s', async (_, tenancy) => {
    await create(tenancy);
    const sha = await world.commit({ 'deploy/theirs.yaml': inNamespace('bank', configMap('theirs')), 'deploy/ns.yaml': factory });
    world.source();
    await world.start();
    await world.applied(sha);
    expect(world.cluster.get('ConfigMap', 'theirs', 'bank')).toBeDefined();
  });

  it('deletes nothing in another namespace when that is not allowed any more, and says so', async () => {
    const tenancy = { allowCrossNamespace: true };
    await create(tenancy);
    const sha = await world.commit({ 'deploy/own.yaml': configMap('own'), 'deploy/theirs.yaml': inNamespace('bank', configMap('theirs')) });
    world.source();
    await world.start();
    await world.applied(sha);
    tenancy.allowCrossNamespace = false;
    await world.commit({ 'deploy/theirs.yaml': null });
    expect(await world.reason('ApplyFailed')).toContain('lies in namespace bank');
    expect(world.cluster.get('ConfigMap', 'theirs', 'bank')).toBeDefined();
  });

  it('that only watches marks no workload of another namespace with its commits', async () => {
    const spec = canarySpec.parse({ targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' }, service: { port: 80 }, analysis: { stepWeights: [10] } });
    const canary = { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { name: 'reviews', namespace: 'bank', uid: 'c' }, spec } as Canary;
    const tenancy = { ...alone };
    const live = (): KubeObject | undefined => world.cluster.get('Deployment', 'reviews', 'bank');
    world = await World.create({ tenancy, view: { canaries: () => [canary], target: live, config: () => 'absent' } });
    world.cluster.put({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'reviews', namespace: 'bank' }, spec: { template: template('reviews', 'reviews:1') } });
    await world.commit({ 'deploy/reviews.yaml': inNamespace('bank', deployment('reviews', 'reviews:1')) });
    world.source({ apply: false });
    await world.start();
    await world.reason('Synced');
    expect(live()?.metadata.annotations).toBeUndefined();
    // It is the rule that kept it from doing so, and nothing else.
    tenancy.allowCrossNamespace = true;
    world.look();
    await until(() => live()?.metadata.annotations?.['sluice.dev/commit'] !== undefined, () => 'the commit on the target, now that it is allowed');
  });
});
