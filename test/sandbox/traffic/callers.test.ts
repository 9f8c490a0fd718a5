import { afterEach, describe, expect, it } from 'vitest';
import { startCallers, type CallerOptions, type CallRecord, type Callers } from '../../../src/sandbox/traffic/callers.js';
import { startApp, until, type App, type Handler } from '../mesh/world.js';

describe('callers', () => {
  const apps: App[] = [];
  const running: Callers[] = [];
  const lines: CallRecord[] = [];

  const begin = async (options: Partial<CallerOptions> = {}, handler?: Handler): Promise<{ app: App; callers: Callers }> => {
    const app = await startApp('v2', handler);
    apps.push(app);
    const callers = startCallers({
      url: `http://127.0.0.1:${app.port}`,
      host: 'reviews',
      rps: 100,
      log: (line) => lines.push(line),
      ...options,
    });
    running.push(callers);
    return { app, callers };
  };

  afterEach(async () => {
    for (const callers of running.splice(0)) await callers.stop();
    for (const app of apps.splice(0)) await app.stop();
    lines.length = 0;
  });

  it('send what they are told, and log what they got', async () => {
    const { app, callers } = await begin(
      { path: '/reviews/0', method: 'POST', headers: (n) => ({ 'x-n': String(n) }), now: () => Date.UTC(2026, 0, 2) },
      (_request, response) => {
        response.setHeader('x-pod-name', 'reviews-green-1');
        response.end();
      },
    );
    await until(() => lines.length >= 3, 'three answers');
    expect(app.seen.find(({ headers }) => headers['x-n'] === '1')).toMatchObject({
      method: 'POST',
      url: '/reviews/0',
      headers: { host: 'reviews' },
    });
    expect(lines.find(({ n }) => n === 0)).toMatchObject({
      time: '2026-01-02T00:00:00.000Z',
      n: 0,
      status: 200,
      version: 'v2',
      pod: 'reviews-green-1',
    });
    expect(callers.stats().byVersion).toMatchObject({ v2: { failed: 0 } });
  });

  it('keep their rate while answers are slow, and count the wait from when a request was due', async () => {
    const held: (() => void)[] = [];
    const { callers } = await begin({ rps: 200 }, (_request, response) => held.push(() => response.end()));
    await until(() => held.length >= 40, '40 requests at once');
    expect(callers.stats().inFlight).toBeGreaterThanOrEqual(40);
    callers.setRate(0);
    for (const release of held) release();
    await until(() => lines.length >= 40, 'the answers');
    for (const line of lines) expect(line.scheduledLatencyMs).toBeGreaterThanOrEqual(line.latencyMs);
  });

  it('come near the rate asked for', async () => {
    const began = performance.now();
    const { callers } = await begin({ rps: 250 });
    await until(() => callers.stats().sent >= 250, '250 requests');
    const seconds = (performance.now() - began) / 1000;
    expect(callers.stats().sent / seconds).toBeLessThan(300);
  });

  it('change their rate', async () => {
    const { callers } = await begin({ rps: 0 });
    expect(callers.stats().sent).toBe(0);
    callers.setRate(500);
    await until(() => callers.stats().sent >= 20, 'requests at the new rate');
    expect(() => callers.setRate(Number.NaN)).toThrow(/rps is NaN/);
  });

  it('count an error status as failed, per version', async () => {
    const { callers } = await begin({}, (_request, response) => {
      response.statusCode = 500;
      response.end();
    });
    await until(() => callers.stats().failed >= 2, 'failures');
    expect(callers.stats()).toMatchObject({ ok: 0, byVersion: { v2: { ok: 0 } } });
    expect(lines[0]?.status).toBe(500);
  });

  it('log 0 and the reason when no answer comes', async () => {
    await begin({ timeoutMs: 50 }, () => undefined);
    await until(() => lines.length >= 1, 'a timeout');
    expect(lines[0]).toMatchObject({ status: 0, error: 'no complete answer within 50 ms' });
    lines.length = 0;
    await begin({}, (_request, response) => {
      response.write('half');
      setImmediate(() => response.destroy());
    });
    await until(() => lines.some(({ version }) => version === 'v2'), 'a broken answer');
    expect(lines.find(({ version }) => version === 'v2')?.status).toBe(0);
  });

  it('do not send beyond the limit of requests under way, and say so', async () => {
    const { app, callers } = await begin({ concurrencyLimit: 2, timeoutMs: 500 }, () => undefined);
    await until(() => lines.length >= 3, 'refused requests');
    expect(app.seen.length).toBeLessThanOrEqual(2);
    expect(lines[0]?.error).toContain('concurrencyLimit');
    expect(callers.stats().failed).toBeGreaterThanOrEqual(3);
  });

  it('wait for answers when stopped', async () => {
    const { callers } = await begin({}, (_request, response) => setTimeout(() => response.end(), 100));
    await until(() => callers.stats().inFlight >= 3, 'requests under way');
    await callers.stop();
    const { sent, ok, inFlight } = callers.stats();
    expect([ok, inFlight]).toEqual([sent, 0]);
  });

  it.each(['http://192.0.2.1:80', 'http://example.com', 'https://127.0.0.1'])(
    'refuse %s, which is not on this machine',
    (url) => {
      expect(() => startCallers({ url, host: 'reviews', rps: 1, log: () => undefined })).toThrow(
        /not on this machine; expected http:\/\/127\.0\.0\.1:PORT/,
      );
    },
  );
});
