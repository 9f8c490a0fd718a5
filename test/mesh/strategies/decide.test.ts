/** What a run asks of the routes, strategy by strategy; the router's own tests show what it makes of that. */
import { describe, expect, it } from 'vitest';
import type { CanarySpec } from '../../../src/api/index.js';
import type { RouteExtras } from '../../../src/core/evidence.js';
import { compilePlan, stepWords } from '../../../src/core/plan.js';
import { shareBounds } from '../../../src/core/share.js';
import { badMetrics, blue, goodMetrics, Situation, slotWith, spec } from '../../core/builders.js';

type Analysis = Partial<CanarySpec['analysis']>;

const jason = [{ headers: { 'end-user': { exact: 'jason' } } }];

/** A Canary with this analysis; revision b2 is wanted and its pods are ready. */
function releasing(analysis: Analysis): Situation {
  const base = spec();
  const { stepWeights: _, ...rest } = base.analysis;
  const situation = new Situation({ ...base, analysis: { ...rest, ...analysis } });
  return situation.wants('b2').green(slotWith('b2', 2));
}

/** The routes become what was last written. */
function obeyed(situation: Situation): Situation {
  const written = situation.effects('setWeights').at(-1);
  if (written) situation.observed.routes = { weights: written.weights, consistent: true, ...(written.extras ? { extras: written.extras } : {}) };
  return situation;
}
/** Decide, with the routes as they were written, after so many seconds. */
const after = (situation: Situation, seconds: number): Situation => obeyed(situation.later(seconds).decide());
const written = (situation: Situation): RouteExtras | undefined => situation.effects('setWeights').at(-1)?.extras;

describe('an A/B test', () => {
  const start = (): Situation => obeyed(releasing({ iterations: 3, match: jason }).decide());

  it('leads the matching requests to the canary while the weights stay', () => {
    const situation = start();
    expect(situation.written).toEqual(blue(100));
    expect(written(situation)).toEqual({ slot: 'green', match: { when: jason, weight: 100 } });
    expect(situation.status.canaryWeight).toBe(0);
  });

  it('needs as many passed checks as iterations, then gives everybody the new version', () => {
    const situation = start();
    after(situation, 10);
    expect([situation.status.iterations, situation.status.phase]).toEqual([1, 'Progressing']);
    expect(situation.progress.message).toContain('100 % of the requests with end-user: jason, step 1 of 1, 1 of 3 checks passed');
    after(situation, 10);
    expect(situation.effects('setWeights')).toEqual([]);
    situation.later(10).decide();
    expect(situation.written).toEqual(blue(0));
    expect(written(situation)).toBeUndefined();
  });

  it('does not count a failed check as an iteration', () => {
    const situation = start();
    situation.metrics = badMetrics;
    after(situation, 10);
    situation.metrics = goodMetrics;
    for (const passed of [1, 2]) expect(after(situation, 10).status.iterations).toBe(passed);
    expect(situation.status.phase).toBe('Progressing');
    situation.later(10).decide();
    expect(situation.written).toEqual(blue(0));
  });

  it('takes the rule away when the run fails, and closes only then', () => {
    const situation = start();
    situation.metrics = badMetrics;
    after(situation, 10);
    situation.later(10).decide();
    expect(situation.written).toEqual(blue(100));
    expect(written(situation)).toBeUndefined();
    expect(situation.status.run?.ending?.reason).toBe('ChecksFailed');
    obeyed(situation).selects('blue').decide();
    expect(situation.ended).toBe('Failed ChecksFailed');
  });

  it('takes the rule away when the Canary is deleted', () => {
    const situation = start();
    situation.observed.deleting = true;
    situation.decide();
    expect(situation.written).toEqual(blue(100));
    expect(written(situation)).toBeUndefined();
  });

  it('puts the rule back, and starts its clock again, when somebody removes it', () => {
    const situation = start();
    after(situation, 10);
    situation.observed.routes = { weights: blue(100), consistent: true };
    situation.later(5).decide();
    expect(written(situation)?.match).toEqual({ when: jason, weight: 100 });
    expect(situation.status.iterations).toBe(0);
  });

  it('removes a rule that outlived its run', () => {
    const situation = new Situation(releasing({ iterations: 3, match: jason }).spec);
    situation.observed.routes = { weights: blue(100), consistent: true, extras: { slot: 'green', match: { when: jason, weight: 100 } } };
    situation.decide();
    expect(situation.effects('setWeights')).toEqual([{ type: 'setWeights', weights: blue(100) }]);
  });

  it('waits for as many pods as all requests would need: nobody knows how many match', () => {
    const situation = releasing({ iterations: 3, match: jason, canaryReadyThreshold: 50 }).green(slotWith('b2', 2, 1)).decide();
    expect(situation.effects('setWeights')).toEqual([]);
    expect(situation.progress).toMatchObject({ reason: 'ScalingUp', message: expect.stringContaining('that the matching requests may need') as string });
  });

  it('takes the canary back when its last pod goes, though its weight is 0', () => {
    const situation = start().green(slotWith('b2', 2, 0)).decide();
    expect(situation.status.run?.ending?.reason).toBe('PodsFailing');
  });

  it('keeps the pods of the canary until nothing matches any more and the drain has passed', () => {
    const situation = start();
    situation.metrics = badMetrics;
    after(situation, 10);
    situation.later(10).decide();
    situation.observed.routes = { weights: blue(100), consistent: false, reaches: ['blue', 'green'] };
    situation.later(60).decide();
    expect(situation.effects('scaleSlot')).toEqual([]);
  });
});

describe('blue/green', () => {
  it('sends nobody to the new version until all iterations passed, then everybody at once', () => {
    const situation = obeyed(releasing({ iterations: 2 }).decide());
    expect(situation.written).toBeUndefined();
    after(situation, 10);
    expect(situation.written).toBeUndefined();
    after(situation, 10);
    expect(situation.written).toEqual(blue(0));
    expect(situation.status.phase).toBe('Progressing');
  });

  it('looks at the new version once more before the switch is final, and goes back in one write', () => {
    const situation = obeyed(releasing({ iterations: 1, threshold: 1 }).decide());
    after(situation, 10);
    expect(situation.observed.routes.weights).toEqual(blue(0));
    situation.metrics = badMetrics;
    after(situation, 10);
    expect(situation.written).toEqual(blue(100));
    expect(situation.effects('fillSlot')).toEqual([]);
    expect(situation.effects('scaleSlot')).toEqual([]);
  });

  it('says what to do when nobody sends anything that could be judged', () => {
    const situation = obeyed(releasing({ iterations: 1 }).decide());
    situation.answers({ kind: 'NoData', query: 'q', message: 'no requests were seen' });
    after(situation, 10);
    expect(situation.progress).toMatchObject({ reason: 'NotEnoughData', message: expect.stringContaining('mirror some (analysis.mirror)') as string });
    expect(situation.asked.metrics[0]).toMatchObject({ reporter: 'destination' });
  });
});

describe('mirroring', () => {
  it('comes before the first weight and is judged on what the canary counted', () => {
    const situation = obeyed(releasing({ stepWeights: [20], mirror: true, mirrorWeight: 30 }).decide());
    expect(written(situation)).toEqual({ slot: 'green', mirror: 30 });
    expect(situation.observed.routes.weights).toEqual(blue(100));
    after(situation, 10);
    expect(situation.asked.metrics[0]).toMatchObject({ reporter: 'destination' });
    expect(situation.observed.routes).toEqual({ weights: blue(80), consistent: true });
    after(situation, 10);
    expect(situation.asked.metrics[0]).not.toHaveProperty('reporter');
  });

  it('ends even where traffic cannot leave the canary', () => {
    const situation = obeyed(releasing({ steps: [{ weight: 20, mirror: 50 }], threshold: 1 }).decide());
    situation.metrics = badMetrics;
    situation.blue(slotWith('a1', 2, 0)).later(10);
    situation.act('abort').decide();
    expect(situation.effects('setWeights')).toEqual([{ type: 'setWeights', weights: blue(80) }]);
  });
});

describe('explicit steps', () => {
  const fault = { host: 'ratings', delay: { fixedDelay: '7s' } };
  const steps: Analysis['steps'] = [{ weight: 0, mirror: 50 }, { weight: 0, match: jason }, { weight: 0, fault, match: jason }, { weight: 20, replicas: '50%', approve: true }];

  it('come in their order, each with what it adds and nothing of the one before', () => {
    const situation = obeyed(releasing({ steps }).decide());
    const seen = [written(situation)];
    for (let i = 0; i < 3; i += 1) seen.push(written(after(situation, 10)));
    expect(seen).toEqual([
      { slot: 'green', mirror: 50 },
      { slot: 'green', match: { when: jason, weight: 100 } },
      { slot: 'green', match: { when: jason, weight: 100 }, fault },
      undefined,
    ]);
    expect(situation.observed.routes.weights).toEqual(blue(80));
  });

  it('go on where they were when the plan is edited meanwhile', () => {
    const situation = obeyed(releasing({ steps }).decide());
    after(situation, 10);
    situation.spec = { ...situation.spec, analysis: { ...situation.spec.analysis, steps: [{ weight: 0, mirror: 10 }, ...steps.slice(0, 2), { weight: 60 }] } };
    after(situation, 10);
    expect(situation.observed.routes).toEqual({ weights: blue(40), consistent: true });
  });

  it('ask for an approval of the step, not of its weight', () => {
    const approved: Analysis['steps'] = [{ weight: 0, mirror: 50, approve: true }, { weight: 0, match: jason, approve: true }];
    const situation = obeyed(releasing({ steps: approved }).decide());
    after(situation, 10);
    expect(situation.progress.reason).toBe('WaitingForApproval');
    situation.act('approve');
    after(situation, 1);
    expect(written(situation)?.match).toBeDefined();
    situation.observed.actions = [];
    after(situation, 10);
    expect(situation.progress.reason).toBe('WaitingForApproval');
  });

  it('have the pods that they ask for, never fewer than the weight needs, and all of them at the end', () => {
    const base = releasing({ steps: [{ weight: 10, replicas: '10%' }, { weight: 30, replicas: 2 }] });
    const situation = new Situation({ ...base.spec, replicas: 10 }).wants('b2').blue(slotWith('a1', 10)).decide();
    expect(situation.effects('fillSlot')).toMatchObject([{ slot: 'green', replicas: 1 }]);
    obeyed(situation.green(slotWith('b2', 1)).decide());
    situation.later(10).decide();
    expect(situation.effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 3 }]);
    expect(situation.written).toBeUndefined();
    obeyed(situation.green(slotWith('b2', 3)).decide());
    expect(situation.observed.routes.weights).toEqual(blue(70));
    situation.later(10).decide();
    expect(situation.effects('scaleSlot')).toMatchObject([{ slot: 'green', replicas: 10 }]);
    situation.green(slotWith('b2', 10)).decide();
    expect(situation.written).toEqual(blue(0));
  });
});

describe('session affinity', () => {
  const sessionAffinity = { cookieName: 'v', maxAge: 60, path: '/', secure: true };
  const cookies = (situation: Situation) => written(situation)?.affinity;

  it('gives the users of a run a cookie of that run, with the attributes asked for', () => {
    const situation = obeyed(releasing({ stepWeights: [20, 50], sessionAffinity: { ...sessionAffinity, primaryCookieName: 'w' } }).decide());
    const first = cookies(situation);
    expect(first).toEqual({
      canary: { name: 'v', value: expect.stringMatching(/^[0-9a-f]{10}$/) as string, attributes: 'Max-Age=60; Path=/; Secure' },
      stable: { name: 'w', value: first?.canary.value, attributes: 'Max-Age=60; Path=/; Secure' },
    });
    expect(cookies(after(situation, 10))).toEqual(first);
    after(situation, 10);
    expect(situation.observed.routes).toEqual({ weights: blue(0), consistent: true });
  });

  it.each<[string, Partial<NonNullable<CanarySpec['analysis']['sessionAffinity']>>, string]>([
    ['no attribute but an age', { path: undefined, secure: undefined }, 'Max-Age=60'],
    ['every attribute', { domain: '.example.com', path: '/shop', sameSite: 'None', httpOnly: true, secure: true, partitioned: true }, 'Max-Age=60; Domain=.example.com; Path=/shop; SameSite=None; HttpOnly; Secure; Partitioned'],
    ['what is switched off left out', { httpOnly: false, secure: false, partitioned: false }, 'Max-Age=60; Path=/'],
  ])('gives the cookies %s', (_, attributes, text) => {
    const affinity = { ...sessionAffinity, ...attributes };
    expect(cookies(obeyed(releasing({ stepWeights: [20], sessionAffinity: affinity }).decide()))?.canary.attributes).toBe(text);
  });

  it('gives the next run another cookie', () => {
    const one = obeyed(releasing({ stepWeights: [20], sessionAffinity }).decide());
    const other = obeyed(releasing({ stepWeights: [20], sessionAffinity }).later(5).decide());
    expect(cookies(one)?.canary.value).not.toBe(cookies(other)?.canary.value);
  });
});

describe('the share check', () => {
  const measured = (value: number, samples: number): Situation['metrics'] => [...goodMetrics, { metric: 'request-share', measurement: { kind: 'Value', value, samples, query: 'q', from: 0, to: 1 } }];
  const at20 = (): Situation => obeyed(releasing({ stepWeights: [20, 50], verifyShare: true }).decide());

  it('holds a weight until the canary gets its share, and says what it gets', () => {
    const situation = at20();
    situation.metrics = measured(4, 1000);
    after(situation, 10);
    expect(situation.observed.routes.weights).toEqual(blue(80));
    expect(situation.progress).toEqual({ reason: 'ShareNotReached', message: 'the canary got 4 % of 1000 requests, not as weight 20 % has it (15.8 to 24.2 %)' });
    situation.metrics = measured(19.1, 1000);
    after(situation, 10);
    expect(situation.observed.routes.weights).toEqual(blue(50));
  });

  it('looks at the last interval, and at whole windows of evidence where that is very short', () => {
    const needed = (interval: string): number => {
      const situation = obeyed(releasing({ stepWeights: [20, 50], interval, verifyShare: true }).decide());
      // Another share than the weight says: the step waits, and looks again and again.
      situation.metrics = measured(4, 1000);
      const asked = Array.from({ length: 12 }, () => after(situation, 10).asked.metrics).flat();
      return Math.max(...asked.filter(({ metric }) => metric === 'request-share').map(({ from, to }) => to - from));
    };
    expect(needed('40s')).toBe(40_000);
    expect(needed('1s')).toBe(15_000);
  });

  it('lets the deadline run meanwhile', () => {
    const situation = at20();
    situation.metrics = measured(4, 1000);
    for (let i = 0; i < 8; i += 1) after(situation, 10);
    expect(situation.status.run?.ending?.reason ?? situation.ended).toMatch(/ProgressDeadlineExceeded/);
  });

  it.each([
    [20, 10, 0, 61.7],
    [20, 1000, 15.8, 24.2],
    [50, 1_000_000, 49, 51],
  ])('takes for chance at %d %% of %d requests what lies from %d to %d %%', (weight, samples, min, max) => {
    const bounds = shareBounds(weight, samples);
    expect(bounds.min).toBeCloseTo(min, 0);
    expect(bounds.max).toBeCloseTo(max, 0);
  });

  it('waits when the share cannot be measured', () => {
    const situation = at20();
    situation.metrics = [...goodMetrics, { metric: 'request-share', measurement: { kind: 'Error', query: 'q', message: 'connection refused', permanent: false } }];
    after(situation, 10);
    expect(situation.progress.reason).toBe('MetricsUnavailable');
    expect(situation.observed.routes.weights).toEqual(blue(80));
  });
});

describe('a plan', () => {
  const base = spec().analysis;
  it.each<[string, Analysis, string[]]>([
    ['of an A/B test', { iterations: 5, match: jason }, ['weight 0 %, 100 % of the requests with end-user: jason']],
    ['of blue/green with mirroring', { iterations: 5, mirror: true }, ['weight 0 %, copies of 100 % of the requests', 'weight 100 %']],
    ['of mirroring before weights', { stepWeight: 40, mirror: true, mirrorWeight: 10 }, ['weight 0 %, copies of 10 % of the requests', 'weight 40 %', 'weight 50 %']],
    ['of weights for a segment', { stepWeights: [10, 90], match: [{ queryParams: { beta: { exact: '1' } } }] }, ['weight 0 %, 10 % of the requests with ?beta=1', 'weight 0 %, 90 % of the requests with ?beta=1']],
    ['of weights up to a cap', { stepWeight: 20, maxWeight: 50 }, ['weight 20 %', 'weight 40 %', 'weight 50 %']],
    ['of blue/green alone', { iterations: 3 }, ['weight 0 %', 'weight 100 %']],
    ['of callers and of values that begin or end so', { iterations: 1, match: [{ sourceLabels: { team: 'qa' } }, { headers: { a: { prefix: 'x' }, b: { suffix: 'y' } } }] }, ['weight 0 %, 100 % of the requests with pods with team=qa or a: x… and b: …y']],
    [
      'of steps with faults',
      { steps: [{ weight: 0, fault: { host: 'ratings', abort: { httpStatus: 500 } } }, { weight: 5, fault: { host: 'ratings', delay: { fixedDelay: '7s', percentage: { value: 50 } }, abort: { httpStatus: 503, percentage: { value: 10 } } } }] },
      ['weight 0 %, status 500 to what it asks of ratings', 'weight 5 %, delay 7s for 50 % and status 503 for 10 % to what it asks of ratings'],
    ],
  ])('%s is told in words', (_, analysis, words) => {
    const { stepWeights: _weights, ...rest } = base;
    expect(compilePlan({ ...rest, ...analysis }).map((step) => stepWords(step))).toEqual(words);
  });
});
