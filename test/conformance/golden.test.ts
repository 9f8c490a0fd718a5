import { readFile } from 'node:fs/promises';
import { expect, it, describe } from 'vitest';
import { startApiServer } from '../../src/sandbox/apiserver/index.js';
import { judge } from './compare.js';
import { differences } from './differences.js';
import { recordedAnswers, recordedCrds } from './golden.js';
import { installCrds } from './install.js';
import { play } from './play.js';
import { subjects } from './requests/index.js';
import { gadgetCrd, widgetCrd } from './widgets.js';

const scenarios = Object.values(subjects).flat();
const names = scenarios.flatMap(({ steps }) => steps.map(({ name }) => name));

describe('the embedded API', () => {
  it('answers like the recorded kube-apiserver, but for what is listed', { timeout: 120_000 }, async () => {
    const failures: unknown[] = [];
    // Every look at the clock is a second later: no answer may hang on whether a second has passed.
    let seconds = 0;
    const now = (): Date => new Date(Date.now() + 1000 * seconds++);
    const server = await startApiServer({ now, logger: { error: (fields) => failures.push(fields) } });
    try {
      await installCrds(server, [...(await recordedCrds()), widgetCrd, gadgetCrd]);
      const { unlisted, stale } = judge(await recordedAnswers(), await play(server, scenarios), differences);
      expect(failures).toEqual([]);
      expect(unlisted, 'differences that are not in test/conformance/differences.ts').toEqual([]);
      expect(stale, 'differences in test/conformance/differences.ts that are none any more').toEqual([]);
    } finally {
      await server.stop();
    }
  });

  it('tells every difference and its reason in docs/embedded-api.md', async () => {
    const page = await readFile(new URL('../../docs/embedded-api.md', import.meta.url), 'utf8');
    for (const { reason } of differences) expect(page).toContain(reason);
  });
});

describe('the list of requests', () => {
  it('has at least 300 requests, each with a name of its own', () => {
    expect(new Set(names).size).toBe(names.length);
    expect(scenarios.flatMap(({ steps }) => steps.filter((step) => 'call' in step)).length).toBeGreaterThanOrEqual(300);
  });

  it('names only requests that exist in the list of differences', () => {
    const named = differences.flatMap(({ requests }) => (requests === 'any' ? [] : requests));
    expect(named.filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('the comparison', () => {
  const answer = (body: unknown) => ({ status: 200, headers: {}, body });
  it('fails on a difference that is not listed, and on a listed one that is none', () => {
    const real = { a: answer({ colour: 'red', size: 1 }), b: answer({}) };
    const embedded = { a: answer({ colour: 'blue', size: 1 }), b: answer({}) };
    const listed = { requests: ['a'], at: ['body/colour'], reason: 'paint' };
    expect(judge(real, embedded, [])).toMatchObject({ unlisted: ['a: body/colour: real "red", embedded "blue"'], agreements: 1 });
    expect(judge(real, embedded, [listed])).toMatchObject({ unlisted: [], stale: [] });
    expect(judge(real, real, [listed])).toMatchObject({ stale: ['a: body/colour (paint)'], agreements: 2 });
    expect(judge(real, { a: real.a }, []).unlisted).toEqual([expect.stringMatching(/^b: /)]);
  });
});
