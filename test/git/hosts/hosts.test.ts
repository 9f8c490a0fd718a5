import { afterEach, describe, expect, it } from 'vitest';
import { HOSTS, type HostRepository } from '../../../src/git/hosts/index.js';
import { createHttp } from '../../../src/net/http.js';
import { standIn, type Asked, type Reply } from './stand-in.js';

const http = createHttp();
const TOKEN = 'secret-token-1234';
const COMMIT = 'c0ffee'.padEnd(40, '0');
const status = { state: 'pending', context: 'sluice/shop/reviews', description: '20 % of the traffic, step 1 of 3', link: 'https://sluice.example/shop/reviews' } as const;
const pull = { from: 'sluice/revert', into: 'main', title: 'Revert', body: '| a | b |' };

let server: Awaited<ReturnType<typeof standIn>> | undefined;
afterEach(() => server?.close());

async function at(path: string, answer: (asked: Asked) => Reply): Promise<HostRepository> {
  server = await standIn(answer);
  return { http, api: server.url, path, token: TOKEN };
}
const last = (): Asked => server?.asked.at(-1) as Asked;

describe('commit statuses', () => {
  it('GitHub: POST repos/OWNER/NAME/statuses/SHA, at most 140 characters', async () => {
    const repository = await at('shop/deploy', () => ({ status: 201 }));
    await HOSTS.github.setStatus(repository, COMMIT, { ...status, description: 'x'.repeat(200) });
    expect(last()).toMatchObject({ method: 'POST', path: `/repos/shop/deploy/statuses/${COMMIT}`, body: { state: 'pending', context: 'sluice/shop/reviews', target_url: status.link } });
    expect(last().headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(String(last().body['description'])).toHaveLength(140);
    await HOSTS.github.setStatus(repository, COMMIT, { ...status, state: 'cancelled' });
    expect(last().body['state']).toBe('error');
  });

  it('GitLab: POST projects/PATH/statuses/SHA with the groups in one segment', async () => {
    const repository = await at('group/sub/deploy', () => ({ status: 201 }));
    await HOSTS.gitlab.setStatus(repository, COMMIT, status);
    expect(last()).toMatchObject({ path: `/projects/group%2Fsub%2Fdeploy/statuses/${COMMIT}`, body: { state: 'running', name: 'sluice/shop/reviews' } });
  });

  it('GitLab: its 400 for a state that the commit has already is success, any other 400 is not', async () => {
    const answers = [
      'Cannot transition status via :run from :running (Reason(s): Status cannot transition via "run")',
      'Cannot transition status via :drop from :failed',
      'Cannot transition status via :run from :success',
    ];
    const repository = await at('shop/deploy', () => ({ status: 400, body: { message: answers.shift() } }));
    await HOSTS.gitlab.setStatus(repository, COMMIT, status);
    await HOSTS.gitlab.setStatus(repository, COMMIT, { ...status, state: 'failure' });
    await expect(HOSTS.gitlab.setStatus(repository, COMMIT, status)).rejects.toMatchObject({ retryable: false });
  });

  it('Gitea and Forgejo: POST repos/OWNER/NAME/statuses/SHA with their own token scheme', async () => {
    const repository = await at('shop/deploy', () => ({ status: 201 }));
    await HOSTS.gitea.setStatus(repository, COMMIT, { ...status, state: 'failure' });
    expect(last()).toMatchObject({ path: `/repos/shop/deploy/statuses/${COMMIT}`, body: { state: 'failure' } });
    expect(last().headers.authorization).toBe(`token ${TOKEN}`);
  });

  it('Bitbucket: a key of 40 characters and always a link', async () => {
    const repository = await at('shop/deploy', () => ({ status: 201 }));
    const { link: _link, ...without } = status;
    await HOSTS.bitbucket.setStatus(repository, COMMIT, { ...without, state: 'success', context: `sluice/${'x'.repeat(60)}/reviews` });
    expect(last()).toMatchObject({ path: `/repositories/shop/deploy/commit/${COMMIT}/statuses/build`, body: { state: 'SUCCESSFUL', url: `https://bitbucket.org/shop/deploy/commits/${COMMIT}` } });
    expect(String(last().body['key'])).toHaveLength(40);
    await HOSTS.bitbucket.setStatus({ ...repository, username: 'ada' }, COMMIT, status);
    expect(last().headers.authorization).toBe(`Basic ${Buffer.from(`ada:${TOKEN}`).toString('base64')}`);
  });

  it('Azure DevOps: genre and name, and basic authentication', async () => {
    const repository = await at('org/my project/_git/deploy', () => ({ status: 201 }));
    await HOSTS.azure.setStatus(repository, COMMIT, { ...status, state: 'success' });
    expect(last()).toMatchObject({
      path: `/org/my%20project/_apis/git/repositories/deploy/commits/${COMMIT}/statuses`,
      body: { state: 'succeeded', context: { genre: 'sluice', name: 'shop/reviews' }, targetUrl: status.link },
    });
    expect(last().query.get('api-version')).toBe('7.1');
    expect(last().headers.authorization).toBe(`Basic ${Buffer.from(`:${TOKEN}`).toString('base64')}`);
  });
});

describe('refusals', () => {
  it.each([
    ['Retry-After in seconds', 429, { 'retry-after': '7' }, 7_000],
    ["GitHub's secondary limit", 403, { 'retry-after': '60' }, 60_000],
  ])('%s is waited for', async (_, code, headers, retryAfterMs) => {
    const repository = await at('shop/deploy', () => ({ status: code, headers }));
    await expect(HOSTS.github.setStatus(repository, COMMIT, status)).rejects.toMatchObject({ retryable: true, retryAfterMs });
  });

  it("GitHub's primary limit is waited for until it is reset", async () => {
    const reset = Math.floor(Date.now() / 1000) + 90;
    const repository = await at('shop/deploy', () => ({ status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) } }));
    const error: unknown = await HOSTS.github.setStatus(repository, COMMIT, status).catch((failure: unknown) => failure);
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(80_000);
  });

  it('a token that is repeated in the answer does not get into the message', async () => {
    const repository = await at('shop/deploy', () => ({ status: 401, body: { message: `bad token ${TOKEN}` } }));
    const error: unknown = await HOSTS.gitea.setStatus(repository, COMMIT, status).catch((failure: unknown) => failure);
    expect(String(error)).toContain('***');
    expect(String(error)).not.toContain(TOKEN);
  });

  it('a repository that is not there is final, a broken server is not', async () => {
    const codes = [404, 502];
    const repository = await at('shop/deploy', () => ({ status: codes.shift() ?? 500, body: { message: 'Not Found' } }));
    await expect(HOSTS.github.setStatus(repository, COMMIT, status)).rejects.toMatchObject({ retryable: false });
    await expect(HOSTS.github.setStatus(repository, COMMIT, status)).rejects.toMatchObject({ retryable: true });
  });
});

describe('pull requests', () => {
  it.each([
    ['github', 'shop/deploy', 422, { message: 'Validation Failed', errors: [{ message: 'A pull request already exists for shop:sluice/revert.' }] }, { html_url: 'URL' }, [{ html_url: 'URL' }]],
    ['gitlab', 'shop/deploy', 409, { message: ['Another open merge request already exists for this source branch: !3'] }, { web_url: 'URL' }, [{ web_url: 'URL' }]],
    ['gitea', 'shop/deploy', 409, { message: 'pull request already exists' }, { html_url: 'URL' }, [{ html_url: 'OTHER', head: { ref: 'x' }, base: { ref: 'main' } }, { html_url: 'URL', head: { ref: pull.from }, base: { ref: 'main' } }]],
  ] as const)('%s: opens one, and finds the one that is open', async (type, path, conflict, refusal, made, listed) => {
    let exists = false;
    const repository = await at(path, ({ method }) => {
      if (method === 'GET') return { status: 200, body: listed };
      if (exists) return { status: conflict, body: refusal };
      exists = true;
      return { status: 201, body: made };
    });
    expect(await HOSTS[type].openPullRequest(repository, pull)).toBe('URL');
    expect(await HOSTS[type].openPullRequest(repository, pull)).toBe('URL');
  });

  it('bitbucket: looks for an open one first, because it would open a second', async () => {
    const made = { links: { html: { href: 'URL' } } };
    let open: unknown[] = [];
    const repository = await at('shop/deploy', ({ method }) => {
      if (method === 'GET') return { status: 200, body: { values: open } };
      open = [made];
      return { status: 201, body: made };
    });
    expect(await HOSTS.bitbucket.openPullRequest(repository, pull)).toBe('URL');
    expect(await HOSTS.bitbucket.openPullRequest(repository, pull)).toBe('URL');
    expect(server?.asked.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  it('azure: the address is made of the number', async () => {
    const repository = await at('org/project/deploy', () => ({ status: 201, body: { pullRequestId: 7 } }));
    expect(await HOSTS.azure.openPullRequest(repository, pull)).toBe(`${repository.api}/org/project/_git/deploy/pullrequest/7`);
    expect(last().body).toMatchObject({ sourceRefName: 'refs/heads/sluice/revert', targetRefName: 'refs/heads/main' });
  });
});
