import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GitSource } from '../../../src/api/index.js';
import type { Informer } from '../../../src/kube/types.js';
import { until } from '../world.js';
import { deployment, failedCanary, GitWorld, revisionOf } from './world.js';

let world: GitWorld;
beforeEach(async () => {
  world = await GitWorld.create();
});
afterEach(() => world.destroy());

type ChangeListener = Parameters<Informer<GitSource>['onChange']>[0];
const file = 'deploy/reviews.yaml';
const wish = { revision: revisionOf('reviews', 'reviews:2'), stable: revisionOf('reviews', 'reviews:1') };
const copies = (): Promise<string[]> => readdir(join(world.dir, 'data-one', 'git-out', 'repositories'));
async function badCommit(): Promise<string> {
  await world.commit({ [file]: deployment('reviews', 'reviews:1') });
  return world.commit({ [file]: deployment('reviews', 'reviews:2') });
}

describe('copies that verdicts are written from', () => {
  it('go when the source goes, without another write', async () => {
    let tell: ChangeListener = () => {};
    const gitSources = {
      get: (_: string | undefined, name: string) => world.sources.find((source) => source.metadata.name === name),
      list: () => world.sources,
      onChange: (listener: ChangeListener) => {
        tell = listener;
        return () => {};
      },
    };
    const writer = world.writer({ gitSources });
    await world.revert({ ...wish, commit: await badCommit() }, writer);
    expect(await copies()).toHaveLength(1);
    const [source] = world.sources.splice(0);
    tell({ namespace: 'shop', name: 'shop' }, undefined, source);
    let left = await copies();
    await until(
      () => {
        void copies().then((now) => (left = now));
        return left.length === 0;
      },
      () => `no copies, but there are ${left.join(', ')}`,
    );
  });

  it('are as many as sources need, however often their credentials change', async () => {
    const commit = await badCommit();
    let token = 'one';
    const writer = world.writer({ secret: async () => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'git' }, data: { token: Buffer.from(token).toString('base64') } }) });
    world.source('shop', { secretRef: { name: 'git' } });
    for (token of ['one', 'two', 'three']) await world.revert({ ...wish, commit }, writer);
    expect(await copies()).toHaveLength(1);
  });
});

describe('a Canary of another namespace than the source', () => {
  const foreign = (commit: string): Parameters<ReturnType<GitWorld['writer']>['write']> => {
    const { canary, request } = failedCanary({ ...wish, commit });
    return [{ ...canary, metadata: { ...canary.metadata, namespace: 'elsewhere' } }, request];
  };

  it('gets nothing written with the credentials of that source', async () => {
    const commit = await badCommit();
    const outcome = await world.writer().write(...foreign(commit));
    expect(outcome.state).toBe('Skipped');
    expect(outcome.message).toContain('--allow-cross-namespace');
    expect(await world.head()).toBe(commit);
  });

  it.each([{ allowCrossNamespace: true }, { allowCrossNamespace: false, ownNamespace: 'shop' }])('does where that is allowed: %j', async (tenancy) => {
    // The target of that Canary is not what the commit declares, so nothing is written; but it was looked at.
    const outcome = await world.writer({ tenancy }).write(...foreign(await badCommit()));
    expect(outcome.message).not.toContain('--allow-cross-namespace');
  });
});
