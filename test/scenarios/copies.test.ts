import { expect, it } from 'vitest';
import { play } from './play.js';

it('6: blue/green is judged on copies, switches everybody at once, and a bad version is seen by nobody', async () => {
  const played = await play('6');
  expect(played.summary.releases).toMatchObject([
    { result: 'Succeeded', weights: [100] },
    { result: 'Failed', weights: [] },
  ]);
  expect(played.versions(1, 'step 1')).toEqual(['v1']);
  expect(played.versions(1, 'step 2')).toEqual(['v2']);
  expect(played.versions(2, 'step 1')).toEqual(['v2']);
  expect(played.saw(2, 'step 1').failed).toBe(0);
  expect(played.summary.releases[1]?.reason).toMatch(/success rate .* < 85 % over \d+ requests/);
}, 240_000);

it('7: copies come before the first weight, and what fails on them gets none', async () => {
  const played = await play('7');
  expect(played.summary.releases).toMatchObject([
    { result: 'Succeeded', weights: [50, 100] },
    { result: 'Failed', weights: [] },
  ]);
  expect(played.versions(1, 'step 1')).toEqual(['v1']);
  expect(played.versions(1, 'step 2')).toEqual(['v1', 'v2']);
  expect(played.versions(2, 'step 1')).toEqual(['v2']);
}, 240_000);

it('8: a fault befalls only what the canary calls, and is gone afterwards', async () => {
  const played = await play('8');
  expect(played.results).toEqual(['Succeeded']);
  for (const step of ['step 1', 'step 2']) {
    expect(played.versions(1, step, 'testers')).toEqual(['v2']);
    expect(played.versions(1, step, 'everybody else')).toEqual(['v1']);
  }
  // v2 waits three seconds for ratings, then answers without them; nobody else waits.
  expect(played.saw(1, 'step 2', 'testers').medianMs).toBeGreaterThan(2_500);
  expect(played.saw(1, 'step 2', 'everybody else').medianMs).toBeLessThan(2_500);
  expect(played.after.get('VirtualService/ratings')?.['spec']).toEqual(played.before.get('VirtualService/ratings')?.['spec']);
  expect(played.after.get('VirtualService/ratings')?.metadata.annotations).toEqual(played.before.get('VirtualService/ratings')?.metadata.annotations);
}, 240_000);
