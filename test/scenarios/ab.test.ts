import { expect, it } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { play } from './play.js';

/** What callers' proxies counted, by the Service that they called. */
async function countsOf({ prometheusUrl }: Sandbox): Promise<Record<string, number>> {
  const query = 'sum by (destination_service_name) (istio_requests_total{reporter="source"})';
  const answer = (await (await fetch(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`)).json()) as { data: { result: { metric: { destination_service_name: string }; value: [number, string] }[] } };
  return Object.fromEntries(answer.data.result.map(({ metric, value }) => [metric.destination_service_name, Number(value[1])]));
}

it('4: an A/B test by header leads one user to the new version, whichever rule of the user they match', async () => {
  const played = await play('4');
  expect(played.results).toEqual(['Succeeded']);
  expect(played.versions(1, 'step 1', 'jason')).toEqual(['v2']);
  expect(played.versions(1, 'step 1', 'jason as a tester')).toEqual(['v2']);
  expect(played.versions(1, 'step 1', 'everybody else')).toEqual(['v1']);
  const { http } = (played.after.get('VirtualService/reviews')?.['spec'] ?? { http: [] }) as { http: { name?: string; timeout?: string }[] };
  expect(http.map(({ name, timeout }) => `${name} ${timeout}`)).toEqual(['testers 10s', 'everybody 3s']);
}, 240_000);

it('5: an A/B test by cookie tells jason from jasonx', async () => {
  const played = await play('5');
  expect(played.results).toEqual(['Succeeded']);
  expect(played.versions(1, 'step 1', 'jason')).toEqual(['v2']);
  expect(played.versions(1, 'step 1', 'jasonx')).toEqual(['v1']);
  expect(played.versions(1, 'step 1', 'nobody')).toEqual(['v1']);
}, 240_000);

it('4, with a control arm: half of the one user stays with the old version, and is counted apart from everybody else', async () => {
  const counts: Record<string, number>[] = [];
  const played = await play('4', {
    analysis: { control: true },
    during: ({ status }, sandbox) => {
      if (status?.phase === 'Promoting' || status?.phase === 'Finalising') void countsOf(sandbox).then((found) => counts.push(found));
    },
  });
  expect(played.results).toEqual(['Succeeded']);
  for (const group of ['jason', 'jason as a tester']) {
    expect(played.versions(1, 'step 1', group)).toEqual(['v1', 'v2']);
    expect(Math.abs(played.offBy(50, 1, 'step 1', 'v2', group))).toBeLessThanOrEqual(1);
  }
  expect(played.versions(1, 'step 1', 'everybody else')).toEqual(['v1']);
  const [atEnd] = counts;
  const [arm = 0, canary = 0, others = 0] = ['reviews-blue-control', 'reviews-green', 'reviews-blue'].map((name) => atEnd?.[name]);
  // Two equal halves, within chance.
  expect(arm).toBeGreaterThan(20);
  expect(Math.abs(arm - canary)).toBeLessThan(4.5 * Math.sqrt(arm + canary));
  expect(others).toBeGreaterThan(arm);
  expect(atEnd).not.toHaveProperty('reviews-green-control');
  const { http } = (played.after.get('VirtualService/reviews')?.['spec'] ?? { http: [] }) as { http: { name?: string }[] };
  expect(http.map(({ name }) => name)).toEqual(['testers', 'everybody']);
}, 240_000);
