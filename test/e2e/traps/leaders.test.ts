import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Resources } from '../../../src/kube/index.js';
import { ControllerProcess } from '../controller-process.js';
import { Gate, type Write } from '../gate.js';
import { TrapWorld } from './world.js';

const SLOT = 'sluice.dev/slot';
const FLAGS = ['--leader-election-namespace', 'default'];

/** A request to take all pods of the slot away. */
const empties = ({ path, body }: Write): boolean =>
  path.endsWith('/deployments/shop-blue/scale') && (body['spec'] as { replicas?: number } | undefined)?.replicas === 0;
const never = new Promise<void>(() => undefined);

describe('K11: leader election does not fence', () => {
  let world: TrapWorld;
  let old: Gate;
  let young: Gate;
  let second: ControllerProcess;
  beforeAll(async () => {
    world = await TrapWorld.start({
      users: ['one', 'two'].map((name) => ({ name, groups: ['system:masters'] })),
      controller: async (needs, plane) => {
        [old, young] = (await Promise.all(['one', 'two'].map((user) => Gate.open(plane.kubeconfigFor(user))))) as [Gate, Gate];
        const first = await ControllerProcess.start({ ...needs, kubeconfig: old.kubeconfig }, FLAGS);
        const dir = join(needs.dir, 'second');
        await mkdir(dir, { recursive: true });
        second = await ControllerProcess.start({ ...needs, dir, kubeconfig: young.kubeconfig }, FLAGS);
        return first;
      },
    });
  });
  afterAll(async () => {
    await second?.stop();
    await world?.stop();
    old?.close();
    young?.close();
  });
  const holder = async (): Promise<string> =>
    ((await world.client.get(Resources.Lease, 'default', 'sluice-controller'))['spec'] as { holderIdentity?: string })
      .holderIdentity ?? '';

  it('a former leader’s write that was on its way for longer than its lease is refused, though its successor wrote nothing like it', async () => {
    const app = await world.app('k11');
    await app.adopt({ canary: { revisions: { warmFor: '3s' } } });
    const first = await holder();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let arrived = false;
    const answers: number[] = [];
    old.hooks = {
      // From the moment on that the old leader wants to empty the warm slot, it is cut off from its lease, and the write waits.
      before: (write) => {
        if (empties(write)) {
          arrived = true;
          return held;
        }
        return arrived && write.path.includes('/leases') ? never : undefined;
      },
      after: (write, status) => {
        if (empties(write)) answers.push(status);
      },
    };
    // The successor would empty the slot as well; what is looked at is what the old one does before that.
    let successorHeld: () => void = () => undefined;
    const later = new Promise<void>((resolve) => (successorHeld = resolve));
    let successorTried = false;
    young.hooks = {
      before: (write) => {
        if (!empties(write)) return undefined;
        successorTried = true;
        return later;
      },
    };
    await app.change();
    await app.ended(1);
    await world.until('the write on its way', () => arrived);
    await world.until('the successor', async () => (await holder()) !== first);
    // Not on that slot alone: everything that a late write could do harm to is another version now.
    let seen = '';
    const marked = async (): Promise<boolean> => {
      const objects = await Promise.all([app.get(Resources.Deployment, 'shop-blue'), app.get(Resources.Deployment, 'shop-green'), app.get(Resources.VirtualService, 'shop'), app.canary()]);
      const leads = await holder();
      const epochs = objects.map(({ metadata }) => metadata.annotations?.['sluice.dev/epoch'] ?? 'none');
      seen = `${objects.map(({ kind, metadata: { name } }, index) => `${kind} ${name} ${epochs[index]}`).join(', ')}; the Lease is held by ${leads || 'nobody'}, before by ${first}`;
      return leads !== '' && epochs.every((epoch) => epoch === epochs[0] && epoch.includes(leads));
    };
    await world.until(() => `its mark on all of them: ${seen}`, marked);
    // Whatever the successor does meanwhile, its mark stays: it has tried to empty the slot after it had set its mark.
    await world.until('the successor’s own try', () => successorTried);
    expect(await marked(), seen).toBe(true);
    release();
    await world.until('the answer', () => answers.length > 0);
    expect(answers).toEqual([409]);
    expect(((await app.get(Resources.Deployment, 'shop-blue'))['spec'] as { replicas: number }).replicas).toBe(2);
    expect(await app.pods(`${SLOT}=blue`)).toHaveLength(2);
    successorHeld();
    await world.until('the slot to be emptied by the one who leads', async () => (await app.pods(`${SLOT}=blue`)).length === 0);
  });
});
