import { expect, it } from 'vitest';
import { SluiceResources } from '../../src/api/resources.js';
import type { KubeClient, KubeObject } from '../../src/kube/types.js';

export interface Served {
  client: KubeClient;
  /** GET of a path as a `meta.k8s.io/v1` Table. */
  table: (path: string) => Promise<Table>;
}
export interface Table {
  columnDefinitions: { name: string; priority: number }[];
  rows: { cells: unknown[] }[];
}

const JASON = [{ headers: { 'end-user': { exact: 'jason' } } }];

const canary = (name: string, spec: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: 'sluice.dev/v1beta1',
  kind: 'Canary',
  metadata: { name, namespace: 'default' },
  spec: {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
    service: { port: 9080 },
    analysis: { stepWeights: [10, 50] },
    ...spec,
  },
});

/** What an API server must make of the CustomResourceDefinitions; asked of the embedded server and of the real one. */
export function itServesTheKinds(served: () => Served): void {
  const create = (object: KubeObject) =>
    served().client.create(SluiceResources.Canary as never, object as never, {
      fieldValidation: 'Strict',
    }) as Promise<KubeObject>;

  it('fills in the defaults', async () => {
    const made = await create(canary('defaults'));
    expect(made.spec).toMatchObject({
      provider: 'istio',
      progressDeadlineSeconds: 600,
      service: { portName: 'http', slots: { blue: 'blue', green: 'green' } },
      analysis: {
        interval: '1m',
        threshold: 5,
        metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }, { name: 'request-duration' }],
      },
      revisions: { history: 10, drainFor: '30s' },
    });
    expect((made.spec as { replicas?: number }).replicas).toBeUndefined();
  });

  it('keeps what is only passed on to Istio', async () => {
    const retries = { attempts: 3, nested: { of: [1, 'any', { shape: true }] } };
    const made = await create(canary('opaque', { service: { port: 9080, targetPort: 'http', retries } }));
    expect(made.spec).toMatchObject({ service: { retries, targetPort: 'http' } });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['weights that do not increase', { analysis: { stepWeights: [10, 50, 50] } }, /stepWeights must increase/],
    ['steps that do not increase', { analysis: { steps: [{ weight: 20 }, { weight: 10 }] } }, /weights of steps must increase/],
    ['two plans', { analysis: { stepWeight: 10, stepWeights: [10] } }, /exactly one of stepWeight, stepWeights, steps and iterations/],
    ['no plan', { analysis: {} }, /exactly one of stepWeight, stepWeights, steps and iterations/],
    ['iterations beside weights', { analysis: { iterations: 3, stepWeights: [10] } }, /exactly one of stepWeight, stepWeights, steps and iterations/],
    ['an empty match', { analysis: { iterations: 3, match: [{}] } }, /an empty one would take everybody/],
    ['a header that must be two things', { analysis: { iterations: 3, match: [{ headers: { a: { exact: 'x', regex: 'y' } } }] } }, /exactly one of exact, prefix, suffix and regex/],
    ['mirroring beside a match', { analysis: { iterations: 3, mirror: true, match: [{ headers: { a: { exact: 'x' } } }] } }, /mirror and match go together in steps only/],
    ['a share of what is not mirrored', { analysis: { stepWeight: 10, mirrorWeight: 20 } }, /mirrorWeight goes with mirror: true/],
    ['a match beside steps', { analysis: { steps: [{ weight: 10 }], match: [{ headers: { a: { exact: 'x' } } }] } }, /write match and mirror in the step/],
    ['two equal steps', { analysis: { steps: [{ weight: 10 }, { weight: 10 }] } }, /weights of steps must increase, or/],
    ['a fault that does nothing', { analysis: { steps: [{ weight: 0, fault: { host: 'ratings' } }] } }, /fault needs delay, abort or both/],
    ['replicas that are no share', { analysis: { steps: [{ weight: 10, replicas: '0%' }] } }, /a percentage from 1% to 100%/],
    ['one cookie for both versions', { analysis: { stepWeight: 10, sessionAffinity: { cookieName: 'v', primaryCookieName: 'v' } } }, /must differ/],
    ['a cookie that no browser takes', { analysis: { stepWeight: 10, sessionAffinity: { cookieName: 'v', sameSite: 'None' } } }, /refuse sameSite None/],
    ['a control arm without a match', { analysis: { stepWeight: 10, control: true } }, /control keeps part of the matching requests on the stable version: give match/],
    ['a control arm of steps none of which matches', { analysis: { steps: [{ weight: 10 }], control: true } }, /give match, or a step with a match/],
    ['a control arm beside weights', { analysis: { steps: [{ weight: 10, match: JASON }], control: true } }, /a step with a match has no weight and no mirror/],
    ['a control arm beside copies', { analysis: { steps: [{ weight: 0, mirror: 50, match: JASON }], control: true } }, /a step with a match has no weight and no mirror/],
    ['a control arm of subsets', { analysis: { iterations: 3, match: JASON, control: true }, service: { port: 1, routing: 'subsets' } }, /analysis\.control needs service\.routing: services/],
    ['a control arm without room for its name', { analysis: { iterations: 3, match: JASON, control: true }, service: { port: 1, name: 'n'.repeat(50) } }, /54 characters together/],
    ['a control arm of the name of a slot', { analysis: { iterations: 3, match: JASON, control: true }, service: { port: 1, slots: { blue: 'a', green: 'a-control' } } }, /must not be the other with -control/],
    ['a cap below the step', { analysis: { stepWeight: 30, maxWeight: 20 } }, /maxWeight must not be below stepWeight/],
    ['a duration that is none', { analysis: { stepWeight: 10, interval: '1 minute' } }, /spec\.analysis\.interval/],
    ['a weight above 100', { analysis: { stepWeight: 101 } }, /spec\.analysis\.stepWeight/],
    ['one suffix for both slots', { service: { port: 1, slots: { blue: 'x', green: 'x' } } }, /different suffixes/],
    ['an unknown field', { analysis: { stepWeight: 10, treshold: 3 } }, /unknown field "spec\.analysis\.treshold"/],
    ['no port', { service: {} }, /spec\.service\.port/],
    [
      'a range without bounds',
      { analysis: { stepWeight: 10, metrics: [{ name: 'm', thresholdRange: {} }] } },
      /thresholdRange needs min, max or both/,
    ],
  ])('refuses %s, by name', async (_name, spec, message) => {
    await expect(create(canary('refused', spec))).rejects.toThrow(message);
  });

  const template = (spec: Record<string, unknown>): KubeObject => ({
    apiVersion: 'sluice.dev/v1beta1',
    kind: 'MetricTemplate',
    metadata: { name: `t-${Math.abs(hashOf(JSON.stringify(spec)))}`, namespace: 'default' },
    spec,
  });
  const createTemplate = (spec: Record<string, unknown>) => served().client.create(SluiceResources.MetricTemplate as never, template(spec) as never, { fieldValidation: 'Strict' }) as Promise<KubeObject>;

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no question', { provider: {} }, /exactly one of query and counts/],
    ['two questions', { provider: {}, query: 'x', counts: { bad: 'x', total: 'y' } }, /exactly one of query and counts/],
    ['settings of another type', { provider: { type: 'prometheus', web: { path: '/x' } }, query: 'x' }, /web goes with type: web only/],
    ['a type that needs an address', { provider: { type: 'graphite' }, query: 'x' }, /this type needs address/],
    ['a job without a spec', { provider: { type: 'job' } }, /type job needs job\.spec/],
    ['a job with a query', { provider: { type: 'job', job: { spec: {} } }, query: 'x' }, /a job has no query/],
    ['a comparison of nothing', { provider: {}, query: 'x', compareAs: 'ratio' }, /compareAs goes with compare only/],
    ['a variable that is required and has a default', { provider: {}, query: 'x', variables: [{ name: 'a', default: 'b', required: true }] }, /needs no default/],
    ['a variable twice', { provider: {}, query: 'x', variables: [{ name: 'a' }, { name: 'a' }] }, /spec\.variables/],
    ['two languages of InfluxDB', { provider: { type: 'influxdb', address: 'http://x', influxdb: { database: 'a', org: 'b' } }, query: 'x' }, /exclude each other/],
    ['a body without POST', { provider: { type: 'web', address: 'http://x', web: { body: '{}' } }, query: '$' }, /body goes with method: POST only/],
    ['a type that nobody knows', { provider: { type: 'abacus' }, query: 'x' }, /spec\.provider\.type/],
  ])('refuses a MetricTemplate with %s', async (_name, spec, message) => {
    await expect(createTemplate(spec)).rejects.toThrow(message);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['a query', { provider: {}, query: 'up' }, { provider: { type: 'prometheus' }, query: 'up' }],
    ['counts', { provider: {}, counts: { bad: 'x', total: 'y' }, compare: 'stable', compareAs: 'difference', dryRun: true, count: 3, initialDelay: '1m' }, { compareAs: 'difference' }],
    ['a Job with fields of its own', { provider: { type: 'job', job: { spec: { template: { spec: { containers: [{ name: 'a', image: 'b' }] } } } } } }, { provider: { job: { spec: { template: { spec: { containers: [{ name: 'a' }] } } } } } }],
    ['settings', { provider: { type: 'stackdriver', stackdriver: { project: 'shop-1' } }, query: 'up' }, { provider: { stackdriver: { project: 'shop-1' } } }],
  ])('takes a MetricTemplate with %s', async (_name, spec, kept) => {
    expect((await createTemplate(spec)).spec).toMatchObject(kept);
  });

  it.each<[string, Record<string, unknown>]>([
    ['an A/B test', { iterations: 3, match: JASON }],
    ['weights for a segment', { stepWeights: [10, 50], match: JASON }],
    ['a step that matches before one with a weight', { steps: [{ weight: 0, match: JASON }, { weight: 20, mirror: 5 }] }],
  ])('takes a control arm of %s', async (name, analysis) => {
    const made = await create(canary(`arm-${name.replaceAll(/[^a-z]/gi, '').toLowerCase()}`, { analysis: { ...analysis, control: true } }));
    expect(made.spec).toMatchObject({ analysis: { control: true } });
  });

  it('keeps the choice between Services and subsets for as long as a Canary lives', async () => {
    const { client } = served();
    await create(canary('routed'));
    const change = (routing: string) => client.patch(SluiceResources.Canary, 'default', 'routed', { spec: { service: { routing } } }, 'merge');
    await expect(change('subsets')).rejects.toThrow(/delete the Canary .* and create it again/);
    await expect(change('services')).resolves.toBeDefined();
    await expect(change('both')).rejects.toThrow(/spec\.service\.routing/);
  });

  it('lets nobody change a CanaryAction', async () => {
    const { client } = served();
    const action = {
      apiVersion: 'sluice.dev/v1beta1',
      kind: 'CanaryAction',
      metadata: { name: 'one', namespace: 'default' },
      spec: { canary: 'defaults', verb: 'hold', by: 'jo' },
    };
    await client.create(SluiceResources.CanaryAction as never, action as never);
    const change = { spec: { verb: 'promote' } };
    await expect(client.patch(SluiceResources.CanaryAction, 'default', 'one', change, 'merge')).rejects.toThrow(
      /cannot be changed/,
    );
  });

  it('shows the commit under release in `kubectl get`, else the one that serves', async () => {
    const { client, table } = served();
    const commits = async () => {
      const { columnDefinitions, rows } = await table('/apis/sluice.dev/v1beta1/namespaces/default/canaries');
      const shown = columnDefinitions.filter((column) => column.priority === 0).map((column) => column.name);
      expect(shown).toEqual(['Name', 'Status', 'Weight', 'Stable', 'Canary', 'Commit', 'Age']);
      return rows.find((row) => row.cells[0] === 'shown')?.cells.slice(1, 6);
    };
    const status = (value: object) =>
      client.patch(SluiceResources.Canary, 'default', 'shown', { status: value }, 'merge', { subresource: 'status' });
    await create(canary('shown'));
    const stable = { revision: 'r1', slot: 'blue', commit: 'c1' };
    await status({ phase: 'Succeeded', canaryWeight: 0, stable });
    expect(await commits()).toEqual(['Succeeded', 0, 'r1', null, 'c1']);
    await status({ phase: 'Progressing', canaryWeight: 10, canary: { revision: 'r2', slot: 'green', commit: 'c2' } });
    expect(await commits()).toEqual(['Progressing', 10, 'r1', 'r2', 'c2']);
  });

  it('scales a Canary', async () => {
    const { client } = served();
    await create(canary('scaled', { replicas: 2 }));
    await client.patch(SluiceResources.Canary, 'default', 'scaled', { spec: { replicas: 5 } }, 'merge', { subresource: 'scale' });
    expect((await client.get(SluiceResources.Canary, 'default', 'scaled')).spec.replicas).toBe(5);
  });
}

/** Tells names apart; nothing depends on which number it is. */
const hashOf = (text: string): number => Array.from(text).reduce((hash, char) => (hash * 31 + (char.codePointAt(0) ?? 0)) | 0, 7);
