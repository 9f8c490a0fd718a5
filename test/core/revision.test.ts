import { describe, expect, it } from 'vitest';
import { canaryStatus, type CanaryStatus } from '../../src/api/index.js';
import { bound } from '../../src/core/bounds.js';
import { configReferences, mutableImages, podTemplateSchema, type PodTemplate } from '../../src/core/pod-template.js';
import { makeRevision, trackedReferences, type TrackedConfig } from '../../src/core/revision.js';
import { slotWorkload, type RevisionData } from '../../src/core/workload.js';
import { at, spec } from './builders.js';

/** A pod template of one container; `over` is laid over the container, `more` over the pod. */
const template = (over: object = {}, more: object = {}, metadata: object = { labels: { app: 'reviews' } }): PodTemplate =>
  podTemplateSchema.parse({ metadata, spec: { containers: [{ name: 'reviews', image: 'shop/reviews:v1', ...over }], ...more } });
const name = (of: PodTemplate, configs: TrackedConfig[] = []): string => makeRevision(of, configs).name;
const stars = (color: string): TrackedConfig => ({ kind: 'ConfigMap', name: 'stars', content: { data: { color } } });

describe('what makes another revision', () => {
  const same: [string, PodTemplate][] = [
    ['what the API server fills in', template({ terminationMessagePath: '/dev/termination-log', imagePullPolicy: 'IfNotPresent', resources: {} }, { restartPolicy: 'Always', dnsPolicy: 'ClusterFirst', schedulerName: 'default-scheduler', securityContext: {} })],
    ['another order of keys', podTemplateSchema.parse({ spec: { containers: [{ image: 'shop/reviews:v1', name: 'reviews' }] }, metadata: { labels: { app: 'reviews' } } })],
    ['kubectl rollout restart', template({}, {}, { labels: { app: 'reviews' }, annotations: { 'kubectl.kubernetes.io/restartedAt': '2030-01-01T00:00:00Z' } })],
    ['a creation time that is null', template({}, {}, { labels: { app: 'reviews' }, creationTimestamp: null })],
  ];
  it.each(same)('not %s', (_, other) => {
    expect(name(other)).toBe(name(template()));
  });

  const others: [string, PodTemplate][] = [
    ['an image', template({ image: 'shop/reviews:v2' })],
    ['a pull policy that is not the default of the tag', template({ imagePullPolicy: 'Always' })],
    ['an annotation of mine', template({}, {}, { labels: { app: 'reviews' }, annotations: { team: 'stars' } })],
    ['a field that Sluice does not know', template({}, { somethingNew: 7 })],
    ['an environment variable', template({ env: [{ name: 'COLOR', value: 'red' }] })],
    ['a sidecar', template({}, { containers: [{ name: 'reviews', image: 'shop/reviews:v1' }, { name: 'log', image: 'log:1' }] })],
  ];
  it.each(others)('%s', (_, other) => {
    expect(name(other)).not.toBe(name(template()));
  });

  it('the content of a ConfigMap that it tracks, and going back to it', () => {
    expect(name(template(), [stars('red')])).not.toBe(name(template(), [stars('black')]));
    expect(name(template(), [stars('red')])).toBe(name(template(), [stars('red')]));
  });
  it('an optional ConfigMap that appears', () => {
    expect(name(template(), [{ kind: 'ConfigMap', name: 'stars', content: 'absent' }])).not.toBe(name(template(), [stars('red')]));
  });
  it('the name says by which algorithm it was made, so that a later one moves nothing', () => {
    expect(name(template())).toMatch(/^a[0-9a-f]{9}$/);
  });
});

describe('configuration that pods read', () => {
  const reads = template(
    { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'one', key: 'a' } } }], envFrom: [{ secretRef: { name: 'two', optional: true } }] },
    { volumes: [{ name: 'v', configMap: { name: 'three' } }, { name: 'p', projected: { sources: [{ secret: { name: 'four' } }, { configMap: { name: 'one', optional: true } }] } }], initContainers: [{ name: 'init', envFrom: [{ configMapRef: { name: 'five' } }] }] },
  );
  it('is found wherever a pod may name it; it is optional only if every place says so', () => {
    const found = configReferences(reads).map(({ kind, name: of, optional }) => `${kind}/${of}${optional ? '?' : ''}`);
    expect(found.sort()).toEqual(['ConfigMap/five', 'ConfigMap/one', 'ConfigMap/three', 'Secret/four', 'Secret/two?']);
  });
  it('ConfigMaps are tracked and Secrets are not, unless I say otherwise', () => {
    const tracked = (configs?: NonNullable<Parameters<typeof spec>[0]>['revisions']): string[] => trackedReferences(spec({ revisions: configs ?? {} }), reads).map((item) => item.name).sort();
    expect(tracked()).toEqual(['five', 'one', 'three']);
    expect(tracked({ configs: [{ kind: 'Secret', name: 'two', mode: 'track' }, { kind: 'ConfigMap', name: 'one', mode: 'ignore' }] })).toEqual(['five', 'three', 'two']);
  });
});

describe('images that may be other images tomorrow', () => {
  const rows: [string, string, boolean][] = [
    ['no tag', 'shop/reviews', true],
    ['latest', 'shop/reviews:latest', true],
    ['no tag behind a port', 'registry.example:5000/shop/reviews', true],
    ['a tag', 'shop/reviews:v1', false],
    ['a tag behind a port', 'registry.example:5000/shop/reviews:v1', false],
    ['a digest', 'shop/reviews@sha256:0123', false],
    ['latest with a digest', 'shop/reviews:latest@sha256:0123', false],
  ];
  it.each(rows)('%s: %s', (_, image, mutable) => {
    expect(mutableImages(template({ image }))).toEqual(mutable ? [image] : []);
  });
});

describe('the Deployment of a slot', () => {
  const identity = { name: 'reviews', namespace: 'shop', spec: spec() };
  const made = (data: RevisionData, target?: object): { metadata: object; spec: { template: PodTemplate; replicas: number } } =>
    slotWorkload(identity, 'green', 'b2', data, target && ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'reviews' }, spec: target } as never), 3) as never;

  it('keeps my labels and adds its own', () => {
    expect(made({ template: template(), configs: [] }).spec.template.metadata?.labels).toEqual({ app: 'reviews', 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'green', 'sluice.dev/revision': 'b2' });
  });
  it('reads the frozen copy of a ConfigMap', () => {
    const data: RevisionData = { template: template({ envFrom: [{ configMapRef: { name: 'stars' } }] }), configs: [{ kind: 'ConfigMap', name: 'stars', snapshot: 'stars-0123' }] };
    expect(made(data).spec.template.spec.containers[0]?.envFrom).toEqual([{ configMapRef: { name: 'stars-0123' } }]);
  });
  it('is as young as the last kubectl rollout restart asks, so that none follows', () => {
    const target = { template: template({}, {}, { annotations: { 'kubectl.kubernetes.io/restartedAt': '2030-01-01T00:00:00Z' } }) };
    expect(made({ template: template(), configs: [] }, target).spec.template.metadata?.annotations).toEqual({ 'kubectl.kubernetes.io/restartedAt': '2030-01-01T00:00:00Z' });
  });
  it('takes the strategy of the target, without a run', () => {
    expect(made({ template: template(), configs: [] }, { strategy: { type: 'Recreate' }, replicas: 0, template: template() }).spec).toMatchObject({ strategy: { type: 'Recreate' }, replicas: 3 });
  });
  it('does not keep away from the pods of the other slot', () => {
    const selector = { matchLabels: { app: 'reviews' } };
    const spread = { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', labelSelector: selector }], affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'host', labelSelector: selector }] } } };
    const narrowed = { matchLabels: { app: 'reviews', 'sluice.dev/slot': 'green' } };
    expect(made({ template: template({}, spread), configs: [] }).spec.template.spec).toMatchObject({
      topologySpreadConstraints: [{ labelSelector: narrowed }],
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: narrowed }] } },
    });
  });
});

describe('the status', () => {
  const long = 'x'.repeat(500);
  const full = (): CanaryStatus =>
    canaryStatus.parse({
      stable: { revision: 'a1', slot: 'blue' },
      checks: Array.from({ length: 20 }, () => ({ metric: 'm', verdict: 'Pass', message: long, query: long + long, at: at(0) })),
      history: Array.from({ length: 10 }, () => ({ run: 'r', revision: 'b2', result: 'Failed', reason: 'Aborted', message: long, weights: [20], startedAt: at(0), endedAt: at(1), commits: Array.from({ length: 20 }, () => long.slice(0, 40)) })),
      quarantined: Array.from({ length: 20 }, (_, index) => ({ revision: `r${index}`, reason: long, at: at(0) })),
      messages: Array.from({ length: 20 }, (_, index) => ({ id: `${index}`, event: 'Failed', severity: 'error', text: long, at: at(0), to: ['chat'] })),
    });
  it('stays below 32 KiB, and forgets the least missed first', () => {
    const status = full();
    expect(JSON.stringify(status).length).toBeGreaterThan(32 * 1024);
    bound(status);
    expect(Buffer.byteLength(JSON.stringify(status))).toBeLessThan(32 * 1024);
    expect(status.checks?.some((check) => check.query !== undefined)).toBe(false);
    expect(status.quarantined).toHaveLength(20);
    expect(status.stable?.revision).toBe('a1');
  });
  it('that is small enough is left alone', () => {
    const status = canaryStatus.parse({ checks: [{ metric: 'm', verdict: 'Pass', message: 'good', query: 'q', at: at(0) }] });
    const before = structuredClone(status);
    bound(status);
    expect(status).toEqual(before);
  });
});
