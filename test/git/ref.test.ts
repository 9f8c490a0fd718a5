import { afterEach, describe, expect, it } from 'vitest';
import { parseRef, remotePatterns, resolveRef } from '../../src/git/ref.js';
import { backedOff } from '../../src/git/schedule.js';
import { parseRemoteUrl } from '../../src/git/url.js';
import { configMap, until, World } from './world.js';

const sha = (digit: string): string => digit.repeat(40);
const listing = [
  'ref: refs/heads/trunk\tHEAD',
  `${sha('1')}\tHEAD`,
  `${sha('1')}\trefs/heads/trunk`,
  `${sha('2')}\trefs/heads/x/refs/heads/main`,
  `${sha('a')}\trefs/tags/v1.2.0`,
  `${sha('b')}\trefs/tags/v1.2.0^{}`,
  `${sha('c')}\trefs/tags/1.10.1`,
  `${sha('d')}\trefs/tags/v2.0.0-rc.1`,
  `${sha('e')}\trefs/tags/nightly`,
].join('\n');
const resolve = (ref: Parameters<typeof parseRef>[0]) => {
  const parsed = parseRef(ref);
  return parsed.kind === 'commit' ? undefined : resolveRef(parsed, listing);
};

describe('a reference', () => {
  it('is the exact branch, the commit of a tag, or the newest version in the range', () => {
    expect(resolve({ branch: 'trunk' })).toEqual({ refName: 'refs/heads/trunk', commit: sha('1') });
    expect(resolve({ tag: 'v1.2.0' })).toEqual({ refName: 'refs/tags/v1.2.0', commit: sha('b') });
    expect(resolve({ semver: '>=1.0.0' })).toEqual({ refName: 'refs/tags/1.10.1', commit: sha('c') });
    expect(resolve({ semver: '>=2.0.0-0' })).toEqual({ refName: 'refs/tags/v2.0.0-rc.1', commit: sha('d') });
  });

  it('that is missing is named, with the default branch', () => {
    expect(() => resolve({ branch: 'main' })).toThrow(/no branch "main".*"trunk"/);
    expect(() => resolve({ semver: '>=3' })).toThrow(/no version ">=3"/);
  });

  it('is main when nothing is said, and cannot be two things', () => {
    expect(remotePatterns(parseRef({}))).toContain('refs/heads/main');
    expect(() => parseRef({ branch: 'a', tag: 'b' })).toThrow(/spec\.ref has branch and tag/);
  });

  it.each(['-x', 'a b', 'a..b', 'a^b', 'a:b', 'a*', 'a\\b', 'a.lock', 'a/.b', '/a', 'a/', 'a//b', 'a@{1}', '@', 'a\nb'])(
    'cannot be called %j',
    (branch) => {
      expect(() => parseRef({ branch })).toThrow(/spec\.ref\.branch/);
    },
  );
});

describe('an address', () => {
  it.each([
    [
      'https://bot@git.example.com:8443/a/b.git',
      {
        protocol: 'https',
        text: 'https://git.example.com:8443/a/b.git',
        origin: 'https://git.example.com:8443',
        username: 'bot',
      },
    ],
    ['ssh://git@git.example.com:2222/a.git', { protocol: 'ssh', host: 'git.example.com' }],
    ['git@git.example.com:a/b.git', { protocol: 'ssh', host: 'git.example.com' }],
    ['file:///srv/a.git', { protocol: 'file', host: '' }],
  ])('may be %s', (text, expected) => expect(parseRemoteUrl(text)).toMatchObject(expected));

  it.each([
    'ext::sh -c id',
    'fd::17',
    '-u',
    '--upload-pack=x',
    'ssh://-oProxyCommand=x/y',
    'git@-oProxyCommand:x',
    'git@host:-x',
    'git://host/x',
    '/srv/a.git',
    'file://host/x',
    'https://',
    'https://a b/',
    'https://host/%shop.git',
    'https://%zz@host/shop.git',
    'ssh://%2doProxyCommand=x@host/y',
  ])('may not be %j', (text) => {
    expect(() => parseRemoteUrl(text)).toThrow(/^spec\.url/);
  });
});

it('waits twice as long after each failure, up to ten intervals and five minutes', () => {
  expect([0, 1, 2, 3, 4, 20].map((failures) => backedOff(1_000, failures))).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  expect(backedOff(60_000, 9)).toBe(300_000);
  expect(backedOff(3_600_000, 9)).toBe(3_600_000);
});

describe('a source that follows one commit', () => {
  let world: World;
  afterEach(() => world.destroy());

  it('gets that one, whatever the branches say, and then asks the repository for nothing', async () => {
    world = await World.create();
    const pinned = await world.commit({ 'deploy/a.yaml': configMap('a', 'old') });
    await world.commit({ 'deploy/a.yaml': configMap('a', 'new') });
    world.source({ ref: { commit: pinned } });
    await world.start();
    await world.applied(pinned);
    expect(world.cluster.get('ConfigMap', 'a')?.data).toEqual({ value: 'old' });
    world.source({ ref: { commit: sha('0') } });
    await until(
      () => world.condition()?.reason === 'RefNotFound',
      () => `RefNotFound, not ${JSON.stringify(world.condition())}`,
    );
    expect(world.cluster.source().status?.appliedCommit).toBe(pinned);
  });
});

describe('a source that follows tags', () => {
  let world: World;
  afterEach(() => world.destroy());

  it('gets the newest version in its range when one is pushed, and no older one', async () => {
    world = await World.create();
    const tagged = async (tag: string): Promise<string> => {
      const commit = await world.commit({ 'deploy/a.yaml': configMap('a', tag) });
      await world.git('update-ref', `refs/tags/${tag}`, commit);
      return commit;
    };
    const first = await tagged('v1.2.0');
    world.source({ ref: { semver: '^1.0.0' } });
    await world.start();
    await world.applied(first);
    await tagged('v2.0.0');
    await tagged('v1.1.9');
    await world.applied(await tagged('v1.10.0'));
    expect(world.cluster.get('ConfigMap', 'a')?.['data']).toEqual({ value: 'v1.10.0' });
  });
});

describe('a branch that is deleted', () => {
  let world: World;
  afterEach(() => world.destroy());

  it('is said, what was applied stays, and it goes on when the branch is back', async () => {
    world = await World.create();
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.git('update-ref', '-d', 'refs/heads/main');
    expect(await world.reason('RefNotFound')).toContain('branch "main"');
    expect(world.condition('Stalled')?.status).toBe('True');
    expect(world.cluster.get('ConfigMap', 'a')).toBeDefined();
    await world.applied(await world.commit({ 'deploy/a.yaml': configMap('a', 'b') }));
  });
});
