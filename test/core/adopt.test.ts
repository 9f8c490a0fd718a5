import { expect } from 'vitest';
import { canaryStatus } from '../../src/api/index.js';
import { at, blue, emptySlot, slotWith, spec, Situation } from './builders.js';
import { sentences } from './sentences.js';

/** A Deployment that runs by itself, and a Canary that has just been applied. */
function fresh(replicas?: number): Situation {
  const canary = new Situation(spec({ replicas }));
  canary.status = canaryStatus.parse({});
  return canary.blue(emptySlot()).selects('target').sees({
    target: { replicas: 2, readyReplicas: 2, overlaid: false, userReplicas: 2 },
    routes: { consistent: false },
    finalizer: false,
  });
}
/** The stable slot is ready since a while, and proxies know it. */
function filled(): Situation {
  const canary = fresh(2).blue(slotWith('a1', 2)).decide();
  return canary.later(5).decide();
}

sentences('adopting a running Deployment', {
  'the finalizer comes first, so that nothing is left behind when I delete the Canary at once': () => {
    expect(fresh().decide().decision.effects[0]).toEqual({ type: 'addFinalizer' });
  },
  'my number of replicas becomes the number of the Canary before anything is scaled': () => {
    const canary = fresh().decide();
    expect(canary.effects('seedReplicas')).toEqual([{ type: 'seedReplicas', replicas: 2 }]);
    expect(canary.effects('overlayTarget')).toEqual([]);
  },
  'what runs is copied into the blue slot': () => {
    const canary = fresh().decide();
    expect(canary.effects('fillSlot')).toEqual([{ type: 'fillSlot', slot: 'blue', revision: 'a1', replicas: 2 }]);
    expect(canary.written).toBeUndefined();
  },
  'no route is touched while a pod of the slot is not ready': () => {
    const canary = fresh(2).blue(slotWith('a1', 2, 1)).decide().later(60).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.progress.message).toBe('1 of 2 pods are ready in slot blue');
  },
  'a pod that cannot start is named with its own words': () => {
    expect(fresh(2).blue(slotWith('a1', 2, 0, { failure: 'ImagePullBackOff: no such image' })).decide().progress.message).toContain('ImagePullBackOff: no such image');
  },
  'routes are led to the slot only after proxies had time to learn of its endpoints': () => {
    const canary = fresh(2).blue(slotWith('a1', 2)).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.wakesIn).toBe(5);
    expect(canary.later(5).decide().written).toEqual(blue(100));
  },
  'callers outside the mesh follow after the routes': () => {
    const canary = filled().weights(100).decide();
    expect(canary.effects('selectService')).toEqual([]);
    expect(canary.later(5).decide().effects('selectService')).toEqual([{ type: 'selectService', slots: ['blue'] }]);
  },
  'while a problem keeps it from going on, whoever changes the routes takes no callers from the slot that serves': () => {
    const canary = filled().weights(100).decide().sees({ problems: [{ reason: 'ConfigUnreadable', message: 'ConfigMap reviews-config does not exist' }] }).weights(0).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.progress).toEqual({ reason: 'ConfigUnreadable', message: 'ConfigMap reviews-config does not exist' });
    canary.weights(100).blue(slotWith('a1', 2, 0)).decide();
    expect(canary.effects('releaseRoutes')).toHaveLength(1);
  },
  'my own pods stop last, when nobody can reach them any more': () => {
    const canary = filled().weights(100).decide().later(5).selects('blue').decide();
    expect(canary.effects('overlayTarget')).toEqual([]);
    canary.later(5).decide();
    expect(canary.effects('overlayTarget')).toHaveLength(1);
    expect(canary.status.phase).toBe('Initialized');
    expect(canary.said.join()).toContain('Adopted: reviews adopted: revision a1');
  },
  'a sync that resets the weights meanwhile is put right, and my pods stay until proxies have learned of it': () => {
    const canary = filled().weights(100).decide().later(5).selects('blue').decide();
    canary.weights(0).later(5).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.effects('overlayTarget')).toEqual([]);
    expect(canary.weights(100).decide().effects('overlayTarget')).toEqual([]);
    expect(canary.later(5).decide().effects('overlayTarget')).toHaveLength(1);
  },
  'a commit before any route leads to the slot is simply what gets adopted': () => {
    const canary = fresh(2).decide().wants('b2').blue(slotWith('b2', 2)).decide();
    expect(canary.status.stable?.revision).toBe('b2');
    expect(canary.status.run).toBeUndefined();
  },
  'a commit after callers were led to the slot waits for adoption to end, then is a release': () => {
    const canary = filled().weights(100).decide().wants('b2').later(5).selects('blue').decide().later(5).decide();
    expect(canary.status.stable?.revision).toBe('a1');
    expect(canary.decide().status.run?.id).toContain('b2');
  },
  'when no pod of the slot is ready any more, callers go back to my own pods while those still serve': () => {
    const canary = filled().weights(100).decide().later(5).selects('blue').decide();
    canary.blue(slotWith('a1', 2, 0)).decide();
    expect(canary.decision.effects.map(({ type }) => type)).toEqual(expect.arrayContaining(['releaseServices', 'releaseRoutes']));
    canary.sees({ routes: { consistent: false } }).selects('target').decide();
    expect(canary.effects('overlayTarget')).toEqual([]);
    canary.blue(slotWith('a1', 2)).decide();
    expect(canary.written).toBeUndefined();
    expect(canary.later(5).decide().written).toEqual(blue(100));
  },
  'routes that a leader before led to the slot late, without a word: what the slot holds is adopted, and my newer commit is released after it': () => {
    const canary = filled().wants('b2').decide();
    expect(canary.status.stable?.revision).toBe('b2');
    expect(canary.weights(100).decide().status.stable?.revision).toBe('a1');
  },
  'a drain is not counted from before the routes were led to the slot, though somebody resets them at once': () => {
    const canary = filled();
    expect(canary.written).toEqual(blue(100));
    canary.wants('b2').decide();
    expect(canary.effects('scaleSlot')).toEqual([]);
    expect(canary.later(5).decide().effects('scaleSlot')).toMatchObject([{ slot: 'blue', replicas: 0 }]);
  },
  'when my own pods are gone too, callers stay where they are': () => {
    const canary = filled().weights(100).decide().sees({ target: { replicas: 2, readyReplicas: 0, overlaid: false, userReplicas: 2 } }).blue(slotWith('a1', 2, 0)).decide();
    expect(canary.effects('releaseRoutes')).toEqual([]);
  },
  'weights that somebody changes are put right though I ask for no pods any more, while some still serve': () => {
    const canary = filled().weights(100).decide().with({ replicas: 0 }).weights(1).decide();
    expect(canary.written).toEqual(blue(100));
  },
  'a Canary that lost its status finds the slot that serves': () => {
    const canary = new Situation();
    canary.status = canaryStatus.parse({});
    canary.weights(0).green(slotWith('c3', 2)).selects('green').decide();
    expect(canary.status.stable).toMatchObject({ revision: 'c3', slot: 'green' });
  },
  'without a target it says so, and writes nothing': () => {
    const canary = fresh();
    delete canary.observed.target;
    canary.sees({ problems: [{ reason: 'TargetNotFound', message: 'Deployment shop/reviews does not exist; create it' }] }).decide();
    expect(canary.condition('Stalled')).toMatchObject({ status: 'True', reason: 'TargetNotFound', message: 'Deployment shop/reviews does not exist; create it' });
    expect(canary.decision.effects).toEqual([{ type: 'addFinalizer' }]);
  },
  'a target with 0 replicas waits until they rise': () => {
    const canary = fresh(0).blue(slotWith('a1', 0)).sees({ target: { replicas: 0, readyReplicas: 0, overlaid: false, userReplicas: 0 } }).decide();
    expect(canary.progress.reason).toBe('NoReplicas');
  },
  'an image without a tag of its own is pointed out': () => {
    const canary = filled().wants('a1', { mutableImages: ['shop/reviews:latest'] }).weights(100).decide().later(5).selects('blue').decide().later(5).decide();
    expect(canary.said.join()).toContain('MutableImage: reviews revision a1 uses shop/reviews:latest');
  },
  'Ready says that callers still reach my own pods, until they do not': () => {
    expect(fresh().decide().condition('Ready')).toMatchObject({ status: 'False', reason: 'Adopting' });
    expect(filled().weights(100).decide().condition('Ready')).toMatchObject({ status: 'True', reason: 'Serving', message: 'revision a1 serves from slot blue' });
    expect(at(0)).toBe('2030-01-01T00:00:00.000Z');
  },
});
