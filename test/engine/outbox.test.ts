import { describe, expect, it } from 'vitest';
import type { AlertProvider, Canary } from '../../src/api/index.js';
import type { Cache } from '../../src/engine/cache.js';
import { Outbox } from '../../src/engine/outbox.js';
import { canary } from '../mesh/istio/cluster.js';

const NOW = Date.parse('2030-01-01T12:00:00Z');
const chat = { metadata: { name: 'chat' }, spec: { type: 'webhook' } } as AlertProvider;

/** A Canary with one message for a receiver that is away. */
function world(provider: AlertProvider | undefined) {
  const seen = { now: NOW, tries: 0, failures: [] as string[] };
  const outbox = new Outbox({
    cache: { alertProviders: { get: () => provider } } as unknown as Cache,
    notifier: {
      send: () => {
        seen.tries += 1;
        return Promise.reject(new Error('connection refused'));
      },
    },
    hooks: { call: () => Promise.reject(new Error('no webhook is there')) },
    secrets: {} as never,
    now: () => seen.now,
    allowCrossNamespace: false,
    onDone: () => undefined,
    onFailure: (_canary, _receiver, message) => seen.failures.push(message),
  });
  const plain = canary();
  const live = {
    ...plain,
    spec: { ...plain.spec, analysis: { ...plain.spec.analysis, alerts: [{ name: 'team', severity: 'info', providerRef: { name: 'chat' } }] } },
    status: { canaryWeight: 0, failedChecks: 0, messages: [{ id: 'shop/reviews/run-1/Failed', event: 'Failed', severity: 'error', text: 'x', at: new Date(NOW).toISOString(), to: ['team'] }] },
  } as Canary;
  const going = { ...live, metadata: { ...live.metadata, deletionTimestamp: new Date(NOW).toISOString() } } as Canary;
  /** Looks at the outbox once, and says when it wants to be looked at again. */
  const look = async (of: Canary): Promise<number | undefined> => {
    outbox.deliver('shop/reviews', of);
    await new Promise((resolve) => setImmediate(resolve));
    const at = outbox.deliver('shop/reviews', of);
    return at && at - seen.now;
  };
  return { seen, outbox, live, going, look };
}

describe('a message whose receiver is away', () => {
  it('is tried later each time, up to a minute', async () => {
    const { seen, live, look } = world(chat);
    const waits: (number | undefined)[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      const wait = await look(live);
      waits.push(wait);
      seen.now += wait ?? 0;
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1_000));
  });

  it('is tried every five seconds while its Canary waits for nothing else to go', async () => {
    const { seen, live, going, look } = world(chat);
    for (let turn = 0; turn < 8; turn += 1) seen.now += (await look(live)) ?? 0;
    const waits = [await look(going)];
    seen.now += 5_000;
    waits.push(await look(going));
    expect(waits).toEqual([5_000, 5_000]);
    expect(seen.tries).toBe(10);
  });
});

describe('a message whose AlertProvider is gone', () => {
  it('waits for it, and says so', async () => {
    const { seen, outbox, live, look } = world(undefined);
    expect(await look(live)).toBe(1_000);
    expect(seen.failures).toEqual(['alert team: AlertProvider shop/chat does not exist; create it or correct providerRef']);
    expect(outbox.delivered.size).toBe(0);
  });

  it('keeps no Canary from going: whoever deleted both wants no message', async () => {
    const { seen, outbox, going, look } = world(undefined);
    await look(going);
    expect(seen.failures).toEqual([]);
    expect([...outbox.delivered]).toEqual(['shop/reviews/run-1/Failed>team']);
  });
});
