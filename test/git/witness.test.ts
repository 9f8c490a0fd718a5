import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canarySpec, type Canary } from '../../src/api/index.js';
import { deployment as manifest, revisionOf, template } from './write-back/world.js';
import { until, World } from './world.js';

const spec = canarySpec.parse({ targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' }, service: { port: 80 }, analysis: { stepWeights: [10] } });
const canary = { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { namespace: 'shop', name: 'reviews', uid: 'c' }, spec } as Canary;
const file = 'deploy/app.yaml';

let world: World;
beforeEach(async () => {
  world = await World.create({});
  world.options.view = { canaries: () => [canary], target: () => world.cluster.get('Deployment', 'reviews'), config: () => 'absent' };
});
afterEach(() => world.destroy());

/** Flux, Argo CD or kubectl applies this. */
function applied(image: string): void {
  const live = world.cluster.get('Deployment', 'reviews');
  world.cluster.put({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { ...live?.metadata, name: 'reviews', namespace: 'shop' }, spec: { template: template('reviews', image) } });
  world.look();
}
const notes = (): Record<string, string> => world.cluster.get('Deployment', 'reviews')?.metadata.annotations ?? {};
const confirmed = (image: string): Promise<void> => until(() => notes()['sluice.dev/confirmed-revision'] === revisionOf('reviews', image), () => `${image} confirmed, but there is ${JSON.stringify(notes())}`);

describe('a GitSource that only watches', () => {
  it('confirms the commit of what another tool applied by rendering it, and writes nothing else', async () => {
    const first = await world.commit({ [file]: manifest('reviews', 'reviews:1') }, { message: 'First', author: { name: 'Ada', email: 'ada@shop.invalid' } });
    applied('reviews:1');
    world.source({ apply: false });
    await world.start();
    await confirmed('reviews:1');
    expect(notes()).toMatchObject({ 'sluice.dev/commit': first, 'sluice.dev/author': 'Ada', 'sluice.dev/subject': 'First', 'sluice.dev/source': 'shop/shop' });
    expect(world.cluster.requests.filter((request) => request.startsWith('apply'))).toEqual([]);
  });

  it('names the commit that brought it, not a later one that changed something else', async () => {
    await world.commit({ [file]: manifest('reviews', 'reviews:1') });
    const second = await world.commit({ [file]: manifest('reviews', 'reviews:2') });
    await world.commit({ 'README.md': 'x\n' });
    applied('reviews:2');
    world.source({ apply: false });
    await world.start();
    await confirmed('reviews:2');
    expect(notes()['sluice.dev/commit']).toBe(second);
  });

  it('finds an older commit while the other tool is behind', async () => {
    const first = await world.commit({ [file]: manifest('reviews', 'reviews:1') });
    await world.commit({ [file]: manifest('reviews', 'reviews:2') });
    applied('reviews:1');
    world.source({ apply: false });
    await world.start();
    await confirmed('reviews:1');
    expect(notes()['sluice.dev/commit']).toBe(first);
  });

  it('leaves unknown what no commit declares: somebody edited it by hand', async () => {
    await world.commit({ [file]: manifest('reviews', 'reviews:1') });
    applied('reviews:edited');
    world.source({ apply: false });
    await world.start();
    await world.reason('Synced');
    expect(notes()).toEqual({});
  });

  it('looks again when the target changes, although no commit came', async () => {
    await world.commit({ [file]: manifest('reviews', 'reviews:1') });
    const second = await world.commit({ [file]: manifest('reviews', 'reviews:2') });
    applied('reviews:1');
    world.source({ apply: false, interval: '1h' });
    await world.start();
    await confirmed('reviews:1');
    applied('reviews:2');
    await confirmed('reviews:2');
    expect(notes()['sluice.dev/commit']).toBe(second);
  });
});
