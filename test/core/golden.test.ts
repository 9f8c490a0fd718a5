import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { spec } from './builders.js';
import { World } from './world.js';

const FILE = new URL('./testdata/timelines.txt', import.meta.url);

/** Everything that happens from the first sight of the target until nothing moves any more, as seconds and lines. */
function timeline(title: string, story: (world: World) => void): string {
  const world = new World({ spec: spec() });
  world.versions.set('bad', { startup: 2_000, errors: 7, latency: 20 });
  world.pass(30_000);
  world.auditor.timeline.length = 0;
  story(world);
  world.pass(200_000);
  const endings = (world.status.history ?? []).map((entry) => `${entry.revision} ${entry.result} (${entry.reason}): ${entry.message}`).reverse();
  return [`# ${title}`, '', ...world.auditor.timeline.map((line) => line.trimEnd()), '', ...endings, ''].join('\n');
}

/** UPDATE_GOLDEN=1 writes them anew, for review in the diff. */
it('releases go as the timelines say that a reader may check', () => {
  const text = [
    timeline('Promoted', (world) => world.commit('b2')),
    timeline('Taken back: 7 % of its requests fail', (world) => world.commit('bad')),
    timeline('Superseded by a second commit', (world) => {
      world.commit('b2');
      world.pass(10_000);
      world.commit('c3');
    }),
    timeline('Cancelled: Git goes back to what serves', (world) => {
      world.commit('b2');
      world.pass(10_000);
      world.commit('a1');
    }),
  ].join('\n');
  if (process.env['UPDATE_GOLDEN']) {
    mkdirSync(new URL('.', FILE), { recursive: true });
    writeFileSync(FILE, text);
  }
  if (!existsSync(FILE)) throw new Error('test/core/testdata/timelines.txt does not exist; run the test with UPDATE_GOLDEN=1 and read what it wrote');
  expect(text).toBe(readFileSync(FILE, 'utf8'));
});
