import { expect, it } from 'vitest';
import type { KubeObject } from '../../src/kube/types.js';
import { NAMESPACE, type Sandbox } from '../../src/sandbox/sandbox.js';
import { Resources } from '../../src/kube/resources.js';
import { play } from './play.js';

interface Route {
  name?: string;
  route?: { destination: { host: string }; weight?: number }[];
}
const routes = (object: KubeObject | undefined): Route[] => (object?.['spec'] as { http?: Route[] } | undefined)?.http ?? [];

it('11: one rule among several of a gateway is divided, and the others stay as they are', async () => {
  const played = await play('11');
  expect(played.results).toEqual(['Succeeded']);
  expect(played.versions(1, 'step 2', 'reviews at the gateway')).toEqual(['v1', 'v2']);
  const [before, after] = [played.before, played.after].map((objects) => routes(objects.get('VirtualService/bookinfo')));
  expect(after?.[0]).toEqual(before?.[0]);
  expect(after?.[1]?.route?.map(({ weight }) => weight)).toEqual([0, 100]);
}, 240_000);

it('12: what passes the gateway is divided and judged, without any sidecar', async () => {
  const played = await play('12');
  expect(played.results).toEqual(['Succeeded', 'Failed']);
  expect(played.offBy(50, 1, 'step 1', 'v2', 'reviews at the gateway')).toBeLessThan(1);
  expect(played.summary.releases[1]?.reason).toMatch(/success rate .* < 85 %/);
}, 240_000);

it('13: routes to outside hosts are not touched', async () => {
  const seen = new Set<string>();
  const judged = new Set<string>();
  const played = await play('13', {
    analysis: { metrics: [{ name: 'request-success-rate', thresholdRange: { min: 85 }, minSamples: 5 }, { name: 'outside-errors', templateRef: { name: 'outside-errors' }, onNoData: 'pass', thresholdRange: { max: 5 } }] },
    during: (canary, sandbox) => {
      seen.add(JSON.stringify(sandbox.virtualServices.get('default', 'book-prices')?.['spec']));
      for (const { metric, verdict } of canary.status?.checks ?? []) judged.add(`${metric} ${verdict}`);
    },
  });
  expect(played.results).toEqual(['Succeeded']);
  expect(seen.size).toBe(1);
  // Nothing calls the outside host in the sandbox.
  expect([...judged].filter((check) => check.startsWith('outside-errors'))).toEqual(['outside-errors Pass']);
  expect(played.after.get('DestinationRule/book-prices')).toEqual(played.before.get('DestinationRule/book-prices'));
  expect(played.after.get('VirtualService/book-prices')).toEqual(played.before.get('VirtualService/book-prices'));
}, 240_000);

interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[];
}

it('14: the dashboard comes with the repository, and each of its panels shows both slots while a release runs', async () => {
  const series = new Map<string, Promise<string[]>>();
  const query = async ({ prometheusUrl }: Sandbox, expr: string): Promise<string[]> => {
    const answer = await fetch(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(expr)}`);
    const { data } = (await answer.json()) as { data: { result: { metric: Record<string, string> }[] } };
    return data.result.map(({ metric }) => metric['destination_service_name'] ?? '').sort();
  };
  const look = async (sandbox: Sandbox): Promise<string[]> => {
    const { data } = (await sandbox.client.get(Resources.ConfigMap, NAMESPACE, 'sluice-release-dashboard')) as KubeObject & { data: Record<string, string> };
    const { panels } = JSON.parse(data['sluice-release.json'] ?? '') as Dashboard;
    for (const { title, targets } of panels)
      for (const { expr } of targets) series.set(title, query(sandbox, expr.replaceAll('$namespace', NAMESPACE).replaceAll('$service', 'reviews')));
    await Promise.all(series.values());
    return panels.map(({ title }) => title);
  };
  let titles: Promise<string[]> | undefined;
  const played = await play('14', {
    during: (canary, sandbox) => {
      if (canary.status?.step?.index === 1 && canary.status.step.startedAt !== undefined) titles ??= look(sandbox);
    },
  });
  expect(played.results).toEqual(['Succeeded']);
  expect((await titles)?.length).toBeGreaterThanOrEqual(3);
  for (const [title, found] of series) expect([title, await found]).toEqual([title, ['reviews-blue', 'reviews-green']]);
}, 240_000);
