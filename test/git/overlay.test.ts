import { afterEach, describe, expect, it } from 'vitest';
import { Annotations } from '../../src/api/index.js';
import type { KubeObject } from '../../src/kube/types.js';
import { deployment, World } from './world.js';

let world: World;
afterEach(() => world.destroy());

const overlay = (manifest: KubeObject): KubeObject => ({ ...manifest, spec: { ...(manifest.spec as object), replicas: 0 } });
const lay = (object: KubeObject | undefined): void => {
  if (object)
    world.cluster.put({
      ...object,
      spec: { ...(object.spec as object), replicas: 0 },
      metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [Annotations.overlay]: '{"replicas":2}' } },
    });
};

describe('an object that a Canary manages', () => {
  it('keeps its overlay when Git changes other fields', async () => {
    world = await World.create({ overlay });
    const first = await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:v1') });
    world.source();
    await world.start();
    await world.applied(first);
    expect(world.cluster.get('Deployment', 'reviews')?.spec).toMatchObject({ replicas: 2 });
    lay(world.cluster.get('Deployment', 'reviews'));
    await world.applied(await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:v2') }));
    const live = world.cluster.get('Deployment', 'reviews');
    expect(live?.spec).toMatchObject({ replicas: 0, template: { spec: { containers: [{ image: 'reviews:v2' }] } } });
    expect(live?.metadata.annotations?.[Annotations.overlay]).toBe('{"replicas":2}');
  });

  it('keeps an overlay that is laid between the read and the write', async () => {
    world = await World.create({ overlay });
    const first = await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:v1') });
    world.source();
    await world.start();
    await world.applied(first);
    let raced = false;
    world.cluster.beforeApply = () => {
      if (raced) return;
      raced = true;
      lay(world.cluster.get('Deployment', 'reviews'));
    };
    await world.applied(await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:v2') }));
    expect(raced).toBe(true);
    expect(world.cluster.get('Deployment', 'reviews')?.spec).toMatchObject({ replicas: 0 });
  });
});

describe('a controller that does not lead any more', () => {
  it('writes nothing', async () => {
    let leading = true;
    world = await World.create({
      assertLeading: () => {
        if (!leading) throw new Error('the lease is lost');
      },
    });
    const first = await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:v1') });
    world.source({ interval: '100ms' });
    await world.start();
    await world.applied(first);
    leading = false;
    const before = world.cluster.requests.filter((request) => !request.startsWith('get') && !request.startsWith('raw')).length;
    await world.commit({ 'deploy/reviews.yaml': deployment('reviews', 'reviews:v2') });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(world.cluster.requests.filter((request) => !request.startsWith('get') && !request.startsWith('raw'))).toHaveLength(
      before,
    );
  });
});
