import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Annotations } from '../../src/api/index.js';
import { startSchedule } from '../../src/git/schedule.js';
import { watchGit } from './programs.js';
import { configMap, until, World } from './world.js';

const MANY = 60;
/** As many as the controller's fetches may be at once. */
const AT_ONCE = 4;
let world: World;
let skew = 0;
beforeEach(async () => {
  skew = 0;
  world = await World.create({ now: () => Date.now() + skew });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  await world.destroy();
});
const value = (name: string): unknown => (world.cluster.get('ConfigMap', name)?.['data'] as { value?: string } | undefined)?.value;

describe('a disk that is full', () => {
  it('is said, what runs stays, and the newest commit comes when there is room again', async () => {
    const git = await watchGit(world.dir);
    await world.commit({ 'deploy/a.yaml': configMap('a', 'old') });
    world.source();
    await world.start();
    await world.reason('Synced');
    await git.before('case "$1" in fetch) echo "fatal: write error: No space left on device" >&2; exit 128;; esac');
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a', 'new') });
    expect(await world.reason('StorageFull')).toContain('make room in the data directory');
    expect(world.condition('Stalled')?.status).toBe('False');
    expect(value('a')).toBe('old');
    await git.before('');
    await world.applied(sha);
    expect(value('a')).toBe('new');
  });
});

describe('a controller that is killed in the middle of a clone', () => {
  it('leaves nothing behind that its successor stumbles over, and no secrets', async () => {
    const first = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.stop();
    const folder = join(world.data, 'git', 'repositories');
    const [copy = ''] = await readdir(folder);
    // What a fetch and a new clone that died leave, and the secrets of the conversation.
    for (const left of ['shallow.lock', 'HEAD.lock', 'packed-refs.lock', 'objects/pack/tmp_pack_x1']) await writeFile(join(folder, copy, left), 'half');
    await mkdir(join(folder, 'new-half'));
    await mkdir(join(world.data, 'git', 'homes', 'home-x'), { recursive: true });
    await writeFile(join(world.data, 'git', 'homes', 'home-x', 'credential'), 'password=secret');
    const second = await world.commit({ 'deploy/a.yaml': configMap('a', 'b') });
    await world.start();
    await world.applied(second);
    expect(await readdir(folder)).toEqual([copy]);
    expect((await readdir(join(world.data, 'git', 'homes'))).includes('home-x')).toBe(false);
  });

  it('by a signal goes on where Git was killed', async () => {
    const git = await watchGit(world.dir);
    await git.before(`case "$1" in fetch) test -e '${world.dir}/killed' || { touch '${world.dir}/killed'; kill -9 $$; };; esac`);
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source();
    await world.start();
    await world.applied(sha);
  });
});

describe('what somebody changed by hand', () => {
  it('is put right without a commit', async () => {
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a', 'git') });
    world.source();
    await world.start();
    await world.applied(sha);
    const live = world.cluster.get('ConfigMap', 'a');
    world.cluster.put({ ...live, data: { value: 'hand' } } as never);
    skew = 60_000;
    await until(
      () => value('a') === 'git',
      () => `the value of Git, but it is ${JSON.stringify(value('a'))}`,
    );
  });

  it('is put right at once when somebody asks for a sync', async () => {
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a', 'git') });
    world.source({ interval: '1h' });
    await world.start();
    await world.applied(sha);
    world.cluster.remove('ConfigMap', 'a');
    const source = world.cluster.source();
    world.cluster.put({ ...source, metadata: { ...source.metadata, annotations: { [Annotations.syncRequested]: 'now' } } });
    await until(
      () => value('a') === 'git',
      () => 'the object again',
    );
  });
});

describe('a source that is suspended', () => {
  it('asks the repository for nothing and keeps what runs; resumed, it gets the newest commit', async () => {
    const git = await watchGit(world.dir);
    const first = await world.commit({ 'deploy/a.yaml': configMap('a', 'one') });
    world.source();
    await world.start();
    await world.applied(first);
    world.source({ suspend: true });
    await until(
      () => world.condition('Reconciling')?.reason === 'Suspended',
      () => `Suspended, but it is ${JSON.stringify(world.condition('Reconciling'))}`,
    );
    const before = (await git.calls()).filter((call) => call.startsWith('ls-remote')).length;
    const second = await world.commit({ 'deploy/a.yaml': configMap('a', 'two') });
    world.look();
    world.source({ suspend: true, prune: false });
    await until(
      () => world.cluster.source().status?.observedGeneration === world.cluster.source().metadata.generation,
      () => 'the change of the spec seen',
    );
    expect((await git.calls()).filter((call) => call.startsWith('ls-remote'))).toHaveLength(before);
    expect(value('a')).toBe('one');
    expect(world.condition('Ready')?.status).toBe('True');
    world.source();
    await world.applied(second);
  });
});

describe('many sources of one repository', () => {
  it('fetch a commit once, and only ask which it is while nothing changes', async () => {
    const sha = await world.commit(Object.fromEntries(Array.from({ length: MANY }, (_, index) => [`deploy/${index}/a.yaml`, configMap(`a${index}`)])));
    const git = await watchGit(world.dir);
    for (let index = 0; index < MANY; index += 1) world.source({ path: `deploy/${index}`, interval: '1h' }, `s${index}`);
    await world.start();
    for (let index = 0; index < MANY; index += 1) await world.applied(sha, `s${index}`);
    const first = await git.calls();
    expect(first.filter((call) => call.startsWith('fetch'))).toHaveLength(1);
    for (let index = 0; index < MANY; index += 1) world.look(`s${index}`);
    let now = first;
    await vi.waitFor(async () => {
      now = await git.calls();
      expect(now.filter((call) => call.startsWith('ls-remote')).length).toBeGreaterThanOrEqual(2 * MANY);
    }, 60_000);
    expect(now.slice(first.length).filter((call) => !call.startsWith('ls-remote'))).toEqual([]);
  });
});

describe('many sources of many repositories', () => {
  it('are asked a few at a time', async () => {
    const sha = await world.commit({ 'deploy/a.yaml': configMap('a') });
    const [running, counts] = [join(world.dir, 'running'), join(world.dir, 'counts')];
    await mkdir(running);
    const git = await watchGit(world.dir);
    await git.before(`case "$1" in ls-remote|fetch) : > '${running}'/$$; sleep 0.2; ls '${running}' | wc -l >> '${counts}'; rm '${running}'/$$;; esac`);
    for (let index = 0; index < 24; index += 1) {
      // Another address is another repository, wherever it leads.
      const link = join(world.dir, `r${index}.git`);
      await symlink(world.repository, link);
      world.source({ url: `file://${link}`, interval: '1h' }, `s${index}`);
    }
    await world.start();
    for (let index = 0; index < 24; index += 1) await world.applied(sha, `s${index}`);
    const most = Math.max(...(await readFile(counts, 'utf8')).trim().split('\n').map(Number));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(AT_ONCE);
  });
});

describe('spec.schedule', () => {
  it('looks at the times of the cron expression, in its time zone', async () => {
    vi.useFakeTimers({ now: new Date('2026-03-01T07:58:30Z') });
    const times: string[] = [];
    const stop = startSchedule('0,30 9 * * *', 'Europe/Berlin', () => times.push(new Date().toISOString().slice(11, 16)));
    await vi.advanceTimersByTimeAsync(3 * 3_600_000);
    stop();
    await vi.advanceTimersByTimeAsync(24 * 3_600_000);
    expect(times).toEqual(['08:00', '08:30']);
  });

  it.each([
    ['* * * *', 'UTC', 'has not five fields'],
    ['61 * * * *', 'UTC', 'minute'],
    ['0 0 30 2 *', 'UTC', 'impossible day of month'],
    ['0 0 * * *', 'Mars/Olympus', 'is no time zone'],
  ])('%s in %s is refused by its name', async (schedule, timeZone, words) => {
    await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.source({ schedule, timeZone });
    await world.start();
    expect(await world.reason('InvalidSchedule')).toContain(words);
  });
});
