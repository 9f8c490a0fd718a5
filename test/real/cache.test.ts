import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cached, cacheFolder } from './cache.js';
import { requireTool } from './commands.js';

let cache: string;
beforeEach(async () => void (cache = await mkdtemp(path.join(tmpdir(), 'sluice-cache-'))));
afterEach(() => rm(cache, { recursive: true }));

describe('the cache of real parts', () => {
  it('prepares a part once, however many ask at the same time', async () => {
    let times = 0;
    const ask = () =>
      cached(cache, 'tool', /^1\./, async (folder) => {
        times += 1;
        await writeFile(path.join(folder, 'program'), 'content');
        return '1.2';
      });
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(Array.from({ length: 3 }, () => path.join(cache, 'tool-1.2')));
    expect(times).toBe(1);
    expect(await readFile(path.join(cache, 'tool-1.2', 'program'), 'utf8')).toBe('content');
    expect(await readdir(cache)).toEqual(['tool-1.2']);
  });

  it('leaves nothing behind when it fails, and tries again next time', async () => {
    const broken = cached(cache, 'tool', /^1\./, () => Promise.reject(new Error('no network')));
    await expect(broken).rejects.toThrow('no network');
    await expect(cached(cache, 'tool', /^1\./, async () => '2.0')).rejects.toThrow('came as version 2.0');
    expect(await readdir(cache)).toEqual([]);
    expect(await cached(cache, 'tool', /^1\./, async () => '1.0')).toBe(path.join(cache, 'tool-1.0'));
  });

  it('takes the newest version that will do', async () => {
    for (const version of ['1.9', '1.10', '2.0']) await cached(cache, 'tool', new RegExp(`^${version}$`), async () => version);
    expect(await cached(cache, 'tool', /^1\./, () => Promise.reject(new Error('not needed')))).toBe(
      path.join(cache, 'tool-1.10'),
    );
  });

  it('is not held up by the lock of a run that was killed', async () => {
    // No Linux process has this id.
    await writeFile(path.join(cache, 'tool.lock'), '99999999');
    expect(await cached(cache, 'tool', /^1\./, async () => '1.0')).toBe(path.join(cache, 'tool-1.0'));
  });

  it('lies where the environment says', () => {
    expect(cacheFolder({ SLUICE_REAL_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/sluice-real');
    expect(cacheFolder({ HOME: '/home/x' })).toBe('/home/x/.cache/sluice-real');
  });
});

it('names the tool that is missing, its purpose and the next step', async () => {
  await expect(requireTool('no-such-tool', 'kube-apiserver', 'install it')).rejects.toThrow(
    'real parts: no-such-tool is not on PATH, and kube-apiserver needs it; install it',
  );
});
