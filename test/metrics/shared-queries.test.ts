import { describe, expect, it } from 'vitest';
import type { Failed, RangeResult } from '../../src/metrics/prometheus/client.js';
import { busy, GRID_MS, simulation, T0, TIMEOUT_MS, type Question } from './simulated.js';

const MINUTE = 60_000;
const down: Failed = { kind: 'failed', message: 'the metrics server prometheus:9090 refused the connection', permanent: false };
const tooLarge: Failed = { kind: 'failed', message: 'the answer is longer than 16 MiB', permanent: false, tooMuch: 'size' };
const late: Failed = { kind: 'failed', message: 'no answer within 5 s', permanent: false, tooMuch: 'time' };

const during = (asked: readonly Question[], from: number, to: number): Question[] => asked.filter(({ at }) => at > T0 + from && at <= T0 + to);
/** So many runs at once, each beginning at its own moment. */
const fleet = (world: ReturnType<typeof simulation>, count: number, minutes: number, namespace: (index: number) => string = () => 'default'): Promise<string[][]> =>
  Promise.all(Array.from({ length: count }, (_, index) => world.run(namespace(index) === 'default' ? `app-${index}` : `${namespace(index)}-app`, namespace(index), index / count, minutes)));

describe('500 running canaries', () => {
  it.each([
    ['in one namespace', () => 'default'],
    ['in 500 namespaces', (index: number) => `team${index}`],
  ])('%s ask fewer than 20 queries in a minute', async (_, namespace) => {
    const world = simulation();
    const ended = fleet(world, 500, 3, namespace);
    await world.clock.pass(4 * MINUTE);
    // Evaluated every 10 s at 500 different moments, and judged by both metrics' thresholds every minute.
    const minute = during(world.asked, MINUTE, 2 * MINUTE);
    expect(minute.length).toBeLessThan(20);
    expect(minute.length).toBeGreaterThan(5);
    // Nothing is asked for twice: each window of the minute once, for everybody.
    expect(minute.reduce((sum, { windows }) => sum + windows, 0)).toBe(12);
    expect(new Set((await ended).flat())).toEqual(new Set(['Windows', 'Value']));
  }, 60_000);
});

describe('the counts of both slots', () => {
  const one = async (metric: 'request-success-rate' | 'request-duration', server = busy(), lookbackMs = 20_000) => {
    const world = simulation(server);
    const answer = world.builtin.windows(metric, world.request('app', 'default', lookbackMs));
    await world.clock.pass(1_000);
    return { answer: await answer, asked: world.asked };
  };

  it('are errors and requests of each complete window, from one query', async () => {
    const { answer, asked } = await one('request-success-rate');
    const side = { total: 100, bad: [1] };
    // The window that ends now still settles.
    expect(answer).toMatchObject({ kind: 'Windows', gridMs: GRID_MS, bounds: [0], windows: [-15_000, -10_000, -5_000].map((ms) => ({ to: T0 + ms + 0, stable: side, canary: side })) });
    expect(asked).toMatchObject([{ names: ['app-blue', 'app-green'], start: T0 - 15_000, end: T0 - 5_000, stepMs: GRID_MS }]);
  });

  it('are requests slower than each bound of the histogram', async () => {
    const { answer } = await one('request-duration');
    const side = { total: 100, bad: [50, 0] };
    expect(answer).toMatchObject({ kind: 'Windows', bounds: [50, 100], windows: [{ stable: side, canary: side }, { stable: side }, { canary: side }] });
  });

  it('are zeros for a version that nobody asked, with the bounds of the other', async () => {
    const busyOnly = busy();
    const { answer } = await one('request-duration', async (question) => {
      const all = (await busyOnly(question)) as Extract<RangeResult, { kind: 'series' }>;
      return { kind: 'series', series: all.series.filter(({ labels }) => labels['destination_service_name'] === 'app-blue') };
    });
    expect(answer).toMatchObject({ kind: 'Windows', bounds: [50, 100], windows: [{ stable: { total: 100 }, canary: { total: 0, bad: [0, 0] } }, {}, {}] });
  });

  it('count what one bucket lacks as slower, and a bucket that seems to hold less than the one below as it', async () => {
    const series = (le: string, value: number, name = 'app-green') => ({ labels: { destination_service_namespace: 'default', destination_service_name: name, le }, values: [[T0 - 5_000, value]] as [number, number][] });
    const { answer } = await one('request-duration', () => ({ kind: 'series', series: [series('50', 40), series('100', 38), series('+Inf', 60), series('75', 0, 'app-blue'), series('+Inf', 7, 'app-blue')] }), 10_000);
    expect(answer).toMatchObject({ bounds: [50, 75, 100], windows: [{ canary: { total: 60, bad: [20, 20, 20] }, stable: { total: 7, bad: [7, 7, 7] } }] });
  });

  it('are no data, in words, while no window is complete', async () => {
    const { answer, asked } = await one('request-success-rate', busy(), 4_000);
    expect(answer).toMatchObject({ kind: 'NoData', message: 'no window of 5 s is complete yet between 11:59:56 and 12:00:00' });
    expect(asked).toEqual([]);
  });

  it('are an error when the server fails', async () => {
    const { answer } = await one('request-success-rate', () => down);
    expect(answer).toMatchObject({ kind: 'Error', message: down.message, permanent: false });
  });

  it('of a stretch before the release come in one query, and what follows joins the others', async () => {
    const world = simulation();
    const before = world.builtin.windows('request-success-rate', { ...world.request('app', 'default', 10 * MINUTE) });
    await world.clock.pass(1_000);
    const answer = await before;
    expect(answer.kind === 'Windows' && answer.windows).toHaveLength(119);
    expect(answer.kind === 'Windows' && answer.windows.every(({ to }, index, all) => index === 0 || to - (all[index - 1]?.to ?? 0) === GRID_MS)).toBe(true);
    expect(world.asked).toMatchObject([{ windows: 119 }]);
    const other = world.builtin.windows('request-success-rate', world.request('other', 'default'));
    await world.clock.pass(1_000);
    await other;
    await world.clock.pass(8_000);
    const both = world.builtin.windows('request-success-rate', world.request('app', 'default', 10 * MINUTE));
    await world.clock.pass(1_000);
    await both;
    expect(world.asked.map(({ names, windows }) => [names.length, windows])).toEqual([
      [2, 119],
      // What the newcomer lacks, and the newest window for the other one, which will want it.
      [2, 11],
      [2, 1],
      [4, 1],
    ]);
  });

  it('are what their callers saw, whoever counts', async () => {
    const world = simulation(({ start }) => ({
      kind: 'series',
      series: [
        ...['source', 'destination'].map((reporter) => ({ labels: { destination_workload_namespace: 'default', destination_workload: 'app-green', reporter, response_code: '500' }, values: [[start, reporter === 'source' ? 3 : 9]] as [number, number][] })),
        { labels: { destination_service_namespace: 'default', destination_service_name: 'app-green', response_code: '0' }, values: [[start, 4]] },
      ],
    }));
    const counted = async (reporter: 'workload' | 'waypoint' | 'destination') => {
      const answer = world.builtin.windows('request-success-rate', { ...world.request('app', 'default', 15_000), reporter });
      await world.clock.pass(100);
      const found = await answer;
      return found.kind === 'Windows' ? found.windows[0]?.canary : found;
    };
    expect(await counted('workload')).toEqual({ total: 3, bad: [3] });
    expect(await counted('waypoint')).toEqual({ total: 4, bad: [4] });
    // One series of each kind there: pods' own proxies do not tell requests from tries.
    expect(await counted('destination')).toMatchObject({ bad: [9] });
    expect(new Set(world.asked.map(({ query }) => /reporter="([a-z]+)"/.exec(query)?.[1]))).toEqual(new Set(['source', 'waypoint', 'destination']));
  });
});

describe('a server in trouble', () => {
  it('that is down is asked ever more rarely, and everyone gets the failure meanwhile', async () => {
    const world = simulation(() => down);
    const ended = fleet(world, 50, 10);
    await world.clock.pass(11 * MINUTE);
    expect(during(world.asked, 0, MINUTE).length).toBeLessThan(8);
    expect(during(world.asked, 5 * MINUTE, 10 * MINUTE).length).toBeLessThanOrEqual(6);
    expect(new Set((await ended).flat())).toEqual(new Set(['Error']));
  });

  it('that is back gets one question, and then everyone has answers again', async () => {
    const world = simulation(() => down);
    const ended = fleet(world, 50, 8);
    await world.clock.pass(5 * MINUTE);
    world.state.server = busy();
    const before = world.asked.length;
    await world.clock.pass(70_000);
    const [first] = world.asked.slice(before);
    expect(first?.names.length).toBeGreaterThan(0);
    await world.clock.pass(3 * MINUTE);
    expect(during(world.asked, 7 * MINUTE, 8 * MINUTE).length).toBeLessThanOrEqual(12);
    expect((await ended).map((heard) => heard.at(-1))).toEqual(Array(50).fill('Value'));
  });

  it('that is slow is asked less than one that is not, and loses nothing', async () => {
    const at = async (tookMs: number) => {
      const world = simulation(async (question) => {
        await world.clock.sleep(tookMs);
        return busy()(question);
      });
      const ended = fleet(world, 100, 4);
      await world.clock.pass(6 * MINUTE);
      expect(new Set((await ended).flat())).toEqual(new Set(['Windows', 'Value']));
      const asked = during(world.asked, MINUTE, 3 * MINUTE);
      return { queries: asked.length, windows: asked.reduce((sum, { windows }) => sum + windows, 0) };
    };
    const [quick, slow, slower] = [await at(50), await at(2_500), await at(4_500)];
    expect(quick).toEqual({ queries: 24, windows: 24 });
    expect(slow.queries).toBeLessThan(quick.queries * 0.75);
    expect(slower.queries).toBeLessThan(quick.queries * 0.5);
    expect(slower.windows).toBeGreaterThan(20);
  });

  it('that is too late is not asked for more, in pieces', async () => {
    const world = simulation(async () => {
      await world.clock.sleep(TIMEOUT_MS);
      return late;
    });
    const ended = fleet(world, 100, 5);
    await world.clock.pass(8 * MINUTE);
    await ended;
    for (const minute of [0, 1, 2, 3]) expect(during(world.asked, minute * MINUTE, (minute + 1) * MINUTE).length).toBeLessThanOrEqual(6);
  });

  it('that can answer only small questions in time gets them in at most four pieces', async () => {
    const world = simulation(async (question) => {
      await world.clock.sleep(question.names.length > 60 ? TIMEOUT_MS : 200);
      return question.names.length > 60 ? late : busy()(question);
    });
    const ended = fleet(world, 100, 6);
    await world.clock.pass(8 * MINUTE);
    expect((await ended).map((heard) => heard.at(-1))).toEqual(Array(100).fill('Value'));
    expect(during(world.asked, 4 * MINUTE, 5 * MINUTE).length).toBeLessThanOrEqual(48);
  });

  it('whose answers are too large gets halves, and no failure comes of it', async () => {
    const world = simulation((question) => (question.names.length > 30 ? tooLarge : busy()(question)));
    const ended = fleet(world, 50, 3);
    await world.clock.pass(4 * MINUTE);
    expect(new Set((await ended).flat())).toEqual(new Set(['Windows', 'Value']));
    // Once it is known, nothing too large is asked again.
    expect(during(world.asked, 2 * MINUTE, 3 * MINUTE).filter(({ names }) => names.length > 30)).toEqual([]);
  });

  it('whose answers are too long gets fewer windows at a time', async () => {
    const world = simulation((question) => (question.windows > 20 ? tooLarge : busy()(question)));
    const answer = world.builtin.windows('request-success-rate', world.request('app', 'default', 10 * MINUTE));
    await world.clock.pass(5_000);
    expect(await answer).toMatchObject({ kind: 'Windows', windows: { length: 119 } });
    expect(world.asked.filter(({ windows }) => windows <= 20).reduce((sum, { windows }) => sum + windows, 0)).toBe(119);
  });

  it('that refuses even the smallest question is asked no more than one that is down', async () => {
    const world = simulation(() => ({ ...tooLarge, permanent: true, message: 'unknown function' }));
    const ended = fleet(world, 50, 5);
    await world.clock.pass(6 * MINUTE);
    expect(during(world.asked, MINUTE, 5 * MINUTE).length).toBeLessThan(15);
    expect(new Set((await ended).flat())).toEqual(new Set(['Error']));
  });

  it('keeps nobody from another server', async () => {
    const world = simulation((question) => (question.server.includes('other') ? busy()(question) : down));
    const failing = world.builtin.windows('request-success-rate', world.request('app', 'default'));
    await world.clock.pass(100);
    const answer = world.builtin.windows('request-success-rate', { ...world.request('app', 'default'), server: 'http://other:9090' });
    await world.clock.pass(100);
    expect([(await failing).kind, (await answer).kind]).toEqual(['Error', 'Windows']);
  });
});

it('what nobody asks about any more leaves the question', async () => {
  const world = simulation();
  const gone = world.builtin.windows('request-success-rate', world.request('gone', 'default'));
  const there = world.run('there', 'default', 0, 20);
  await world.clock.pass(10 * MINUTE);
  expect(world.asked.at(-1)?.names).toContain('gone-green');
  await world.clock.pass(11 * MINUTE);
  await Promise.all([gone, there]);
  expect(world.asked.at(-1)?.names).toEqual(['there-blue', 'there-green']);
});
