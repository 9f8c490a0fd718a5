import { expect, it } from 'vitest';
import type { KubeObject } from '../../src/kube/types.js';
import { Resources } from '../../src/kube/resources.js';
import { NAMESPACE } from '../../src/sandbox/sandbox.js';
import { play, STRICT } from './play.js';

const subsetsOf = (object: KubeObject | undefined): string[] => ((object?.['spec'] as { subsets?: { name: string }[] } | undefined)?.subsets ?? []).map(({ name }) => name);

it('1, by subsets: the rule and the route of the lesson carry a release, and callers notice nothing of the adoption', async () => {
  const hosts = new Set<string>();
  const services = new Set<string>();
  const played = await play('1', {
    service: { routing: 'subsets' },
    during: (_, sandbox) => {
      const route = sandbox.virtualServices.get(NAMESPACE, 'reviews');
      const { http } = (route?.['spec'] ?? {}) as { http?: { route: { destination: { host: string } }[] }[] };
      for (const { destination } of http?.[0]?.route ?? []) hosts.add(destination.host);
      void sandbox.client.list(Resources.Service, { namespace: NAMESPACE }).then(({ items }) => items.forEach(({ metadata }) => services.add(metadata.name)));
    },
  });
  expect(played.versions(0, 'before')).toEqual(['v1']);
  expect(played.results).toEqual(['Succeeded']);
  expect(played.versions(1, 'step 2')).toEqual(['v1', 'v2']);
  expect([...hosts]).toEqual(['reviews']);
  expect([...services].filter((name) => name.startsWith('reviews'))).toEqual(['reviews']);
  expect(subsetsOf(played.before.get('DestinationRule/reviews'))).toEqual(['v1', 'v2', 'v3', 'blue', 'green', 'v1-blue', 'v1-green']);
  for (const kind of ['VirtualService', 'DestinationRule']) expect(played.after.get(`${kind}/ratings`)).toEqual(played.before.get(`${kind}/ratings`));
}, 240_000);

it('3, by subsets: versions behind one Service are judged apart; what fails is taken back', async () => {
  const played = await play('3', { service: { routing: 'subsets' }, analysis: { metrics: STRICT } });
  expect(played.summary.releases).toMatchObject([{ result: 'Succeeded', weights: [10, 20, 30, 100] }, { result: 'Failed' }]);
  expect(played.summary.releases[1]?.weights).not.toContain(100);
  expect(played.summary.releases[1]?.reason).toMatch(/success rate .* < 95 %/);
}, 240_000);
