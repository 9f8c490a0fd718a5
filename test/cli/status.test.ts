import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Running } from './world.js';
import {
  at,
  canary,
  COMMIT_1,
  COMMIT_2,
  createWorld,
  gitSource,
  golden,
  idle,
  past,
  putSource,
  running,
  type World,
} from './world.js';

describe('sluice status', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
    world.server.store.create(
      { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
    );
    world.put(canary('ratings', idle));
    world.put(
      canary('reviews', {
        ...running,
        history: [past('a0broken00', COMMIT_1, 'Failed', -3600), past('a1stable00', COMMIT_1, 'Succeeded', -7000)],
        quarantined: [
          { revision: 'a0broken00', reason: 'success rate 93.1 % < 99 % over 412 requests', at: at(-3600), commit: COMMIT_1 },
        ],
        writeBacks: [{ kind: 'revert', state: 'Done', run: 'r1', revision: 'a0broken00', commit: COMMIT_1, written: COMMIT_2, message: 'pushed 2222222 to branch main', at: at(-3500) }],
      }),
    );
    const lost = {
      type: 'Stalled',
      status: 'True' as const,
      reason: 'TargetNotFound',
      message: 'Deployment shop/details does not exist; create it or correct spec.targetRef of Canary details',
      lastTransitionTime: at(-60),
    };
    world.put(canary('details', { phase: 'Initializing', conditions: [lost] }, { namespace: 'shop' }));
    putSource(
      world,
      gitSource('shop', {
        fetchedCommit: COMMIT_2,
        appliedCommit: COMMIT_1,
        lastSyncTime: at(-5),
        conditions: [
          {
            type: 'Ready',
            status: 'False',
            reason: 'ApplyFailed',
            message: 'reviews.yaml:7: unknown field',
            lastTransitionTime: at(-5),
          },
        ],
      }),
    );
  });
  afterAll(() => world.close());

  it('lists the Canaries of the namespace', async () => {
    const { code, out } = await world.run('status');
    expect(code).toBe(0);
    golden('status-list.txt', out);
  });

  it('lists those of all namespaces and marks what waits for a person', async () => {
    const { out } = await world.run('status', '-A');
    golden('status-all.txt', out);
    expect(out).toContain('Initializing!');
  });

  it('shows one Canary in full', async () => {
    const { code, out } = await world.run('status', 'reviews');
    expect(code).toBe(0);
    golden('status-reviews.txt', out);
  });

  it('gives JSON with stable field names and without the password of a Git address', async () => {
    const { out } = await world.run('status', 'reviews', '-o', 'json');
    golden('status-reviews.json.txt', out);
    expect(out).not.toContain('hunter2');
    const all = JSON.parse((await world.run('status', '--output', 'json')).out) as {
      canaries: { name: string; weight: number }[];
    };
    expect(all.canaries.map(({ name, weight }) => [name, weight])).toEqual([
      ['ratings', 0],
      ['reviews', 25],
    ]);
  });

  it('says that a namespace is empty', async () => {
    expect((await world.run('status', '-n', 'kube-system')).out).toContain('There are no Canaries in namespace kube-system');
  });

  it('names a Canary that does not exist', async () => {
    const { code, err } = await world.run('status', 'nobody');
    expect({ code, err }).toEqual({
      code: 1,
      err: 'sluice: Canary default/nobody does not exist; see which there are with: sluice status -A\n',
    });
  });

  it('refuses a name together with all namespaces', async () => {
    const { code, err } = await world.run('status', 'reviews', '-A');
    expect(code).toBe(2);
    expect(err).toContain('--all-namespaces');
  });

  it('prints a line per change while it watches a pipe', async () => {
    world.put(canary('watched', idle));
    const watching = world.start('status', 'watched', '--watch');
    await watching.says('a1stable00');
    world.setStatus('watched', { ...running, canaryWeight: 50 });
    await watching.says('a2canary00');
    watching.interrupt();
    expect(await watching.code).toBe(130);
    expect(watching.out.match(/NAME/g)).toHaveLength(1);
    expect(watching.out).not.toContain('\u001b');
    world.server.store.delete(SluiceResources.Canary, 'default', 'watched');
  });

  it('draws a terminal again as time passes, in colour', async () => {
    const watching = new Running(['status', '--watch', '--kubeconfig', world.kubeconfig], true, {});
    await watching.says('in 12s');
    watching.clock.advance(2_000);
    await watching.says('in 10s');
    watching.interrupt();
    expect(await watching.code).toBe(130);
    expect(watching.out).toContain('\u001b[36mProgressing\u001b[0m');
  });
});
