import { expect, it } from 'vitest';
import type { KubeObject } from '../../src/kube/types.js';
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
  const share = played.share(1, 'step 1', 'v2', 'reviews at the gateway');
  expect(share).toBeGreaterThan(25);
  expect(share).toBeLessThan(75);
  expect(played.summary.releases[1]?.reason).toMatch(/success rate .* < 85 %/);
}, 240_000);

it('13: routes to outside hosts are not touched', async () => {
  const seen = new Set<string>();
  const played = await play('13', { during: (_, sandbox) => void seen.add(JSON.stringify(sandbox.virtualServices.get('default', 'book-prices')?.['spec'])) });
  expect(played.results).toEqual(['Succeeded']);
  expect(seen.size).toBe(1);
  expect(played.after.get('VirtualService/book-prices')).toEqual(played.before.get('VirtualService/book-prices'));
}, 240_000);

it('14: what is looked at is played, and the dashboard comes with it', async () => {
  expect((await play('14')).results).toEqual(['Succeeded']);
}, 240_000);
