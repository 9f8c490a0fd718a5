import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Annotations } from '../../src/api/index.js';
import { configMap, until, World } from './world.js';

let world: World;
beforeEach(async () => {
  world = await World.create();
});
afterEach(() => world.destroy());

function hint(commit: string): void {
  const source = world.cluster.source();
  world.cluster.put({ ...source, metadata: { ...source.metadata, annotations: { [Annotations.syncHint]: `${new Date().toISOString()} ${commit}` } } });
}

describe('a hint of a push', () => {
  it('brings the commit at once, although the interval is an hour', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ interval: '1h' });
    await world.start();
    await world.applied(first);
    const second = await world.commit({ 'deploy/a.yaml': configMap('a', 'b') });
    hint(second);
    await world.applied(second);
  });

  it('looks again until the announced commit is there', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ interval: '1h' });
    await world.start();
    await world.applied(first);
    // Made aside, so that its name is known before the branch has it.
    const second = await world.commit({ 'deploy/a.yaml': configMap('a', 'b') }, { branch: 'aside' });
    hint(second);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await world.git('update-ref', 'refs/heads/main', second);
    await world.applied(second);
  });

  it('for a commit that never comes ends, and does no harm', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ interval: '1h' });
    await world.start();
    await world.applied(first);
    const before = world.cluster.requests.length;
    hint('f'.repeat(40));
    hint('f'.repeat(40));
    await until(() => world.condition()?.status === 'True', () => 'Ready');
    expect(world.cluster.requests.slice(before).filter((request) => request.startsWith('apply'))).toEqual([]);
  });
});
