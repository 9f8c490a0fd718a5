import { describe, expect, it } from 'vitest';
import { playSeed, scheduleOf, shrink } from './seeds.js';

/** `SLUICE_SEED=N` replays and shrinks the schedule of one seed; `npm run soak` plays many more. */
const one = process.env['SLUICE_SEED'];
const SCHEDULES = 500;
const AT_ONCE = 50;

const inAnyWorld = (): void => {
  for (let first = 0; first < SCHEDULES; first += AT_ONCE)
    it(`the nine truths hold after every step of schedules ${first + 1} to ${first + AT_ONCE}`, async () => {
      for (let seed = first + 1; seed <= first + AT_ONCE; seed += 1) {
        const { failure } = await playSeed(seed);
        expect(failure, `seed ${seed}; SLUICE_SEED=${seed} npx vitest run test/world/world.test.ts replays and shrinks it`).toBeUndefined();
      }
    }, 240_000);

  it('a seed replays exactly', async () => {
    const { play } = await import('./schedules.js');
    const logs = [await play(scheduleOf(7)), await play(scheduleOf(7))].map((world) => world.log.join('\n'));
    expect(logs[0]).toBe(logs[1]);
    expect(logs[0]).toContain('sets weights');
  }, 60_000);
};

const inOneWorld = (): void => {
  it('keeps the nine truths', async () => {
    const found = await shrink(Number(one));
    expect(found && `${found.failure}\n${JSON.stringify(found.schedule, undefined, 1)}`).toBeUndefined();
  }, 600_000);
};

// One or the other: what is not asked for is not a skipped test.
if (one === undefined) describe('in a world where everything is late and anything may fail', inAnyWorld);
else describe('the schedule of SLUICE_SEED', inOneWorld);
