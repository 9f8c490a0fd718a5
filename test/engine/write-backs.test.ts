import { describe, expect, it } from 'vitest';
import { canaryStatus, type Canary, type CanaryStatus, type WriteBack } from '../../src/api/index.js';
import type { WriteBackOutcome } from '../../src/engine/ports.js';
import { WriteBacks } from '../../src/engine/write-backs.js';

const NOW = Date.parse('2026-01-02T03:04:05Z');
const request: WriteBack = { kind: 'revert', state: 'Pending', run: 'r2-run', revision: 'r2', stable: 'r1', commit: 'c2', source: 'shop/shop', at: new Date(NOW).toISOString() };
const canary = (status: Partial<CanaryStatus>): Canary => ({ metadata: { namespace: 'shop', name: 'reviews', uid: 'u1' }, status: canaryStatus.parse(status) }) as Canary;

/** A writer that answers what it is given, in order; an Error is a failure. */
function world(answers: (WriteBackOutcome | Error)[]) {
  const log = { asked: 0, done: [] as number[], results: [] as string[], failures: [] as string[], now: NOW };
  const writeBacks = new WriteBacks({
    writer: {
      write: async () => {
        const answer = answers[Math.min(log.asked, answers.length - 1)];
        log.asked += 1;
        if (answer instanceof Error) throw answer;
        return answer as WriteBackOutcome;
      },
    },
    now: () => log.now,
    onDone: (_, at) => log.done.push(at),
    onResult: (_, __, { state, message }) => log.results.push(`${state} ${message}`),
    onFailure: (_, __, message) => log.failures.push(message),
  });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { log, writeBacks, settle };
}

describe('write-backs of a stored status', () => {
  it('are carried out once, however often the status is looked at, and their outcome comes into the status', async () => {
    const { log, writeBacks, settle } = world([{ state: 'Done', message: 'pushed', written: 'c3' }]);
    const live = canary({ writeBacks: [request] });
    writeBacks.carryOut('shop/reviews', live);
    writeBacks.carryOut('shop/reviews', live);
    await settle();
    writeBacks.carryOut('shop/reviews', live);
    await settle();
    expect(log.asked).toBe(1);
    expect(log.results).toEqual(['Done pushed']);
    expect(writeBacks.withOutcomes(live, live.status as CanaryStatus).writeBacks).toMatchObject([{ state: 'Done', written: 'c3', message: 'pushed' }]);
  });

  it('are asked for again by the next life when the outcome was not stored', async () => {
    const first = world([{ state: 'Done', message: 'pushed', written: 'c3' }]);
    first.writeBacks.carryOut('shop/reviews', canary({ writeBacks: [request] }));
    await first.settle();
    const second = world([{ state: 'Done', message: 'found', written: 'c3' }]);
    second.writeBacks.carryOut('shop/reviews', canary({ writeBacks: [request] }));
    await second.settle();
    expect(second.log.results).toEqual(['Done found']);
  });

  it('that fail are tried again, later each time, and the Canary is woken for it', async () => {
    const { log, writeBacks, settle } = world([new Error('unreachable'), new Error('unreachable'), { state: 'Done', message: 'pushed' }]);
    const live = canary({ writeBacks: [request] });
    writeBacks.carryOut('k', live);
    await settle();
    expect(log.done).toEqual([NOW + 1_000]);
    expect(writeBacks.carryOut('k', live)).toBe(NOW + 1_000);
    log.now += 1_000;
    writeBacks.carryOut('k', live);
    await settle();
    expect(log.done.at(-1)).toBe(NOW + 3_000);
    log.now += 2_000;
    writeBacks.carryOut('k', live);
    await settle();
    expect(log.failures).toEqual(['unreachable', 'unreachable']);
    expect(log.results).toEqual(['Done pushed']);
  });

  it('are given up after a day, and the status says so', async () => {
    const { log, writeBacks, settle } = world([new Error('unreachable')]);
    log.now += 25 * 3_600_000;
    const live = canary({ writeBacks: [request] });
    writeBacks.carryOut('k', live);
    await settle();
    expect(writeBacks.withOutcomes(live, live.status as CanaryStatus).writeBacks).toMatchObject([{ state: 'Skipped', message: 'given up after a day: unreachable' }]);
  });

  it('that are settled in the status are left alone', async () => {
    const { log, writeBacks, settle } = world([{ state: 'Done', message: 'pushed' }]);
    writeBacks.carryOut('k', canary({ writeBacks: [{ ...request, state: 'Skipped' }] }));
    await settle();
    expect(log.asked).toBe(0);
  });
});
