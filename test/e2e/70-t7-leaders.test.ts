import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Resources, type KubeObject } from '../../src/kube/index.js';
import type { ControllerNeeds } from '../../src/sandbox/sandbox.js';
import { auditedWrites, type AuditEvent } from './audit.js';
import { ControllerProcess } from './controller-process.js';
import { Gate, type Write } from './gate.js';
import { World } from './harness.js';
import { weightsOf } from './recorder.js';

const STEPS = [30, 60];
const INTERVAL_MS = 4_000;

describe('T7: the leader is paused past its lease, and continued', () => {
  let world: World;
  let second: ControllerProcess;
  const startAs = async (user: string, needs: ControllerNeeds, kubeconfig: string): Promise<ControllerProcess> => {
    const dir = join(needs.dir, user);
    await mkdir(dir, { recursive: true });
    return ControllerProcess.start({ ...needs, dir, kubeconfig }, ['--leader-election-namespace', 'default']);
  };
  beforeAll(async () => {
    let known: ControllerNeeds | undefined;
    world = await World.start({
      rps: 100,
      users: ['one', 'two'],
      analysis: { interval: `${INTERVAL_MS}ms`, stepWeights: STEPS },
      controller: (needs, plane) => startAs('one', (known = needs), plane.kubeconfigFor('one')),
    });
    if (known) second = await startAs('two', known, world.plane.kubeconfigFor('two'));
  });
  afterAll(async () => {
    world?.controller.resume();
    await second?.stop();
    await world?.stop();
  });
  /** What a user changed since then (unix milliseconds); whose turn it is does not count. */
  const writesOf = async (user: string, since: number): Promise<AuditEvent[]> =>
    (await auditedWrites(world.plane.auditLogPath)).filter(
      ({ user: { username }, objectRef, requestReceivedTimestamp }) =>
        username === user && objectRef?.resource !== 'leases' && Date.parse(requestReceivedTimestamp) >= since,
    );
  const holder = async (): Promise<string> => {
    const lease = await world.plane.client.get(Resources.Lease, 'default', 'sluice-controller');
    return (lease['spec'] as { holderIdentity?: string }).holderIdentity ?? '';
  };

  it('the successor goes on with the same step; the old leader writes nothing any more; nothing is told twice', async () => {
    const [since, slot, first] = [Date.now(), world.freeSlot, await holder()];
    expect((await writesOf('two', 0)).map(({ verb, objectRef }) => `${verb} ${objectRef?.resource}`)).toEqual([]);
    const commit = await world.commit({}, 'Paused in a step');
    await world.weight(slot, STEPS[0] ?? 0, since);
    await world.until('the step in the status', () => world.status.step?.startedAt !== undefined);
    // What it had sent before it stopped, an Event say, may arrive a moment after.
    await world.until('nothing on its way', async () => (await writesOf('one', Date.now() - 500)).length === 0);
    world.controller.pause();
    const paused = Date.now();
    const run = world.status.run?.id;
    await world.until('the successor', async () => (await holder()) !== first);
    await world.until('its first write', async () => (await writesOf('two', paused)).length > 0);
    world.controller.resume();
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', run, weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    await world.assertTold(entry.revision, ['Started', 'Succeeded']);
    await world.until('the old leader to have had its time', () => Date.now() - Date.parse(entry.endedAt) > 5_000);
    expect(
      (await writesOf('one', paused)).map(({ verb, objectRef }) => `${verb} ${objectRef?.resource}/${objectRef?.name}`),
    ).toEqual([]);
    world.assertNoRepetition();
    world.assertNothingLost();
  });

  it('and the old one takes over when the successor dies in the middle of the next release', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'Killed in a step');
    await world.weight(slot, STEPS[0] ?? 0, since);
    await second.kill();
    const entry = await world.ended(commit);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    await world.assertTold(entry.revision, ['Started', 'Succeeded']);
    await world.assertTruths();
  });
});

/** Bookkeeping that no release depends on. */
const ASIDE = /\/(events|leases|gitsources)(\/|$)/;

/** One name for each moment of a release at which something was written. */
function moment({ method, path, body }: Write): string {
  const status = body['status'] as
    { phase?: string; run?: { ending?: { result?: string } }; step?: { weight?: number } } | undefined;
  const spec = body['spec'] as { replicas?: number; selector?: unknown } | undefined;
  const weights = path.includes('/virtualservices') ? weightsOf(body as unknown as KubeObject) : undefined;
  const details = [
    status?.phase,
    status?.step?.weight,
    status?.run?.ending?.result,
    weights?.green,
    spec?.replicas,
    JSON.stringify(spec?.selector),
  ];
  return [method, path.split('/').slice(5).join('/'), ...details].filter((part) => part !== undefined).join(' ');
}

describe('T7: SIGKILL between each pair of writes, and conflicts at each write', () => {
  let world: World;
  let gate: Gate;
  beforeAll(async () => {
    world = await World.start({
      rps: 100,
      analysis: { interval: `${INTERVAL_MS}ms`, stepWeights: STEPS },
      controller: async (needs) => {
        gate = await Gate.open(needs.kubeconfig);
        return ControllerProcess.start({ ...needs, kubeconfig: gate.kubeconfig });
      },
    });
  });
  afterAll(async () => {
    await world?.stop();
    gate?.close();
  });
  beforeEach(() => world.idle());

  /** From now on the controller dies right after each write of a kind that was not met before, before it hears the answer. */
  function killAfterEachWrite(): { moments: string[]; deaths: () => Promise<void> | undefined; end: () => void } {
    const moments: string[] = [];
    let dying: Promise<void> | undefined;
    gate.hooks = {
      after: (write, status) => {
        const name = moment(write);
        if (dying || status >= 300 || ASIDE.test(write.path) || moments.includes(name)) return;
        moments.push(name);
        dying = world.controller
          .kill()
          .then(() => world.controller.start())
          .finally(() => (dying = undefined));
        return 'drop';
      },
    };
    return { moments, deaths: () => dying, end: () => (gate.hooks = {}) };
  }

  it.each([
    { subject: 'Promoted between deaths', change: {}, result: 'Succeeded', weights: [...STEPS, 100] },
    { subject: 'Taken back between deaths', change: { errorRate: 0.4 }, result: 'Failed', weights: [STEPS[0]] },
  ])('$subject: the same steps, one ending', async ({ subject, change, result, weights }) => {
    const [since, slot, lives] = [Date.now(), world.freeSlot, world.controller.lives];
    const killing = killAfterEachWrite();
    const commit = await world.commit(change, subject);
    const entry = await world.ended(commit, 240_000).finally(killing.end);
    await killing.deaths();
    console.log(`${subject}: killed after\n  ${killing.moments.join('\n  ')}`);
    expect(world.controller.lives - lives).toBeGreaterThanOrEqual(10);
    expect(entry).toMatchObject({ result, weights });
    expect(world.weightsOf(slot, since)).toEqual(result === 'Succeeded' ? weights : [...weights, 0]);
    expect(world.status.history?.filter((one) => one.commit === commit)).toHaveLength(1);
    await world.assertTold(entry.revision, ['Started', result]);
    world.assertNothingLost();
  });

  it('somebody touches every object all the time: writes are refused as stale, and the release converges', async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    let refused = 0;
    gate.hooks = {
      // Between what the controller saw and what it writes there is always somebody else.
      before: async (write) => {
        if (ASIDE.test(write.path) || write.method === 'POST') return;
        await touch(write.path);
      },
      after: (_, status) => {
        if (status === 409) refused += 1;
      },
    };
    const entry = await world.ended(await world.commit({}, 'Under conflicts')).finally(() => (gate.hooks = {}));
    expect(refused, 'writes refused as stale').toBeGreaterThanOrEqual(10);
    expect(entry).toMatchObject({ result: 'Succeeded', weights: [...STEPS, 100] });
    expect(world.weightsOf(slot, since)).toEqual([...STEPS, 100]);
    await world.assertTold(entry.revision, ['Started', 'Succeeded']);
    await world.assertTruths();
  });

  /** Two writes of three to an object come too late: races must be lost, but not all of them. */
  const times = new Map<string, number>();
  async function touch(path: string): Promise<void> {
    const [, group = '', version = '', namespace, plural = '', name] =
      /^\/apis?\/(?:([^/]+)\/)?(v[^/]+)\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)/.exec(path) ?? [];
    const before = times.get(path) ?? 0;
    times.set(path, before + 1);
    if (name === undefined || before % 3 === 2) return;
    const change = { metadata: { annotations: { 'e2e.invalid/touched': String(Date.now()) } } };
    await world.plane.client
      .patch({ group, version, plural, kind: 'Any', namespaced: true }, namespace, name, change, 'merge')
      .catch(() => undefined);
  }
});
