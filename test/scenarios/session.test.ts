import { expect, it } from 'vitest';
import { play } from './play.js';

it('a user who was given the new version keeps it while the release runs, and the cookie means nothing to the next release', async () => {
  const cookies = new Set<string>();
  const played = await play('3', {
    analysis: { stepWeight: 30, maxWeight: 60, sessionAffinity: { cookieName: 'reviews-version', path: '/' } },
    callers: [{ name: 'users', rps: 15, users: 60, headers: {}, host: 'reviews', path: '/reviews/0' }],
    during: (canary, sandbox) => {
      const text = JSON.stringify(sandbox.virtualServices.get('default', 'reviews')?.['spec'] ?? {});
      const value = /reviews-version=([0-9a-f]{10}); Max-Age=86400; Path=\//.exec(text)?.[1];
      if (value !== undefined && canary.status?.run) cookies.add(`${canary.status.run.id} ${value}`);
    },
  });
  expect(played.results).toEqual(['Succeeded', 'Failed']);
  for (const stage of ['step 1', 'step 2']) {
    expect(played.versions(1, stage, 'users')).toEqual(['v1', 'v2']);
    expect(played.saw(1, stage, 'users').returned).toBe(0);
  }
  // Each release has a cookie of its own, and nothing of it is left.
  expect(new Set([...cookies].map((cookie) => cookie.split(' ')[1])).size).toBe(2);
  expect(JSON.stringify(played.after.get('VirtualService/reviews')?.['spec'])).not.toContain('cookie');
}, 240_000);
