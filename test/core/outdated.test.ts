import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/core/observation.js';
import { isOfTraffic, outdated, followsRoutes, type Traffic } from '../../src/core/outdated.js';
import { blue, emptySlot, slotWith } from './builders.js';

const traffic = (weightOfBlue: number, readyBlue: number, readyGreen: number): Traffic => ({
  slots: { blue: slotWith('a1', 2, readyBlue), green: slotWith('b2', 2, readyGreen) },
  routes: { weights: blue(weightOfBlue), consistent: true },
});
const shift: Effect = { type: 'setWeights', weights: blue(50) };
const away: Effect = { type: 'scaleSlot', slot: 'green', replicas: 0, why: 'nothing routes to it any more' };

describe('what was decided before the intent was stored', () => {
  it('is carried out while nothing has changed', () => {
    expect(outdated(shift, traffic(80, 2, 2), traffic(80, 2, 2))).toBeUndefined();
    expect(outdated(away, traffic(100, 2, 2), traffic(100, 2, 2))).toBeUndefined();
  });
  it('does not raise the weight of a slot whose pods died meanwhile', () => {
    expect(outdated(shift, traffic(80, 2, 2), traffic(80, 2, 0))).toBe('slot green has 0 ready pods now, and had 2');
    expect(outdated(shift, traffic(80, 2, 2), traffic(80, 2, 1))).toBe('slot green has 1 ready pods now, and had 2');
  });
  it('takes weight from a slot though its pods died meanwhile', () => {
    expect(outdated({ type: 'setWeights', weights: blue(100) }, traffic(80, 2, 2), traffic(80, 2, 0))).toBeUndefined();
  });
  it('does not leave a version that came back meanwhile', () => {
    expect(outdated({ type: 'setWeights', weights: blue(0) }, traffic(80, 0, 2), traffic(80, 1, 2))).toBe('slot blue has ready pods again');
  });
  it('does not scale away or refill a slot that somebody led callers to meanwhile', () => {
    expect(outdated(away, traffic(100, 2, 2), traffic(12, 2, 2))).toBe('the routes give slot green 88 % now');
    expect(outdated({ type: 'fillSlot', slot: 'green', revision: 'c3', replicas: 2 }, traffic(100, 2, 0), traffic(99, 2, 0))).toBe('the routes give slot green 1 % now');
  });
  it('does not delete slots, or take pods from the target, that somebody led callers to meanwhile', () => {
    expect(outdated({ type: 'deleteSlots' }, traffic(100, 2, 2), traffic(60, 2, 2))).toBe('the routes give slot green 40 % now');
    expect(outdated({ type: 'overlayTarget' }, traffic(100, 2, 2), { ...traffic(100, 2, 2), routes: { consistent: false } })).toBe('the routes lead to the target again');
    expect(outdated({ type: 'overlayTarget' }, traffic(100, 2, 2), traffic(100, 2, 2))).toBeUndefined();
  });
  it('does not lead callers outside the mesh to a slot that somebody took weight from meanwhile', () => {
    const select: Effect = { type: 'selectService', slots: ['green'] };
    expect(outdated(select, traffic(0, 2, 2), traffic(15, 2, 2))).toBe('the routes give slot green only 85 % now');
    expect(outdated(select, traffic(0, 2, 2), traffic(0, 2, 0))).toBe('slot green has no ready endpoint any more');
    expect(outdated(select, traffic(0, 2, 2), traffic(0, 2, 2))).toBeUndefined();
    expect(outdated({ ...select, slots: ['blue', 'green'] }, traffic(0, 2, 2), traffic(0, 2, 2))).toBeUndefined();
  });
  it('looks at the routes once more before it takes pods away, or leads other callers where they lead', () => {
    const effects: Effect[] = [away, { type: 'selectService', slots: ['green'] }, { type: 'fillSlot', slot: 'green', revision: 'c3', replicas: 2 }, { type: 'overlayTarget' }, { type: 'deleteSlots' }];
    expect(effects.every(followsRoutes)).toBe(true);
    expect([{ ...away, replicas: 1 } as Effect, shift].some(followsRoutes)).toBe(false);
  });
  it('does not fill a slot that somebody filled meanwhile', () => {
    const fill: Effect = { type: 'fillSlot', slot: 'green', revision: 'c3', replicas: 2 };
    const empty = { ...traffic(100, 2, 0), slots: { blue: slotWith('a1', 2), green: emptySlot() } };
    expect(outdated(fill, empty, traffic(100, 2, 0))).toBe('slot green holds revision b2 with 2 pods now');
    expect(outdated(fill, empty, empty)).toBeUndefined();
  });
  it('may add pods whatever the routes say, and touches nothing else', () => {
    expect(outdated({ ...away, replicas: 4 }, traffic(100, 2, 2), traffic(12, 2, 2))).toBeUndefined();
    expect(isOfTraffic({ type: 'addFinalizer' })).toBe(false);
    expect([shift, away].every(isOfTraffic)).toBe(true);
  });
});
