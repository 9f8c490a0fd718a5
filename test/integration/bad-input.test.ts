import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { SluiceResources } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import { startWorld } from './harness.js';
import { canary, canaryWith, configMap, deployment, gitSource, image, service } from './manifests.js';

vi.setConfig({ maxConcurrency: 8, testTimeout: 240_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: true });

const SETTLED = { 'reviews-blue': 100, 'reviews-green': 0 };

describe.concurrent('what the API refuses', () => {
  const refused: [what: string, analysis: Record<string, unknown>, message: RegExp][] = [
    ['an unknown field', { stepWieght: 20 }, /unknown field "spec\.analysis\.stepWieght"/],
    ['weights that do not increase', { stepWeights: [20, 60, 40] }, /spec\.analysis\.stepWeights.*must increase from step to step/s],
    ['a weight that comes twice', { stepWeights: [20, 20] }, /must increase from step to step/],
    ['steps whose weights do not increase', { stepWeights: undefined, steps: [{ weight: 50 }, { weight: 10 }] }, /the weights of steps must increase/],
    ['steps and stepWeight together', { stepWeights: undefined, steps: [{ weight: 50 }], stepWeight: 10 }, /exactly one of stepWeight, stepWeights, steps and iterations is needed/],
    ['an interval that is no duration', { interval: 'soon' }, /spec\.analysis\.interval/],
  ];
  it.each(refused)('%s', async (_what, analysis, message) => {
    const shop = await world.shop();
    await shop.running();
    expect(() => shop.put(canaryWith(analysis))).toThrow(message);
    shop.put(canary());
    await shop.phase('Initialized');
  });

  it('an invalid edit during a run, which goes on as it was', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.release('v2');
    await shop.weight(20);
    expect(() => shop.put(canaryWith({ stepWeights: [80, 10] }))).toThrow(/must increase/);
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded', weights: [20, 60, 100] });
  });

  it.each(['ext::sh -c "touch pwned"', '--upload-pack=touch pwned', '-oProxyCommand=touch pwned', 'data:text/plain,x'])('the repository address %s', async (url) => {
    const shop = await world.shop();
    expect(() => shop.put(gitSource(url))).toThrow(/spec\.url/);
  });
});

describe.concurrent('a target', () => {
  it('that does not exist is named, and adopted when it appears', async () => {
    const shop = await world.shop();
    shop.put(canary());
    const stalled = await shop.reason('Stalled', 'TargetNotFound');
    expect(stalled).toMatchObject({ status: 'True' });
    expect(stalled.message).toMatch(/Deployment .*\/reviews does not exist; create it or correct spec\.targetRef/);
    await shop.running();
    await shop.phase('Initialized');
    expect(shop.condition('Stalled')).toMatchObject({ status: 'False' });
  });

  it('that two Canaries claim belongs to the older; deleting it hands over without loss', async () => {
    const shop = await world.shop();
    await shop.adopted();
    // Ages are told in whole seconds.
    await shop.see('a second later', () => Date.now() > Date.parse(shop.canary?.metadata.creationTimestamp ?? '') + 1_000);
    shop.put(canary({}, 'second'));
    const stalled = await shop.reason('Stalled', 'TargetClaimed', undefined, 'second');
    expect(stalled.message).toMatch(/Deployment reviews already belongs to Canary reviews; delete one of the two, or correct spec\.targetRef/);
    expect(shop.weights).toEqual(SETTLED);
    shop.remove(SluiceResources.Canary, 'reviews');
    await shop.see('the older is gone', () => shop.canary === undefined);
    await shop.see('the second has adopted', () => (shop.get(SluiceResources.Canary, 'second') as { status?: { phase?: string } }).status?.phase === 'Initialized');
    expect(shop.selector()).toMatchObject({ 'sluice.dev/canary': 'second' });
    expect(shop.endpoints('reviews')).toBeGreaterThan(0);
  });

  it('that refers to a ConfigMap that does not exist keeps its stable version; the release goes on when it appears', async () => {
    const shop = await world.shop();
    await shop.adopted();
    shop.put(deployment('v2', { envFrom: [{ configMapRef: { name: 'reviews-config' } }] }));
    const stalled = await shop.reason('Stalled', 'ConfigUnreadable');
    expect(stalled.message).toMatch(/ConfigMap reviews-config, which Deployment reviews refers to, does not exist.*Create it, or mark the reference optional/);
    expect(shop.weights).toEqual(SETTLED);
    expect(shop.images('green')).toEqual([]);
    shop.put(configMap({ greeting: 'hello' }));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });
});

describe.concurrent('names that are taken', () => {
  it('by a Service before adoption', async () => {
    const shop = await world.shop();
    shop.put(service('reviews-blue', { app: 'other' }));
    await shop.running();
    shop.put(canary());
    const stalled = await shop.reason('Stalled', 'NameTaken');
    expect(stalled.message).toMatch(/Service reviews-blue exists and does not belong to Canary reviews; rename it, or set spec\.service\.slots/);
    expect(shop.endpoints('reviews')).toBe(2);
    expect(shop.selector('reviews-blue')).toEqual({ app: 'other' });
    shop.remove(Resources.Service, 'reviews-blue');
    await shop.phase('Initialized');
  });

  it('by a Deployment before a release', async () => {
    const shop = await world.shop();
    await shop.adopted();
    const other = deployment('other');
    shop.put({ ...other, metadata: { name: 'reviews-green' }, spec: { ...(other['spec'] as object), selector: { matchLabels: { app: 'other' } }, template: { metadata: { labels: { app: 'other' } }, spec: { containers: [{ name: 'other', image: image('other') }] } } } });
    shop.release('v2');
    const stalled = await shop.reason('Stalled', 'NameTaken');
    expect(stalled.message).toMatch(/Deployment reviews-green exists and does not belong to Canary reviews/);
    expect(shop.weights).toEqual(SETTLED);
    expect(shop.replicas('reviews-green')).toBe(2);
    shop.remove(Resources.Deployment, 'reviews-green');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });

  it('by a VirtualService', async () => {
    const shop = await world.shop();
    await shop.running();
    const spec = { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'reviews' } }] }] };
    shop.put({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'reviews' }, spec });
    shop.put(canary());
    const stalled = await shop.reason('Stalled', 'NameTaken');
    expect(stalled.message).toMatch(/VirtualService .*reviews/);
    expect(stalled.message).toMatch(/service\.virtualService/);
    expect(shop.get(Resources.VirtualService)?.['spec']).toEqual(spec);
    expect(shop.selector()).toEqual({ app: 'reviews' });
    shop.put(canary({ service: { virtualService: { name: 'reviews' } } }));
    await shop.phase('Initialized');
    expect(shop.weights).toEqual(SETTLED);
  });

  it('a Service without a selector', async () => {
    const shop = await world.shop();
    shop.put(deployment());
    const bare = service();
    delete (bare['spec'] as { selector?: unknown }).selector;
    shop.put(bare);
    shop.put(canary());
    const stalled = await shop.reason('Stalled', 'InvalidSpec');
    expect(stalled.message).toMatch(/Service reviews has no selector; give it one that matches the pods/);
    expect(shop.replicas('reviews')).toBe(2);
    shop.put(service());
    await shop.phase('Initialized');
  });
});

describe.concurrent('a GitSource', () => {
  const app = [deployment(), service()];

  it('names the unknown field of a manifest, applies the others, and goes on when it is mended', async () => {
    const shop = await world.shop();
    const repository = await shop.repository({ 'app.yaml': app, 'canary.yaml': [canaryWith({ stepWieght: 5 })] });
    const ready = await shop.sourceReason('ApplyFailed');
    expect(ready.message).toMatch(/canary\.yaml.*stepWieght/s);
    expect(shop.get(Resources.Deployment)).toBeDefined();
    await repository.applied(await repository.commit({ 'canary.yaml': [canary()] }));
    await shop.phase('Initialized');
  });

  it('names file and line of YAML that does not parse, applies the others, and prunes nothing meanwhile', async () => {
    const shop = await world.shop();
    const repository = await shop.repository({ 'app.yaml': app, 'config.yaml': [configMap({ greeting: 'one' })] });
    await shop.sourceReason('Synced');
    await repository.commit({ 'app.yaml': 'kind: Deployment\nmetadata: {name: [', 'config.yaml': [configMap({ greeting: 'two' })] });
    const ready = await shop.sourceReason('InvalidManifest');
    expect(ready.message).toMatch(/app\.yaml:2/);
    await shop.see('the other file is applied', () => (shop.get(Resources.ConfigMap, 'reviews-config')?.['data'] as { greeting: string } | undefined)?.greeting === 'two');
    expect(shop.get(Resources.Deployment)).toBeDefined();
    await repository.applied(await repository.commit({ 'app.yaml': app }));
  });

  it('says that a repository cannot be read, leaves what it applied, and follows the corrected address', async () => {
    const shop = await world.shop();
    const repository = await shop.repository({ 'app.yaml': app, 'canary.yaml': [canary()] });
    await shop.phase('Initialized');
    shop.put(gitSource('file:///nowhere/at-all.git'));
    const ready = await shop.sourceReason('RepositoryNotFound');
    expect(ready.message).toMatch(/spec\.url/);
    expect(shop.weights).toEqual(SETTLED);
    await repository.commit({ 'app.yaml': [deployment('v2'), service()] });
    shop.put(gitSource(repository.url));
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
  });

  it.each([
    ['a path that is not in the repository', { path: 'deploy' }, 'PathNotFound', /spec\.path/],
    ['a path that leaves the repository', { path: '../../etc' }, 'InvalidSpec', /spec\.path/],
    ['a branch that does not exist', { ref: { branch: 'release' } }, 'RefNotFound', /release/],
    ['a branch that looks like an option', { ref: { branch: '--upload-pack=touch pwned' } }, 'InvalidSpec', /spec\.ref\.branch/],
    ['a schedule that is none', { schedule: 'whenever' }, 'InvalidSchedule', /spec\.schedule/],
  ])('names %s', async (_what, spec, reason, message) => {
    const shop = await world.shop();
    const repository = await shop.repository({ 'app.yaml': app }, spec);
    expect((await shop.sourceReason(reason)).message).toMatch(message);
    shop.put(gitSource(repository.url));
    await shop.sourceReason('Synced');
  });

  it('runs nothing that an address or a reference says', async () => {
    for (const folder of [process.cwd(), world.dir]) await expect(access(join(folder, 'pwned'))).rejects.toThrow('ENOENT');
  });
});
