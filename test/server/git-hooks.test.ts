import { createHmac } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import type { GitSource } from '../../src/api/index.js';
import { createGitHooks } from '../../src/server/git-hooks.js';
import { startHttpServer } from '../../src/server/http.js';

const COMMIT = 'cd'.repeat(20);
let server: Awaited<ReturnType<typeof startHttpServer>> | undefined;
afterEach(() => server?.close());

const source = (name: string, ref: GitSource['spec']['ref'] = { branch: 'main' }, more: Partial<GitSource['spec']> = {}): GitSource =>
  ({ metadata: { namespace: 'shop', name }, spec: { url: 'https://git.example/shop.git', ref, webhook: { type: 'github', secretRef: { name: 'hook' } }, ...more } }) as GitSource;

async function start(sources: GitSource[]): Promise<string[]> {
  const hints: string[] = [];
  const post = createGitHooks({
    gitSources: { get: (namespace, name) => sources.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name), list: () => sources },
    token: async (_, secret) => (secret === 'hook' ? 's3cret' : undefined),
    hint: async ({ metadata }, commit) => void hints.push(`${metadata.name} ${commit ?? '-'}`),
  });
  server = await startHttpServer({ listen: '127.0.0.1:0', registry: new Registry(), ready: () => true, post });
  return hints;
}

function post(path: string, body: unknown, headers: Record<string, string> = {}, token = 's3cret'): Promise<Response> {
  const text = JSON.stringify(body);
  const signature = `sha256=${createHmac('sha256', token).update(text).digest('hex')}`;
  return fetch(`${server?.url}${path}`, { method: 'POST', body: text, headers: { 'x-github-event': 'push', 'x-hub-signature-256': signature, ...headers } });
}
const push = { ref: 'refs/heads/main', after: COMMIT };

describe('the webhook receiver', () => {
  it('hints every source of the repository that follows what was pushed, and no other', async () => {
    const hints = await start([
      source('main'),
      source('other-path', {}),
      source('stage', { branch: 'stage' }),
      source('pinned', { commit: COMMIT }),
      source('elsewhere', {}, { url: 'https://git.example/other.git' }),
    ]);
    const answer = await post('/git-hooks/shop/main', push);
    expect(answer.status).toBe(202);
    expect(hints).toEqual([`main ${COMMIT}`, `other-path ${COMMIT}`]);
  });

  it('answers the same to a wrong token and to a source that does not exist, and hints nobody', async () => {
    const hints = await start([source('main')]);
    const answers = await Promise.all([post('/git-hooks/shop/main', push, {}, 'wrong'), post('/git-hooks/shop/nobody', push)]);
    expect(answers.map(({ status }) => status)).toEqual([401, 401]);
    expect(await answers[0]?.text()).toBe(await answers[1]?.text());
    expect(hints).toEqual([]);
  });

  it('takes a redelivery once', async () => {
    const hints = await start([source('main')]);
    for (let times = 0; times < 3; times += 1) expect((await post('/git-hooks/shop/main', push, { 'x-github-delivery': 'd1' })).ok).toBe(true);
    expect(hints).toHaveLength(1);
  });

  it('answers a ping without a look at the repository', async () => {
    const hints = await start([source('main')]);
    expect((await post('/git-hooks/shop/main', {}, { 'x-github-event': 'ping' })).status).toBe(200);
    expect(hints).toEqual([]);
  });

  it('refuses bodies that are too long', async () => {
    await start([source('main')]);
    const answer = await post('/git-hooks/shop/main', { padding: 'x'.repeat(9 * 1024 * 1024) }).catch(() => ({ status: 413 }));
    expect(answer.status).toBe(413);
  });

  it('leaves every other path as it was: only GET', async () => {
    await start([source('main')]);
    expect((await post('/metrics', {})).status).toBe(405);
    expect((await fetch(`${server?.url}/healthz`)).status).toBe(200);
  });
});
