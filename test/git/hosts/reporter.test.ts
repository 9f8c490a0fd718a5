import { afterEach, describe, expect, it } from 'vitest';
import { canarySpec, canaryStatus, type Canary, type CanaryStatus, type GitSource } from '../../../src/api/index.js';
import { StatusReporter, type StatusReporterOptions } from '../../../src/git/hosts/reporter.js';
import { createHttp } from '../../../src/net/http.js';
import { until } from '../world.js';
import { standIn, type Asked, type Reply } from './stand-in.js';

const COMMIT = 'a'.repeat(40);
const NOW = Date.parse('2026-01-02T03:05:00Z');
let time = NOW;
let timers: { at: number; run: () => void }[] = [];
const clock = {
  now: () => time,
  after: (ms: number, run: () => void) => {
    const timer = { at: time + ms, run };
    timers.push(timer);
    return () => void (timers = timers.filter((other) => other !== timer));
  },
};
/** Time passes, and what waited for it happens. */
function pass(ms: number): void {
  time += ms;
  const due = timers.filter(({ at }) => at <= time);
  timers = timers.filter(({ at }) => at > time);
  for (const { run } of due) run();
}
let server: Awaited<ReturnType<typeof standIn>> | undefined;
let reporter: StatusReporter | undefined;
const failures: string[] = [];
afterEach(async () => {
  await reporter?.stop();
  await server?.close();
  failures.length = 0;
  time = NOW;
  timers = [];
});

async function start(answer: (asked: Asked) => Reply, options: Partial<StatusReporterOptions> = {}): Promise<StatusReporter> {
  server = await standIn(answer);
  const source = { metadata: { namespace: 'shop', name: 'shop' }, spec: { url: 'https://git.example/shop/deploy.git', writeBack: { host: { type: 'github', api: server.url, statuses: true, secretRef: { name: 'token' } }, link: 'https://ui.example/{{ namespace }}/{{ canary }}' } } } as unknown as GitSource;
  return (reporter = restart(source, options));
}
const restart = (source: GitSource, options: Partial<StatusReporterOptions> = {}): StatusReporter =>
  new StatusReporter({
    http: createHttp(),
    secret: async () => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'token' }, data: { token: Buffer.from('t0ken').toString('base64') } }),
    gitSource: () => source,
    tenancy: { allowCrossNamespace: false },
    targetCommit: () => undefined,
    clock,
    onFailure: (_, message) => failures.push(message),
    ...options,
  });

function canary(status: Partial<CanaryStatus>, name = 'reviews'): Canary {
  const spec = canarySpec.parse({ targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name }, service: { port: 80 }, analysis: { stepWeights: [10] } });
  return { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { namespace: 'shop', name, uid: name }, spec, status: canaryStatus.parse(status) };
}
const running = (weight: number, index = 0, commit = COMMIT): Partial<CanaryStatus> => ({
  run: { id: 'r2-run', startedAt: '2026-01-02T03:00:00Z', weights: [] },
  canary: { revision: 'r2', slot: 'green', commit, source: 'shop/shop' },
  canaryWeight: weight,
  step: { index, of: 3, weight },
});
const ended = (result: 'Succeeded' | 'Failed', commit = COMMIT, commits?: string[]): Partial<CanaryStatus> => ({
  history: [{ run: 'r2-run', revision: 'r2', result, reason: 'ChecksFailed', message: 'success rate 70 % < 99 %', weights: [20], startedAt: '2026-01-02T03:00:00Z', endedAt: '2026-01-02T03:04:00Z', commit, source: 'shop/shop', ...(commits ? { commits } : {}) }],
});
const states = (): unknown[] => (server?.asked ?? []).map(({ body }) => body['state']);
const told = (count: number): Promise<void> => until(() => server?.asked.length === count, () => `${count} statuses, but there are ${server?.asked.length}`);

describe('statuses of commits', () => {
  it('tell the start, the weight and the end with its reason and a link; nothing twice', async () => {
    const host = await start(() => ({ status: 201 }));
    host.observe(canary(running(20)));
    host.observe(canary(running(20)));
    await told(1);
    host.observe(canary(running(50, 1)));
    await told(2);
    host.observe(canary(ended('Failed')));
    await told(3);
    host.observe(canary(ended('Failed')));
    expect(states()).toEqual(['pending', 'pending', 'failure']);
    expect(server?.asked[1]?.body['description']).toBe('50 % of the traffic, step 2 of 3');
    expect(server?.asked[2]?.body).toMatchObject({ description: 'taken back: success rate 70 % < 99 %', context: 'sluice/shop/reviews', target_url: 'https://ui.example/shop/reviews' });
  });

  it('tell every commit that came in the same sync', async () => {
    const host = await start(() => ({ status: 201 }));
    host.observe(canary(ended('Succeeded', COMMIT, ['b'.repeat(40), 'c'.repeat(40)])));
    await told(3);
    expect(new Set((server?.asked ?? []).map(({ path }) => path)).size).toBe(3);
  });

  it('come after a host that limits, as late as it asks, and endings before weights', async () => {
    let limited = true;
    const host = await start(() => (limited ? { status: 429, headers: { 'retry-after': '0.2' } } : { status: 201 }));
    host.observe(canary(running(20)));
    await told(1);
    limited = false;
    host.observe(canary(ended('Failed')));
    await until(() => timers.length > 0, () => 'a timer');
    pass(1_000);
    await told(2);
    expect(states()).toEqual(['pending', 'failure']);
  });

  it('500 releases at once: within the host budget, every start or end in the end, no weights', async () => {
    const host = await start(() => ({ status: 201 }));
    for (let index = 0; index < 500; index += 1) host.observe(canary(running(20, 0, index.toString(16).padStart(40, '0')), `c${index}`));
    await told(60);
    for (let index = 0; index < 500; index += 1) host.observe(canary(ended('Succeeded', index.toString(16).padStart(40, '0')), `c${index}`));
    const perMinute: number[] = [];
    for (let minute = 0; minute < 80 && states().filter((state) => state === 'success').length < 500; minute += 1) {
      const before = server?.asked.length ?? 0;
      pass(60_001);
      await reporterIdle();
      perMinute.push((server?.asked.length ?? 0) - before);
    }
    expect(states().filter((state) => state === 'success')).toHaveLength(500);
    expect(Math.max(...perMinute)).toBeLessThanOrEqual(60);
    expect(server?.asked.length).toBeLessThanOrEqual(560);
  }, 180_000);

  it('say that a new commit brings a revision that is quarantined', async () => {
    const again = 'd'.repeat(40);
    const host = await start(() => ({ status: 201 }), { targetCommit: () => ({ commit: again }) });
    const at = '2026-01-02T03:04:00Z';
    host.observe(
      canary({
        ...ended('Failed'),
        quarantined: [{ revision: 'r2', reason: 'success rate', at, commit: COMMIT }],
        conditions: [{ type: 'Progressing', status: 'False', reason: 'Quarantined', message: 'revision r2 failed', lastTransitionTime: at }],
      }),
    );
    await told(2);
    const second = server?.asked.find(({ path }) => path.endsWith(again));
    expect(second?.body).toMatchObject({ state: 'failure' });
    expect(second?.body['description']).toContain('does not run again');
  });

  it('say that a new commit makes the revision that serves already, once', async () => {
    const same = 'e'.repeat(40);
    const at = '2026-01-02T03:05:00Z';
    const idle = (commit: string): CanaryStatus['conditions'] => [{ type: 'Progressing', status: 'False', reason: 'Idle', message: `revision r2 serves; commit ${commit.slice(0, 7)} by Ada makes the same, so there is nothing to release`, lastTransitionTime: at }];
    const target = { commit: same, syncedAt: at };
    const host = await start(() => ({ status: 201 }), { targetCommit: () => target });
    const stable = { revision: 'r2', slot: 'green' as const, commit: COMMIT, source: 'shop/shop' };
    host.observe(canary({ ...ended('Succeeded'), stable, conditions: idle(COMMIT) }));
    await told(1);
    host.observe(canary({ ...ended('Succeeded'), stable, conditions: idle(same) }));
    host.observe(canary({ ...ended('Succeeded'), stable, conditions: idle(same) }));
    await told(2);
    expect(server?.asked[1]?.path).toContain(same);
    expect(server?.asked[1]?.body).toMatchObject({ state: 'success', description: 'revision r2 serves already; there was nothing to release' });
  });

  it('a host that refuses for good is asked once, and it is said', async () => {
    const host = await start(() => ({ status: 404, body: { message: 'Not Found' } }));
    host.observe(canary(ended('Failed')));
    await told(1);
    await until(() => failures.length === 1, () => 'a failure');
    host.observe(canary(ended('Failed')));
    await reporterIdle();
    expect(server?.asked).toHaveLength(1);
    expect(failures[0]).toContain('Not Found');
  });
});

/** Until nothing is sent for a while. */
async function reporterIdle(): Promise<void> {
  let before = -1;
  let quiet = 0;
  while (quiet < 4) {
    await new Promise((resolve) => setTimeout(resolve, 15));
    const now = server?.asked.length ?? 0;
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}
