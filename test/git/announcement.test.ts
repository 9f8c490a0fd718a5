import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isAuthentic, readAnnouncement, type Delivery, type HookType } from '../../src/git/announcement.js';

const TOKEN = 's3cret';
const COMMIT = 'ab'.repeat(20);
const hmac = (body: string, token = TOKEN): string => createHmac('sha256', token).update(body).digest('hex');

const push = JSON.stringify({ ref: 'refs/heads/main', before: '0'.repeat(40), after: COMMIT });
const bitbucket = JSON.stringify({ push: { changes: [{ new: { type: 'branch', name: 'main', target: { hash: COMMIT } } }, { new: null }] } });
const azure = JSON.stringify({ eventType: 'git.push', resource: { refUpdates: [{ name: 'refs/heads/main', oldObjectId: '0'.repeat(40), newObjectId: COMMIT }] } });

/** What each host sends, as its documentation says. */
const SENT: [HookType, string, (token: string) => Record<string, string>][] = [
  ['github', push, (token) => ({ 'x-github-event': 'push', 'x-github-delivery': 'd1', 'x-hub-signature-256': `sha256=${hmac(push, token)}` })],
  ['gitlab', push, (token) => ({ 'x-gitlab-event': 'Push Hook', 'x-gitlab-event-uuid': 'd1', 'x-gitlab-token': token })],
  ['gitea', push, (token) => ({ 'x-gitea-event': 'push', 'x-gitea-delivery': 'd1', 'x-gitea-signature': hmac(push, token) })],
  ['bitbucket', bitbucket, (token) => ({ 'x-event-key': 'repo:push', 'x-request-uuid': 'd1', 'x-hub-signature': `sha256=${hmac(bitbucket, token)}` })],
  ['azure', azure, (token) => ({ authorization: `Basic ${Buffer.from(`hook:${token}`).toString('base64')}` })],
  ['generic', push, (token) => ({ 'x-sluice-signature': `sha256=${hmac(push, token)}` })],
  ['generic', push, (token) => ({ authorization: `Bearer ${token}` })],
];
const delivery = (body: string, headers: Record<string, string>): Delivery => ({ headers, body: Buffer.from(body) });

describe('an announcement of a Git host', () => {
  it.each(SENT)('%s is believed with its token and says which commit the branch has', (type, body, headers) => {
    expect(isAuthentic(type, delivery(body, headers(TOKEN)), TOKEN)).toBe(true);
    expect(readAnnouncement(type, delivery(body, headers(TOKEN)))).toMatchObject({ push: true, refs: [{ name: 'refs/heads/main', commit: COMMIT }] });
  });

  it.each(SENT)('%s is not believed with another token, without one, or where none is set', (type, body, headers) => {
    expect(isAuthentic(type, delivery(body, headers('other')), TOKEN)).toBe(false);
    expect(isAuthentic(type, delivery(body, {}), TOKEN)).toBe(false);
    expect(isAuthentic(type, delivery(body, headers('')), '')).toBe(false);
  });

  it('is not believed when the body was changed after signing', () => {
    const headers = SENT[0]?.[2](TOKEN) ?? {};
    expect(isAuthentic('github', delivery(push.replace('main', 'evil'), headers), TOKEN)).toBe(false);
  });

  it('that is no push says so', () => {
    expect(readAnnouncement('github', delivery('{}', { 'x-github-event': 'ping' }))).toMatchObject({ push: false });
    expect(readAnnouncement('gitlab', delivery('{}', { 'x-gitlab-event': 'Merge Request Hook' }))).toMatchObject({ push: false });
  });

  it('with a body that cannot be read is a push of which nothing is known', () => {
    expect(readAnnouncement('generic', delivery('not json', {}))).toEqual({ push: true, refs: [] });
  });
});
