import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configMap, World } from './world.js';

let world: World;
beforeEach(async () => {
  world = await World.create();
});
afterEach(() => world.destroy());

const MIB = 1024 * 1024;
/** Each line nine times the one before it: a billion values in a few hundred bytes. */
const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]', ...'bcdefghij'.split('').map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[index]}`).join(', ')}]`)].join('\n');
const aliased = `${configMap('aliased').replace('value: "a"', `value: &big "${'x'.repeat(MIB)}"`)}${Array.from({ length: 90 }, (_, index) => `  k${index}: *big\n`).join('')}`;

const harmful: [what: string, text: string, words: RegExp][] = [
  ['10 MB in one manifest', `${configMap('large')}  more: "${'x'.repeat(10 * MIB)}"\n`, /deploy\/bad\.yaml has \d+ bytes; at most 5242880 are read of one file/],
  ['a billion aliases', bomb, /deploy\/bad\.yaml:1 cannot be read: Excessive alias count/],
  ['90 aliases of 1 MB', aliased, /deploy\/bad\.yaml:1 has more than 10485760 characters with its aliases filled in/],
  ['lists in lists, 100,000 deep', `a: ${'['.repeat(100_000)}${']'.repeat(100_000)}\n`, /deploy\/bad\.yaml.* (is not YAML|has about)/],
  ['a million fields', `a:\n${'  - {}\n'.repeat(500_000)}`, /deploy\/bad\.yaml:1 has about \d+ lines, items and fields/],
];

describe('a repository with', () => {
  it.each(harmful)('%s: it is refused by its name, every other object is applied, and memory stays bounded', async (_, text, words) => {
    await world.commit({ 'deploy/bad.yaml': text, 'deploy/good.yaml': configMap('good') });
    const before = process.memoryUsage().heapUsed;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().heapUsed - before)), 20);
    try {
      world.source();
      await world.start();
      expect(await world.reason('InvalidManifest')).toMatch(words);
    } finally {
      clearInterval(watch);
    }
    expect(world.cluster.get('ConfigMap', 'good')).toBeDefined();
    expect(world.cluster.source().status?.failures).toHaveLength(1);
    expect(most).toBeLessThan(300 * MIB);
  });

  it('20 manifests of nearly 1 MB is refused as a whole, with the largest by its name', async () => {
    const first = await world.commit({ 'deploy/good.yaml': configMap('good') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.commit(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`deploy/${index}.yaml`, `${configMap(`part-${index}`)}  more: "${'x'.repeat(900_000 + index)}"\n`])));
    expect(await world.reason('InvalidManifest')).toMatch(/below spec\.path have \d+ bytes, of which deploy\/19\.yaml has \d+; at most 10485760 are read/);
    expect(world.cluster.get('ConfigMap', 'good')).toBeDefined();
    expect(world.cluster.get('ConfigMap', 'part-0')).toBeUndefined();
  });
});
