import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureParts } from '../real/index.js';
import { PROGRAM } from './build.js';
import { World } from './harness.js';

const execute = promisify(execFile);

describe('people at the command line', () => {
  let world: World;
  let program: string;
  beforeAll(async () => {
    ({ kubectl: program } = await ensureParts({ need: ['kubectl'] }));
    world = await World.start({ rps: 60, analysis: { interval: '3s', stepWeights: [50] } });
  });
  afterAll(async () => {
    await world?.stop();
  });
  const environment = () => ({ PATH: process.env['PATH'] ?? '', HOME: world.dir, KUBECONFIG: world.plane.kubeconfig });
  const kubectl = async (...args: string[]): Promise<string> => (await execute(program, args, { env: environment() })).stdout;
  const sluice = async (...args: string[]): Promise<string> =>
    (await execute(process.execPath, [PROGRAM, ...args], { env: environment() })).stdout;

  it('kubectl get canaries shows where the release is', async () => {
    const [header = '', row = ''] = (await kubectl('get', 'canaries')).trimEnd().split('\n');
    expect(header.split(/\s+/)).toEqual(['NAME', 'STATUS', 'WEIGHT', 'STABLE', 'CANARY', 'COMMIT', 'AGE']);
    const { stable } = world.status;
    expect(row.split(/\s+/).slice(0, 4)).toEqual(['reviews', 'Initialized', '0', stable?.revision]);
    expect(row).toContain(stable?.commit);
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'Seen by kubectl');
    await world.weight(slot, 50, since);
    await world.until('the weight in the status', () => world.status.canaryWeight === 50);
    const during = await kubectl('get', 'canary', 'reviews', '--no-headers');
    expect(during.trim().split(/\s+/).slice(0, 5)).toEqual([
      'reviews',
      'Progressing',
      '50',
      stable?.revision,
      world.status.canary?.revision,
    ]);
    expect(during).toContain(commit);
    expect((await world.ended(commit)).result).toBe('Succeeded');
  });

  it('kubectl explain describes the fields', async () => {
    const analysis = await kubectl('explain', 'canary.spec.analysis');
    expect(analysis).toMatch(/stepWeights\s+<\[\]integer>/);
    expect(analysis).toContain('Time between two checks');
    expect(await kubectl('explain', 'gitsource.spec.interval')).toMatch(/FIELD: interval <string>/);
  });

  it('kubectl wait --for=condition=promoted returns when the release has succeeded', async () => {
    const commit = await world.commit({}, 'Waited for');
    await world.until('the run', () => world.canary?.status?.canary?.commit === commit);
    const said = await kubectl('wait', '--for=condition=promoted', 'canary/reviews', '--timeout=90s');
    expect(said).toContain('condition met');
    expect(world.status.history?.[0]).toMatchObject({ commit, result: 'Succeeded' });
  });

  it('sluice wait returns for that commit, and tells a failure by its exit code', async () => {
    const good = await world.commit({}, 'A good one');
    await sluice('wait', 'reviews', '--commit', good, '--timeout', '90s');
    expect(world.status.history?.[0]).toMatchObject({ commit: good, result: 'Succeeded' });
    const bad = await world.commit({ errorRate: 0.5 }, 'A bad one');
    await expect(sluice('wait', 'reviews', '--commit', bad, '--timeout', '90s')).rejects.toMatchObject({ code: 1 });
  });

  it('kubectl scale canary/reviews changes the pods that serve', async () => {
    const slot = world.status.stable?.slot;
    await kubectl('scale', 'canary/reviews', '--replicas=3');
    await world.until('three ready pods', () => world.status.stable?.readyReplicas === 3 && world.status.replicas === 3);
    expect(JSON.parse(await kubectl('get', 'deployment', `reviews-${slot}`, '-o', 'json'))).toMatchObject({
      spec: { replicas: 3 },
      status: { readyReplicas: 3 },
    });
    expect(JSON.parse(await kubectl('get', 'canary', 'reviews', '--subresource=scale', '-o', 'json'))).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 3 },
      status: { replicas: 3 },
    });
    // The next sync leaves it alone.
    const commit = await world.commit({}, 'With three pods');
    expect((await world.ended(commit)).result).toBe('Succeeded');
    await world.until('three pods of the new version', () => world.status.stable?.readyReplicas === 3);
    world.assertNothingLost();
  });
});
