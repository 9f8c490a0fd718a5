import { expect, it } from 'vitest';
import { play } from './play.js';

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
