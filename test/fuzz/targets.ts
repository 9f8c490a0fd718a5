import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { canarySpec, canaryStatus, type Canary } from '../../src/api/index.js';
import { canaryNames } from '../../src/core/names.js';
import { layOver, liftOff, overlayManifest } from '../../src/core/overlay.js';
import { compilePlan } from '../../src/core/plan.js';
import { podTemplateSchema } from '../../src/core/pod-template.js';
import { makeRevision } from '../../src/core/revision.js';
import { inactivity, metricsOf, slimAutoscaler } from '../../src/engine/autoscaler-state.js';
import { isReady, podLabels, readTemplate, readWorkload, readyIn } from '../../src/engine/facts.js';
import { podFailure } from '../../src/engine/pod-failure.js';
import { budgetKeys, scaledCanary, scaledDeployment, selectsPods } from '../../src/engine/selecting.js';
import { readAnnouncement, isAuthentic, type HookType } from '../../src/git/announcement.js';
import { digestOf, parseManifests } from '../../src/git/manifests.js';
import { SyncError } from '../../src/git/reasons.js';
import { parseRef, resolveRef } from '../../src/git/ref.js';
import { resolveAddress } from '../../src/git/submodules.js';
import { parsePath } from '../../src/git/tree.js';
import { parseRemoteUrl } from '../../src/git/url.js';
import { createHookCaller } from '../../src/hooks/index.js';
import { loadClusterAccess } from '../../src/kube/kubeconfig.js';
import type { Transport } from '../../src/kube/transport.js';
import { KubeError, Resources, type KubeObject } from '../../src/kube/index.js';
import { openWatch } from '../../src/kube/watch.js';
import { createIstioRouter } from '../../src/mesh/istio/index.js';
import { PrometheusClient } from '../../src/metrics/prometheus/client.js';
import { retryAfterSeconds } from '../../src/net/retry-after.js';
import { junk, spoilt, spoiltText, text } from './inputs.js';
import { METRIC_TARGETS } from './metrics.js';
import { answering, refusing, short, target, type Target } from './target.js';

/** The API server admits no longer ones. */
const MAX_FIELD = 255;

const CANARY = {
  targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
  service: { port: 9080, hosts: ['reviews'], gateways: ['shop/edge'], virtualService: { name: 'reviews', routes: ['main'] } },
  analysis: { interval: '1m', threshold: 3, steps: [{ weight: 10, hold: '1m' }, { weight: 50 }], metrics: [{ name: 'request-success-rate', thresholdRange: { min: 99 } }], webhooks: [{ name: 'gate', type: 'rollout', url: 'http://gate/' }] },
  revisions: { drainFor: '30s' },
};
const SHORT = { targetRef: CANARY.targetRef, service: { port: 80 }, analysis: { stepWeight: 10, maxWeight: 50 } };
const subject = (spec: Canary['spec']): Canary => ({ apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { name: 'reviews', namespace: 'shop' }, spec });

const STATUS = { phase: 'Progressing', canaryWeight: 10, failedChecks: 0, adoptedAt: '2026-01-01T00:00:00.000Z', run: { id: 'a', startedAt: '2026-01-01T00:00:00.000Z', weights: [10] }, history: [], conditions: [] };

const memo = JSON.stringify({
  v: 1,
  canaries: { reviews: { service: 'reviews', slots: { blue: 'reviews-blue', green: 'reviews-green' }, weights: { blue: 90, green: 10 }, routes: [{ index: 0, weights: [90, 10] }] } },
});
const virtualService = (annotations: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'reviews', namespace: 'shop', resourceVersion: '1', annotations },
  spec: {
    hosts: ['reviews'],
    http: [
      { name: 'main', match: [{ uri: { prefix: '/' } }], route: [{ destination: { host: 'reviews-blue' }, weight: 90 }, { destination: { host: 'reviews-green' }, weight: 10 }] },
      { route: [{ destination: { host: 'reviews', subset: 'v1' } }] },
    ],
  },
});
const rule: KubeObject = { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: 'reviews', namespace: 'shop' }, spec: { host: 'reviews', subsets: [{ name: 'v1', labels: { version: 'v1' } }], trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } } } };
/** The API server sees to it that an object has a name. */
const named = (object: unknown, base: KubeObject): KubeObject => {
  const found = typeof object === 'object' && object !== null ? (object as Partial<KubeObject>) : {};
  const annotations: unknown = found.metadata?.annotations;
  const strings = typeof annotations === 'object' && annotations !== null ? Object.fromEntries(Object.entries(annotations).filter(([, value]) => typeof value === 'string')) : {};
  return { ...found, apiVersion: base.apiVersion, kind: base.kind, metadata: { ...base.metadata, annotations: strings as Record<string, string> } };
};

const router = createIstioRouter();
function route(services: KubeObject[], rules: KubeObject[], own: boolean, routing: 'services' | 'subsets' = 'services'): void {
  const { service, ...rest } = canarySpec.parse(own ? CANARY : SHORT);
  const spec = { ...rest, service: { ...service, routing } };
  const input = { canary: subject(spec), names: canaryNames(spec), virtualServices: services, destinationRules: rules };
  const before = JSON.stringify(input);
  router.observe(input);
  for (const green of [0, 37, 100]) {
    const { writes, problems } = router.plan(input, { blue: 100 - green, green });
    if (problems.length > 0 && writes.length > 0) throw new Error('it writes though it has problems');
    for (const { message } of problems) short(message, 'a problem');
  }
  router.prepare(input);
  router.release(input);
  for (const live of services) router.overlay(services[0] ?? live, live);
  if (JSON.stringify(input) !== before) throw new Error('its input was changed');
}

const MANIFESTS = [
  stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'reviews', labels: { app: 'reviews' } }, spec: { replicas: 2, template: { spec: { containers: [{ name: 'a', image: 'b' }] } } } }),
  'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n  data: &d {a: "1"}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: *d}\n',
  'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n',
  '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"y"}}',
];

const TEMPLATE = { metadata: { labels: { app: 'reviews' } }, spec: { containers: [{ name: 'a', image: 'b', envFrom: [{ configMapRef: { name: 'c' } }], env: [{ name: 'd', valueFrom: { secretKeyRef: { name: 'e', key: 'f' } } }] }], volumes: [{ name: 'g', configMap: { name: 'h' } }] } };

/** By the kind that they are said to be. */
const OBJECTS = new Map<string, unknown>([
  ['Deployment', { spec: { replicas: 2, template: TEMPLATE }, status: { observedGeneration: 1, readyReplicas: 2, replicas: 2, conditions: [{ type: 'Progressing', status: 'True', reason: 'x' }] } }],
  ['DaemonSet', { spec: { template: { ...TEMPLATE, spec: { ...TEMPLATE.spec, nodeSelector: { 'sluice.dev/nowhere': 'true' } } } }, status: { observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, numberMisscheduled: 0, numberReady: 2 } }],
  ['Pod', { status: { phase: 'Pending', conditions: [{ type: 'Ready', status: 'False' }], containerStatuses: [{ name: 'a', ready: false, state: { waiting: { reason: 'ImagePullBackOff', message: 'no' } } }] } }],
  ['EndpointSlice', { endpoints: [{ conditions: { ready: true }, targetRef: { name: 'a' } }] }],
  ['PodDisruptionBudget', { spec: { minAvailable: 1, selector: { matchLabels: { app: 'reviews' }, matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] } } }],
  [
    'HorizontalPodAutoscaler',
    {
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'reviews' }, metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }] },
      status: { conditions: [{ type: 'ScalingActive', status: 'False', reason: 'a', message: 'b' }], currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 90, averageValue: '100m' } } }] },
    },
  ],
  ['ScaledObject', { spec: { scaleTargetRef: { kind: 'Canary', name: 'reviews' }, triggers: [{ type: 'kafka', metadata: { hostFromEnv: 'A' } }] } }],
]);

const ANSWERS = [
  { status: 'success', data: { resultType: 'vector', result: [{ metric: { a: 'b' }, value: [1_700_000_000.1, '1.5'] }] } },
  { status: 'success', data: { resultType: 'scalar', result: [1, 'NaN'] } },
  { status: 'error', errorType: 'bad_data', error: 'parse error' },
];
async function ask(status: number, body: string): Promise<void> {
  const client = new PrometheusClient({ http: answering({ status, body }), timeoutMs: 1_000 });
  const result = await client.query({ server: 'http://prometheus:9090', query: 'up', time: 0 });
  if (result.kind === 'failed') short(result.message, 'the failure');
  else for (const { value } of result.samples) if (typeof value !== 'number') throw new Error('a sample is no number');
}

const HOOK_TYPES: HookType[] = ['github', 'gitlab', 'gitea', 'bitbucket', 'azure', 'generic'];
const PUSHES = [
  { ref: 'refs/heads/main', after: 'a'.repeat(40), repository: { clone_url: 'https://x/y' } },
  { push: { changes: [{ new: { type: 'branch', name: 'main', target: { hash: 'b'.repeat(40) } } }] } },
  { eventType: 'git.push', id: '1', resource: { refUpdates: [{ name: 'refs/heads/main', newObjectId: 'c'.repeat(40) }] } },
];

const KUBECONFIG = stringify({
  'current-context': 'a',
  clusters: [{ name: 'a', cluster: { server: 'https://127.0.0.1:6443', 'certificate-authority-data': 'eA==' } }],
  users: [{ name: 'a', user: { token: 't' } }],
  contexts: [{ name: 'a', context: { cluster: 'a', user: 'a', namespace: 'shop' } }],
});
let folder: string | undefined;
async function readKubeconfig(content: string): Promise<void> {
  folder ??= mkdtempSync(join(tmpdir(), 'sluice-fuzz-'));
  const file = join(folder, 'config');
  writeFileSync(file, content);
  try {
    await loadClusterAccess({ kubeconfig: file, env: {} });
  } catch (error) {
    const { message } = error as Error;
    if (!(error instanceof Error) || !message.startsWith(`kubeconfig ${file}`)) throw error;
    short(message, 'the refusal');
  }
}

const FRAMES = [
  { type: 'ADDED', object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'b', resourceVersion: '5' } } },
  { type: 'BOOKMARK', object: { kind: 'Pod', metadata: { resourceVersion: '9' } } },
  { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } },
];
/** Cut at arbitrary places, as a network does. */
async function watch(lines: string[], cuts: number[]): Promise<void> {
  const whole = Buffer.from(lines.join('\n'));
  const places = [...new Set([0, ...cuts.map((share) => Math.floor(share * whole.length)), whole.length])].toSorted((a, b) => a - b);
  const chunks = places.slice(1).map((end, index) => whole.subarray(places[index], end));
  const response = Object.assign(Readable.from(chunks), { statusCode: 200, headers: {} });
  const transport = { open: () => Promise.resolve(response) } as unknown as Transport;
  try {
    await openWatch({ transport, resource: Resources.Pod, what: 'watch pods', options: { resourceVersion: '1', signal: new AbortController().signal }, headers: {}, onEvent: () => {} });
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    short(error.message, 'the refusal');
  }
}

const hook = (answer: { status: number; body: string; after: string }): Promise<void> => {
  const body = Readable.from([Buffer.from(answer.body)]);
  // As axios gives it: status, headers and the stream of the body.
  const instance = { request: () => Promise.resolve({ status: answer.status, headers: { 'retry-after': answer.after }, data: body }) } as unknown as NonNullable<Parameters<typeof createHookCaller>[0]>['axios'];
  const caller = createHookCaller({ axios: instance, sleep: () => Promise.resolve() });
  const webhook = { name: 'gate', type: 'rollout', url: 'http://gate/', timeout: '1s', retries: 1, muteAlert: false } as never;
  return caller.call(webhook, { name: 'reviews', namespace: 'shop', phase: 'Progressing', checksum: 'x', metadata: {} }).then(({ message }) => {
    caller.close();
    short(message, 'the answer');
  });
};

export const TARGETS: Target[] = [
  target('VirtualServices and DestinationRules', fc.tuple(spoilt(virtualService(), virtualService({ 'sluice.dev/overlay': memo })), spoilt(rule), fc.boolean(), fc.constantFrom('services' as const, 'subsets' as const)), ([service, other, own, routing]) =>
    route([named(service, virtualService())], [named(other, rule)], own, routing),
  ),
  target('remembered overlays', fc.tuple(spoiltText(memo, JSON.stringify({ canary: 'reviews', user: { '/spec/replicas': 3 }, ours: { '/spec/replicas': 0 } })), fc.array(fc.tuple(text(), fc.oneof(text(), fc.integer(), fc.constant(null))))), ([annotation, pairs]) => {
    const paths = JSON.stringify({ canary: 'reviews', user: Object.fromEntries(pairs.map(([path, value]) => [`/${path}`, value])), ours: {} });
    for (const value of [annotation, paths]) {
      const live: KubeObject = { ...virtualService({ 'sluice.dev/overlay': value }), kind: 'Service' };
      layOver(live, 'reviews', { '/spec/selector/a': 'b' });
      liftOff(live);
      overlayManifest(virtualService(), live);
      route([virtualService({ 'sluice.dev/overlay': value })], [], true);
    }
  }),
  target('Canary specs and statuses', fc.tuple(spoilt<unknown>(CANARY, SHORT), spoilt<unknown>(STATUS)), ([spec, status]) => {
    const read = canarySpec.safeParse(spec);
    if (read.success) {
      compilePlan(read.data.analysis);
      canaryNames(read.data);
    }
    canaryStatus.safeParse(status);
  }),
  target('pod templates', spoilt<unknown>(TEMPLATE), (template) => {
    const read = podTemplateSchema.safeParse(template);
    if (read.success) makeRevision(read.data, []);
  }),
  target('workloads, budgets and autoscalers', fc.tuple(fc.constantFrom(...OBJECTS.keys()), spoilt<unknown>(...OBJECTS.values())), ([kind, object]) => {
    const { metadata: _, ...content } = (typeof object === 'object' && object !== null ? object : {}) as Record<string, unknown>;
    // What the API server itself answers for has its form; the rest was written by anybody, where a schema is wide or missing.
    const live = { ...content, apiVersion: 'v1', kind, metadata: { name: 'reviews', namespace: 'shop', generation: 1 } } as KubeObject;
    readWorkload(live);
    podLabels(live);
    readTemplate(live);
    podFailure(live);
    isReady(live);
    readyIn(live);
    budgetKeys(live);
    selectsPods(live, { app: 'reviews' });
    scaledCanary(live);
    scaledDeployment(live);
    const slim = slimAutoscaler(live);
    inactivity(slim);
    const { loadRatio } = metricsOf(slim);
    if (loadRatio !== undefined && !Number.isFinite(loadRatio)) throw new Error(`a load of ${loadRatio}`);
  }),
  target('Git manifests', spoiltText(...MANIFESTS), (manifest) => {
    const { objects, failures } = parseManifests('a.yaml', manifest);
    for (const { message } of failures) short(message, 'a failure');
    for (const { manifest: object } of objects) digestOf(object);
    if (objects.length > manifest.length) throw new Error(`${objects.length} objects of ${manifest.length} characters`);
  }),
  target('Git addresses, references and paths', fc.oneof(text(), spoiltText('https://host/shop.git', 'git@host:shop.git', 'file:///srv/shop.git', 'ssh://git@host/shop', 'release/1.x', '>=1.2.0 <2', './deploy')).map((value) => value.slice(0, MAX_FIELD)), (value) => {
    refusing(SyncError, () => {
      const remote = parseRemoteUrl(value);
      if (remote.text.startsWith('-') || /^[a-z]+::/.test(remote.text)) throw new Error(`Git would read ${remote.text} as something else`);
    });
    for (const field of ['branch', 'tag', 'semver', 'commit'] as const)
      refusing(SyncError, () => {
        const ref = parseRef({ [field]: value });
        if (ref.kind !== 'semver' && ref.kind !== 'commit' && /^-|\.\.|[ \t\n*?[\\^~:]/.test(ref.name)) throw new Error(`Git would read ${ref.name} as something else`);
        if (ref.kind !== 'commit') resolveRef(ref, value);
      });
    refusing(SyncError, () => {
      const path = parsePath(value);
      if (path.split('/').includes('..') || path.startsWith('/')) throw new Error(`${path} leaves the repository`);
    });
  }),
  target('relative addresses of submodules', fc.tuple(fc.constantFrom('https://host.example/shop/app.git', 'git@host.example:shop/app.git', 'ssh://git@host.example:22/shop/app'), fc.oneof(text(), spoiltText('../parts.git', './../../x', '..//other.example/x', '../@other.example/x')).map((value) => value.slice(0, MAX_FIELD))), ([parent, address]) => {
    const resolved = resolveAddress(parent, `../${address}`);
    if (resolved !== undefined) refusing(SyncError, () => {
      const { host, protocol } = parseRemoteUrl(resolved);
      if (host !== 'host.example' || protocol !== parseRemoteUrl(parent).protocol) throw new Error(`${resolved} leads to ${protocol} ${host}`);
    });
  }),
  target('Prometheus answers', fc.tuple(fc.constantFrom(200, 200, 200, 204, 302, 400, 401, 422, 500, 503), fc.oneof(spoilt<unknown>(...ANSWERS).map((value) => JSON.stringify(value)), spoiltText(...ANSWERS.map((value) => JSON.stringify(value))), text())), ([status, body]) => ask(status, body)),
  target('answers of webhooks', fc.record({ status: fc.integer({ min: 200, max: 599 }), body: text(), after: fc.oneof(text(), fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()), fc.nat().map(String)) }), async (answer) => {
    await hook(answer);
    const seconds = retryAfterSeconds(answer.after, 0);
    if (seconds !== undefined && !(seconds >= 0)) throw new Error(`${answer.after} is ${seconds} s`);
  }),
  target('pushes that Git hosts announce', fc.tuple(fc.constantFrom(...HOOK_TYPES), fc.oneof(spoilt<unknown>(...PUSHES).map((value) => JSON.stringify(value)), text()), fc.dictionary(fc.constantFrom('x-github-event', 'x-hub-signature-256', 'x-gitlab-token', 'authorization', 'x-event-key', 'x-sluice-delivery'), text())), ([type, body, headers]) => {
    const delivery = { headers, body: Buffer.from(body ?? '') };
    if (isAuthentic(type, delivery, 'the-token-that-nobody-guesses')) throw new Error('it believed a stranger');
    for (const { name, commit } of readAnnouncement(type, delivery).refs) if (typeof name !== 'string' || !/^[0-9a-f]+$/.test(commit)) throw new Error(`${name} ${commit}`);
  }),
  target('kubeconfigs', fc.oneof(spoiltText(KUBECONFIG), spoilt<unknown>(parse(KUBECONFIG)).map((value) => JSON.stringify(value) ?? '')), readKubeconfig),
  target(
    'frames of a watch',
    fc.tuple(fc.array(fc.oneof(spoilt<unknown>(...FRAMES).map((value) => JSON.stringify(value)), junk().map((value) => JSON.stringify(value)), text()), { maxLength: 6 }), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 })),
    ([lines, cuts]) => watch(lines, cuts),
  ),
  ...METRIC_TARGETS,
];
