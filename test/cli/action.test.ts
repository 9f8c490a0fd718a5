import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SluiceResources, type CanaryAction, type CanaryActionStatus } from '../../src/api/index.js';
import { Resources } from '../../src/kube/index.js';
import { at, canary, COMMIT_2, createWorld, idle, past, running, type World } from './world.js';

describe('actions', () => {
  let world: World;
  /** What the controller of this test answers; undefined is silence. */
  let answer: CanaryActionStatus | undefined;
  beforeAll(async () => {
    world = await createWorld();
    world.put(canary('reviews', running));
    world.put(canary('ratings', idle));
    world.put(
      canary('details', {
        ...idle,
        conditions: [
          {
            type: 'Progressing',
            status: 'False',
            reason: 'Quarantined',
            message: 'revision a7older000 failed at 11:00: errors; commit a change, or run: sluice retry details',
            lastTransitionTime: at(-60),
          },
        ],
        quarantined: [
          { revision: 'a8newest00', reason: 'errors', at: at(-60) },
          { revision: 'a7older000', reason: 'errors', at: at(-600) },
        ],
      }),
    );
    world.server.store.watch<CanaryAction>(SluiceResources.CanaryAction, ({ type, object }) => {
      const status = answer;
      if (type === 'ADDED' && status)
        setImmediate(() =>
          world.server.store.update(
            SluiceResources.CanaryAction,
            { ...(object as CanaryAction), status },
            { subresource: 'status' },
          ),
        );
    });
  });
  afterAll(() => world.close());
  beforeEach(() => {
    answer = { result: 'Applied', message: 'carried out', at: at(1) };
    for (const { metadata } of world.server.store.list(SluiceResources.CanaryAction))
      world.server.store.delete(SluiceResources.CanaryAction, 'default', metadata.name);
  });
  const only = (): CanaryAction => {
    const actions = world.server.store.list(SluiceResources.CanaryAction);
    expect(actions).toHaveLength(1);
    return actions[0] as CanaryAction;
  };

  it('is for the revision that is being released now', async () => {
    const { code, out } = await world.run('approve', 'reviews', '--reason', 'looks good');
    expect({ code, out }).toEqual({ code: 0, out: 'Applied: approve of revision a2canary00 by sandbox: carried out\n' });
    const { metadata, spec } = only();
    expect(metadata.name).toMatch(/^reviews-approve-/);
    expect(metadata.labels).toEqual({ 'sluice.dev/canary': 'reviews' });
    expect(spec).toEqual({ canary: 'reviews', verb: 'approve', revision: 'a2canary00', by: 'sandbox', reason: 'looks good' });
  });

  it('says who asks and for what, when told', async () => {
    await world.run('abort', 'reviews', '--by', 'ada', '--revision', 'a5other000');
    expect(only().spec).toMatchObject({ verb: 'abort', by: 'ada', revision: 'a5other000' });
  });

  it('retries the revision that Git wants, not just the newest failure', async () => {
    await world.run('retry', 'details');
    expect(only().spec.revision).toBe('a7older000');
  });

  it('prints a refusal', async () => {
    answer = { result: 'Refused', message: 'no step waits for an approval', at: at(1) };
    const { code, err } = await world.run('approve', 'reviews');
    expect({ code, err }).toEqual({
      code: 1,
      err: 'Refused: approve of revision a2canary00 by sandbox: no step waits for an approval\n',
    });
  });

  it('gives JSON', async () => {
    const { out } = await world.run('hold', 'reviews', '--output', 'json');
    expect(JSON.parse(out)).toMatchObject({
      namespace: 'default',
      name: 'reviews',
      verb: 'hold',
      revision: 'a2canary00',
      by: 'sandbox',
      result: 'Applied',
      message: 'carried out',
      at: at(1),
    });
  });

  it.each([
    ['approve', 'no release is under way'],
    ['retry', 'no revision is quarantined'],
  ])('%s creates nothing when there is nothing to do', async (verb, words) => {
    const { code, err } = await world.run(verb, 'ratings');
    expect(code).toBe(1);
    expect(err).toContain(words);
    expect(world.server.store.list(SluiceResources.CanaryAction)).toEqual([]);
  });

  it.each([
    ['without a Lease', undefined, 'no controller seems to run: there is no Lease'],
    ['with a fresh Lease', at(5), 'seems to run (its Lease was renewed'],
    ['with an old Lease', at(-600), 'no controller seems to run: the Lease sluice-controller was last renewed'],
  ])('says, when nobody answers, whether anybody could: %s', async (_, renewTime, words) => {
    answer = undefined;
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'sluice-controller', namespace: 'kube-system' },
    };
    if (renewTime)
      world.server.store.create(Resources.Lease, {
        ...lease,
        spec: { holderIdentity: 'host-1', leaseDurationSeconds: 15, renewTime: renewTime.replace('Z', '000Z') },
      });
    const asking = world.start('hold', 'reviews');
    await expect.poll(() => world.server.store.list(SluiceResources.CanaryAction).length, { interval: 5 }).toBe(1);
    let ended = false;
    void asking.code.then(() => (ended = true));
    await expect
      .poll(
        () => {
          asking.clock.advance(2_000);
          return ended;
        },
        { interval: 20 },
      )
      .toBe(true);
    expect(await asking.code).toBe(4);
    expect(asking.err).toContain(words);
    expect(asking.err).toContain(`kubectl delete canaryaction ${only().metadata.name}`);
    if (renewTime) world.server.store.delete(Resources.Lease, 'kube-system', 'sluice-controller');
  });

  it('waits for the release when asked to', async () => {
    world.put(canary('waited', running));
    const promoting = world.start('promote', 'waited', '--wait');
    await promoting.says('weight 25 %');
    world.setStatus('waited', { ...idle, history: [{ ...past('a2canary00', COMMIT_2, 'Succeeded', 0), run: 'a2canary00-1' }] });
    expect(await promoting.code).toBe(0);
    expect(promoting.out).toContain('Succeeded: revision a2canary00');
  });

  it('waits for the new run of a retried revision, not for the old result', async () => {
    const failed = past('a2canary00', COMMIT_2, 'Failed', -60);
    const before = { ...idle, history: [failed], quarantined: [{ revision: 'a2canary00', reason: 'errors', at: at(-60) }] };
    world.put(canary('retried', before));
    const retrying = world.start('retry', 'retried', '--wait');
    await retrying.says('Applied');
    world.setStatus('retried', { ...running, history: [failed] });
    await retrying.says('weight 25 %');
    world.setStatus('retried', { ...idle, history: [past('a2canary00', COMMIT_2, 'Succeeded', 0), failed] });
    expect(await retrying.code).toBe(0);
  });
});
