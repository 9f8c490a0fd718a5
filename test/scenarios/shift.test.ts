import { expect, it } from 'vitest';
import type { KubeObject } from '../../src/kube/types.js';
import { play, STRICT } from './play.js';

interface Route {
  timeout?: string;
  retries?: { attempts?: number };
  route?: { destination: { host: string; subset?: string }; weight?: number }[];
}
const http = (object: KubeObject | undefined): Route[] => (object?.['spec'] as { http?: Route[] } | undefined)?.http ?? [];

it('1: adoption of routes with subsets changes nothing for callers, and a release goes on from there', async () => {
  const played = await play('1');
  expect(played.versions(0, 'before')).toEqual(['v1']);
  expect(http(played.before.get('VirtualService/reviews'))[0]?.route).toEqual([
    { destination: { host: 'reviews-blue', subset: 'v1' }, weight: 100 },
    { destination: { host: 'reviews-green', subset: 'v1' }, weight: 0 },
  ]);
  expect(http(played.before.get('VirtualService/details'))).toEqual([{ route: [{ destination: { host: 'details', subset: 'v1' } }] }]);
  expect(played.results).toEqual(['Succeeded']);
  expect(played.versions(1, 'step 2')).toEqual(['v1', 'v2']);
  for (const name of ['details', 'ratings', 'productpage'])
    expect(played.after.get(`VirtualService/${name}`)).toEqual(played.before.get(`VirtualService/${name}`));
}, 240_000);

it('2: half of the traffic, then all of it', async () => {
  const played = await play('2');
  expect(played.summary.releases).toMatchObject([{ result: 'Succeeded', weights: [50, 100] }]);
  expect(played.offBy(50, 1, 'step 1', 'v2')).toBeLessThan(1);
  expect(played.versions(1, 'step 2')).toEqual(['v2']);
}, 240_000);

it('3: a little at a time; what fails is taken back, and nobody on the stable version notices', async () => {
  const played = await play('3', { analysis: { metrics: STRICT } });
  expect(played.summary.releases).toMatchObject([
    { result: 'Succeeded', weights: [10, 20, 30, 100] },
    { result: 'Failed' },
  ]);
}, 240_000);

it('9: timeout and retries stay on the route at every weight, and cut off what is slow', async () => {
  const kept = new Set<string>();
  const played = await play('9', {
    during: (_, sandbox) => {
      for (const { timeout, retries } of http(sandbox.virtualServices.get('default', 'reviews'))) kept.add(`${timeout} ${retries?.attempts}`);
    },
  });
  expect([...kept]).toEqual(['0.5s 3']);
  expect(played.results).toEqual(['Succeeded', 'Failed']);
  expect(played.saw(2, 'step 1').failed).toBeGreaterThan(0);
}, 240_000);

it('10: the policy of the DestinationRule is on both slots', async () => {
  const played = await play('10');
  expect(played.results).toEqual(['Succeeded']);
  const policy = (name: string): unknown => (played.after.get(`DestinationRule/${name}`)?.['spec'] as { trafficPolicy?: unknown } | undefined)?.trafficPolicy;
  expect(policy('reviews')).toMatchObject({ outlierDetection: { consecutive5xxErrors: 20 } });
  expect(policy('reviews-blue')).toEqual(policy('reviews'));
  expect(policy('reviews-green')).toEqual(policy('reviews'));
}, 240_000);
