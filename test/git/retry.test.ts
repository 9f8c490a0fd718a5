import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configMap, deployment, World } from './world.js';

let world: World;
beforeEach(async () => {
  world = await World.create();
  const first = await world.commit({ 'deploy/app.yaml': deployment('reviews', 'reviews:2'), 'deploy/c.yaml': configMap('c') });
  world.source();
  await world.start();
  await world.applied(first);
});
afterEach(() => world.destroy());

const notes = (kind = 'Deployment', name = 'reviews'): Record<string, string> => world.cluster.get(kind, name)?.metadata.annotations ?? {};
const RETRY = 'sluice.dev/retry';

describe('Sluice-Retry', () => {
  it('in a commit that changes no manifest marks the workloads with that commit, and nothing else', async () => {
    const again = await world.commit({ 'README.md': 'x\n' }, { message: 'Try again\n\nThe database is back.\n\nSluice-Retry: true\n' });
    await world.applied(again);
    expect(notes()).toMatchObject({ [RETRY]: again, 'sluice.dev/commit': again });
    expect(notes('ConfigMap', 'c')[RETRY]).toBeUndefined();
  });

  it('stays on the object through later commits, which ask for nothing themselves', async () => {
    const again = await world.commit({ 'README.md': 'x\n' }, { message: 'Again\n\nSluice-Retry: true\n' });
    await world.applied(again);
    await world.applied(await world.commit({ 'README.md': 'y\n' }));
    expect(notes()).toMatchObject({ [RETRY]: again, 'sluice.dev/commit': again });
    const changed = await world.commit({ 'deploy/app.yaml': deployment('reviews', 'reviews:3') });
    await world.applied(changed);
    expect(notes()['sluice.dev/commit']).toBe(changed);
    expect(notes()[RETRY]).toBeUndefined();
  });

  it('is seen in an earlier commit of the same push', async () => {
    await world.commit({ 'README.md': 'x\n' }, { message: 'Again\n\nSluice-Retry: true\n' });
    await world.applied(await world.commit({ 'README.md': 'y\n' }));
    expect(notes()[RETRY]).toBeDefined();
  });

  it('only as a trailer: in the text it is text', async () => {
    const text = await world.commit({ 'README.md': 'x\n' }, { message: 'About retries\n\nSluice-Retry: true\n\nis a trailer.\n' });
    await world.applied(text);
    expect(notes()[RETRY]).toBeUndefined();
  });
});
