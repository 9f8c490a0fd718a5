import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Running } from './world.js';

const CANARY = (analysis = 'threshold: 5', name = 'reviews'): string => `apiVersion: sluice.dev/v1beta1
kind: Canary
metadata: {name: ${name}, namespace: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: ${name}}
  service: {port: 9080}
  analysis:
    interval: 1m
    stepWeights: [10, 20, 30, 40, 50]
    metrics: [{name: request-success-rate, thresholdRange: {min: 99}}]
    ${analysis}
`;

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'sluice-manifests-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

async function call(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const running = new Running(argv, false, { KUBECONFIG: '/does/not/exist' });
  return { code: await running.code, out: running.out, err: running.err };
}

describe('sluice lint', () => {
  it('says that nothing is wrong, and of how much', async () => {
    const { code, out } = await call('lint', file('good.yaml', CANARY()));
    expect({ code, out }).toEqual({ code: 0, out: 'nothing wrong was found (looked at: 1 Canary)\n' });
  });

  it('ends with 1 and names file, line, field and remedy of an error', async () => {
    const path = file('bad.yaml', CANARY('threshold: 0'));
    const { code, out } = await call('lint', path);
    expect(code).toBe(1);
    expect(out).toContain(`${path}:11 error Canary shop/reviews spec.analysis.threshold [schema]`);
    expect(out).toContain('1 error (looked at: 1 Canary)');
  });

  it('ends with 0 where there are only warnings', async () => {
    const { code, out } = await call('lint', file('warning.yaml', CANARY('threshold: 6')));
    expect(code).toBe(0);
    expect(out).toContain('warning Canary shop/reviews spec.analysis.threshold [slow-rollback]');
  });

  it('takes what is known of the cluster', async () => {
    const path = file('scarce.yaml', CANARY('verdict: {}'));
    expect((await call('lint', path)).code).toBe(0);
    expect((await call('lint', path, '--rps', '0.05')).code).toBe(1);
    expect((await call('lint', path, '--scrape-interval', '45s')).code).toBe(1);
  });

  it('reads folders, and finds the template of one file in another', async () => {
    const deploy = join(folder, 'deploy');
    mkdirSync(join(deploy, 'metrics'), { recursive: true });
    writeFileSync(join(deploy, 'canary.yaml'), CANARY().replace('{min: 99}}]', '{min: 99}}, {name: basket, templateRef: {name: basket}, thresholdRange: {max: 5}}]'));
    writeFileSync(join(deploy, 'values.yaml'), 'image: reviews\nreplicas: 2\n');
    writeFileSync(join(deploy, 'kustomization.yaml'), 'resources: [canary.yaml]\n');
    expect((await call('lint', deploy)).out).toContain('note Canary shop/reviews spec.analysis.metrics[1].templateRef [not-in-files]');
    writeFileSync(join(deploy, 'metrics', 'basket.yml'), 'apiVersion: sluice.dev/v1beta1\nkind: MetricTemplate\nmetadata: {name: basket, namespace: shop}\nspec: {provider: {type: prometheus}, query: \'bad{service="{{ service }}"}\'}\n');
    expect((await call('lint', deploy)).out).toBe('nothing wrong was found (looked at: 1 Canary, 1 MetricTemplate)\n');
  });

  it('prints JSON and nothing else', async () => {
    const { code, out, err } = await call('lint', file('json.yaml', CANARY('threshold: 0')), '--output', 'json');
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(JSON.parse(out)).toMatchObject({ errors: 1, warnings: 0, notes: 0, objects: { Canary: 1 }, findings: [{ severity: 'error', line: 11, field: 'spec.analysis.threshold' }] });
  });

  it.each<[string, () => string, string]>([
    ['is not there', () => join(folder, 'none.yaml'), 'does not exist'],
    ['holds nothing of ours', () => file('other.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n'), 'no object of sluice.dev'],
    ['is a folder without manifests', () => (mkdirSync(join(folder, 'empty'), { recursive: true }), join(folder, 'empty')), 'holds no *.yaml'],
  ])('ends with 1 where a file %s', async (_, path, words) => {
    const { code, err } = await call('lint', path());
    expect(code).toBe(1);
    expect(err).toContain(words);
  });

  it('has nothing against our own examples', async () => {
    const examples = new URL('../../examples/bookinfo/', import.meta.url).pathname;
    const folders = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory() && /^\d\d-/.test(entry.name));
    expect(folders.length).toBeGreaterThan(10);
    for (const { name } of folders) {
      // Each is a repository of its own, with times for a demonstration.
      const { out, code } = await call('lint', join(examples, name, 'repo'), '--scrape-interval', '1s');
      expect(`${name}: ${code} ${code === 0 ? '' : out}`).toBe(`${name}: 0 `);
    }
    for (const name of ['canary.yaml', 'metrictemplate.yaml', 'alertprovider.yaml', 'gitsource.yaml']) {
      expect((await call('lint', join(examples, name))).code).toBe(0);
      expect(readFileSync(join(examples, name), 'utf8')).not.toBe('');
    }
  });
});

describe('sluice simulate', () => {
  const quick = ['--runs', '10'];

  it('prints the odds of several canaries, and what it takes for granted', async () => {
    const { code, out } = await call('simulate', file('odds.yaml', CANARY()), ...quick);
    expect(code).toBe(0);
    expect(out).toContain('Canary shop/reviews: 10 simulated releases each, seed 1');
    const rows = out.split('\n').filter((line) => /^[\d.]+ %/.test(line));
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 3))).toEqual([
      ['0.1 % (healthy)', '100 %', '0 %'],
      ['0.2 %', '100 %', '0 %'],
      ['1 %', expect.any(String), expect.any(String)],
      ['5 %', '0 %', '100 %'],
      ['50 %', '0 %', '100 %'],
    ]);
    expect(rows.at(-1)).toContain('██████████');
    expect(out).toContain('none of 10 means: less than');
    expect(out).toContain('Pods are ready at once');
  });

  it('prints one canary in full', async () => {
    const { out } = await call('simulate', file('one.yaml', CANARY('verdict: {}')), ...quick, '--canary-error-rate', '5%');
    expect(out).toMatch(/taken back +100 % +█{30}/);
    expect(out).toMatch(/taken back after +\d+s/);
    expect(out).toMatch(/bad ones +\d+ .* more on average than the stable version/);
    expect(out).toContain('100 % Regression: The canary is worse than the stable version');
    expect(out).toContain('such as: failed requests: canary');
  });

  it('is the same for the same seed', async () => {
    const path = file('seed.yaml', CANARY());
    const [one, same, other] = [await call('simulate', path, ...quick), await call('simulate', path, ...quick), await call('simulate', path, ...quick, '--seed', '2')];
    expect(one.out).toBe(same.out);
    expect(one.out).not.toBe(other.out);
  });

  it('prints JSON and nothing else', async () => {
    const { out, err } = await call('simulate', file('sim-json.yaml', CANARY()), ...quick, '--rps', '50', '--error-rate', '0.5%', '--canary-error-rate', '0.5', '--output', 'json');
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({ canary: 'Canary shop/reviews', rps: 50, stable: { errorRate: 0.005 }, rows: [{ canaryErrorRate: 0.005, runs: 10, promoted: expect.any(Number) as number, badRequests: { p50: expect.any(Number) as number } }] });
  });

  it('chooses a Canary by its name', async () => {
    const path = file('two.yaml', `${CANARY()}---\n${CANARY('threshold: 5', 'ratings')}`);
    const { code, err } = await call('simulate', path, ...quick);
    expect(code).toBe(1);
    expect(err).toContain('several Canaries (reviews, ratings); choose one with --name');
    expect((await call('simulate', path, ...quick, '--name', 'ratings')).out).toContain('Canary shop/ratings');
    expect((await call('simulate', path, ...quick, '--name', 'details')).err).toContain('holds no Canary details; it holds reviews, ratings');
  });

  it('says what it takes to pass', async () => {
    const analysis = 'webhooks: [{name: load, url: "http://load/"}]';
    const text = CANARY(analysis).replace('{min: 99}}]', '{min: 99}}, {name: basket, templateRef: {name: basket}, thresholdRange: {max: 5}}]');
    const { out } = await call('simulate', file('template.yaml', text), ...quick, '--canary-error-rate', '0.1%');
    expect(out).toContain('Not simulated, taken to pass every time: basket.');
    expect(out).toContain('Webhooks agree at once: load.');
  });

  it.each<[string, () => string, string]>([
    ['is not there', () => join(folder, 'none.yaml'), 'does not exist'],
    ['holds no Canary', () => file('no.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n'), 'holds no Canary'],
    ['has a field that cannot be read', () => file('field.yaml', CANARY('interval2: 5')), 'spec.analysis.interval2'],
    ['has a value that cannot be used', () => file('value.yaml', CANARY('threshold: 0')), 'spec.analysis.threshold'],
    ['has a verdict that has nothing to compare', () => file('verdict.yaml', CANARY('verdict: {}').replace('40, 50]', '40, 100]')), 'end at a smaller weight'],
  ])('ends with 1 where a file %s', async (_, path, words) => {
    const { code, err, out } = await call('simulate', path());
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(words);
    expect(err).not.toContain('    at ');
  });

  it('ends when it is interrupted', async () => {
    const running = new Running(['simulate', file('long.yaml', CANARY()), '--runs', '900000'], false, {});
    setTimeout(() => running.interrupt(), 300);
    expect(await running.code).toBe(130);
    expect(running.out).toBe('');
  });
});
