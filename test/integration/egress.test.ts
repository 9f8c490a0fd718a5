import { describe, expect, it, vi } from 'vitest';
import { Resources } from '../../src/kube/resources.js';
import { startWorld } from './harness.js';
import { alertProvider, canary, metricTemplate } from './manifests.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 120_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });
const METADATA = 'http://169.254.169.254/latest/meta-data';
const REFUSAL = /169\.254\.169\.254 is a link-local address.*--allow-link-local/;

describe.concurrent('a link-local address, where clouds serve their credentials, is refused by name', () => {
  it('as spec.metricsServer', async () => {
    const shop = await world.shop();
    await shop.adopted(canary({ metricsServer: METADATA }));
    shop.release('v2');
    const { message } = await shop.reason('Progressing', 'MetricsUnavailable');
    expect(message).toMatch(REFUSAL);
  });

  it('as the address of a MetricTemplate', async () => {
    const shop = await world.shop();
    shop.put({ ...metricTemplate('1'), spec: { provider: { type: 'prometheus', address: METADATA }, query: '1' } });
    await shop.adopted(canary({ analysis: { metrics: [{ name: 'error-ratio', templateRef: { name: 'errors' }, thresholdRange: { max: 5 } }] } }));
    shop.release('v2');
    const { message } = await shop.reason('Progressing', 'MetricsUnavailable');
    expect(message).toMatch(REFUSAL);
  });

  it('as the url of a webhook', async () => {
    const shop = await world.shop();
    await shop.adopted(canary({ analysis: { webhooks: [{ name: 'gate', type: 'confirm-rollout', url: METADATA }] } }));
    shop.release('v2');
    const { message } = await shop.reason('Progressing', 'WaitingForWebhook');
    expect(message).toMatch(REFUSAL);
  });

  it('as the address of an AlertProvider', async () => {
    const shop = await world.shop();
    shop.put(alertProvider(METADATA));
    await shop.adopted();
    const words = await shop.see('an Event', () =>
      world.server.store.list(Resources.Event, { namespace: shop.namespace }).find((event) => event['reason'] === 'NotificationFailed')?.['message'] as string | undefined,
    );
    expect(words).toMatch(REFUSAL);
  });
});
