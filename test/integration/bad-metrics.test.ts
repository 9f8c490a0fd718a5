import { describe, expect, it, vi } from 'vitest';
import { startWorld } from './harness.js';
import { canary, canaryWith, metricTemplate } from './manifests.js';
import { MetricsServer, type Lie } from './metrics-server.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const BUILT_IN = [{ name: 'request-success-rate', thresholdRange: { min: 99 } }];
const labels = (slot: string): Record<string, string> => ({ destination_service_namespace: 'x', destination_service_name: `reviews-${slot}`, response_code: '200' });

describe.concurrent('a metrics server', () => {
  const lies: [what: string, lie: Lie, reason: string, message: RegExp][] = [
    ['that answers with an HTML page', { type: 'text/html', body: '<html>Sign in</html>' }, 'MetricsUnavailable', /answered 200 with an HTML page; is the address that of a Prometheus\?/],
    ['that fails', { status: 500, body: { status: 'error', errorType: 'internal', error: 'no disk' } }, 'MetricsUnavailable', /failed: no disk/],
    ['that breaks off', 'reset', 'MetricsUnavailable', /metrics server/],
    ['that hangs', 'hang', 'MetricsUnavailable', /metrics server .*(5 s|time)/],
    ['that knows nothing', { series: [] }, 'NotEnoughData', /no requests to reviews-green\..* were seen/],
    ['that answers NaN', { series: [[labels('green'), 'NaN']] }, 'NotEnoughData', /no requests to reviews-green\..* were seen/],
    ['that answers no number', { series: [[labels('green'), 'a lot']] }, 'MetricsUnavailable', /answered "a lot" where a number belongs/],
  ];
  it.each(lies)('%s holds the run where it is until it tells the truth again', async (_what, lie, reason, message) => {
    const shop = await world.shop();
    const metrics = await MetricsServer.start();
    await shop.adopted(canary({ metricsServer: metrics.url, analysis: { metrics: BUILT_IN } }));
    metrics.lie = lie;
    shop.release('v2');
    expect((await shop.reason('Progressing', reason)).message).toMatch(message);
    expect(shop.weights).toEqual({ 'reviews-blue': 80, 'reviews-green': 20 });
    expect(shop.status).toMatchObject({ failedChecks: 0, phase: 'Progressing' });
    expect(shop.condition('Ready')).toMatchObject({ status: 'True' });
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
    metrics.lie = undefined;
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    await metrics.stop();
  });

  it('that cannot be reached holds the run only until the deadline', async () => {
    const shop = await world.shop();
    await shop.adopted(canary({ metricsServer: 'http://127.0.0.1:1', progressDeadlineSeconds: 12 }));
    shop.release('v2');
    expect((await shop.reason('Progressing', 'MetricsUnavailable')).message).toMatch(/127\.0\.0\.1:1/);
    expect(await shop.ended(1)).toMatchObject({ result: 'Failed', reason: 'ProgressDeadlineExceeded', message: expect.stringMatching(/no progress within 12 s.*127\.0\.0\.1:1/) });
    expect(shop.weights).toEqual({ 'reviews-blue': 100, 'reviews-green': 0 });
  });
});

describe.concurrent('a MetricTemplate', () => {
  const using = (more: Record<string, unknown> = {}) => canaryWith({ metrics: [{ name: 'error-ratio', templateRef: { name: 'errors' }, thresholdRange: { max: 5 }, ...more }] });

  it('that does not exist is named; the run waits for it', async () => {
    const shop = await world.shop();
    await shop.adopted(canaryWith({ metrics: BUILT_IN }));
    shop.release('v2');
    await shop.weight(20);
    shop.put(using());
    const stalled = await shop.reason('Stalled', 'TemplateNotFound');
    expect(stalled.message).toMatch(/Canary reviews: spec\.analysis\.metrics error-ratio: MetricTemplate .*\/errors does not exist; create it or correct templateRef/);
    expect(shop.weights).toEqual({ 'reviews-blue': 80, 'reviews-green': 20 });
    shop.put(metricTemplate('up'));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });

  const malformed: [what: string, query: string, answer: Lie, message: RegExp][] = [
    ['the server does not take', 'up', { status: 400, body: { status: 'error', errorType: 'bad_data', error: 'parse error: unclosed left parenthesis' } }, /MetricTemplate "errors": .*parse error: unclosed left parenthesis; mend the MetricTemplate or spec\.analysis\.metrics of Canary reviews/],
    ['gives several series', 'up', { series: [[{ a: '1' }, '1'], [{ a: '2' }, '2']] }, /MetricTemplate "errors": the query gives 2 series; it must give one number/],
  ];
  it.each(malformed)('whose query %s stalls the run at its weight until it is mended', async (_what, query, answer, message) => {
    const shop = await world.shop();
    const metrics = await MetricsServer.start();
    metrics.template = () => answer;
    shop.put(metricTemplate(query));
    const subject = using();
    await shop.adopted({ ...subject, spec: { ...(subject['spec'] as object), metricsServer: metrics.url } });
    shop.release('v2');
    const stalled = await shop.reason('Stalled', 'InvalidQuery');
    expect(stalled).toMatchObject({ status: 'True' });
    expect(stalled.message).toMatch(message);
    expect(shop.weights).toEqual({ 'reviews-blue': 80, 'reviews-green': 20 });
    expect(shop.condition('Ready')).toMatchObject({ status: 'True' });
    metrics.template = () => ({ series: [[{}, '0']] });
    shop.put(metricTemplate('vector(0)'));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
    await metrics.stop();
  });

  const typos: [what: string, query: string, message: RegExp][] = [
    ['does not parse', 'sum(rate(x[1m])', /MetricTemplate shop-\d+\/errors: spec\.query at 1:16: parse error: unclosed left parenthesis/],
    ['has an unknown placeholder', 'rate({{ canary }})', /MetricTemplate shop-\d+\/errors: spec\.query: "\{\{ canary \}\}" is not known; known are \{\{ name \}\}/],
  ];
  it.each(typos)('whose query %s is found before the release, and the release begins when it is mended', async (_what, query, message) => {
    const shop = await world.shop();
    const metrics = await MetricsServer.start();
    metrics.template = () => ({ series: [[{}, '0']] });
    shop.put(metricTemplate('vector(0)'));
    const subject = using();
    await shop.adopted({ ...subject, spec: { ...(subject['spec'] as object), metricsServer: metrics.url } });
    shop.put(metricTemplate(query));
    expect((await shop.reason('Stalled', 'InvalidQuery')).message).toMatch(message);
    shop.release('v2');
    expect((await shop.reason('Progressing', 'InvalidQuery')).message).toMatch(message);
    expect(shop.weights).toEqual({ 'reviews-blue': 100, 'reviews-green': 0 });
    expect(shop.condition('Ready')).toMatchObject({ status: 'True' });
    shop.put(metricTemplate('vector(0)'));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
    await metrics.stop();
  });
});
