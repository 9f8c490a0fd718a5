import { CANARIES, TABLE, apply, get, merge, post, put, remove } from '../build.js';
import type { Json, Request, Scenario } from '../types.js';

const canary = (name: string, change: Json = {}, analysis: Json = { stepWeight: 10, maxWeight: 50 }): Json => ({
  apiVersion: 'sluice.dev/v1beta1',
  kind: 'Canary',
  metadata: { name },
  spec: {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
    service: { port: 9080 },
    analysis,
    ...change,
  },
});
const tried = (name: string, change: Json, analysis?: Json): Request =>
  post(name, `${CANARIES}?dryRun=All`, canary('tried', change, analysis));

const ISTIO = '/apis/networking.istio.io/v1/namespaces/{{ns}}';
const route = (weights: [string, number][], more: Json = {}): Json => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'reviews' },
  spec: {
    hosts: ['reviews'],
    http: [
      {
        name: 'primary',
        route: weights.map(([host, weight]) => ({ destination: { host, port: { number: 9080 } }, weight })),
        ...more,
      },
    ],
  },
});
const rule = (spec: Json): Json => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'reviews' },
  spec,
});

/** Sluice's kinds. */
export const sluice: Scenario[] = [
  {
    namespace: 'sluice-kinds',
    steps: [
      tried('a Canary gets its defaults', {}),
      tried('a Canary without steps', {}, {}),
      tried('a Canary with weights that do not increase', {}, { stepWeights: [10, 5] }),
      tried('a Canary with a maximum below its step', {}, { stepWeight: 60, maxWeight: 50 }),
      tried('a Canary with an interval that is none', {}, { stepWeight: 10, interval: 'soon' }),
      tried('a Canary of another kind of workload', { targetRef: { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'x' } }),
      tried('a Canary without a target', { targetRef: null }),
      tried('a Canary with a port that is none', { service: { port: 70000 } }),
      tried('a Canary with an unknown field', { colour: 'blue' }),
      tried(
        'a Canary with steps',
        {},
        {
          steps: [
            { weight: 5, hold: '1m' },
            { weight: 50, approve: true },
          ],
        },
      ),
      tried('a Canary with slots of one name', { service: { port: 80, slots: { blue: 'a', green: 'a' } } }),
      post('a Canary is created', CANARIES, canary('reviews'), { save: { rv: 'metadata.resourceVersion' } }),
      merge('the status of a Canary is written', `${CANARIES}/reviews/status`, { status: { phase: 'Running' } }),
      apply('a Canary is applied as Git has it', `${CANARIES}/reviews`, canary('reviews'), 'sluice', '&force=true'),
      get('Canaries as a table', CANARIES, { accept: TABLE }),
      get('the scale of a Canary is read', `${CANARIES}/reviews/scale`),
      put('a Canary is replaced from an old version', `${CANARIES}/reviews`, {
        ...canary('reviews'),
        metadata: { name: 'reviews', resourceVersion: '{{rv}}' },
      }),
      post('a CanaryAction is created', CANARIES.replace('canaries', 'canaryactions'), {
        apiVersion: 'sluice.dev/v1beta1',
        kind: 'CanaryAction',
        metadata: { generateName: 'reviews-' },
        spec: { canary: 'reviews', verb: 'approve' },
      }),
      post('a CanaryAction of an unknown sort', CANARIES.replace('canaries', 'canaryactions'), {
        apiVersion: 'sluice.dev/v1beta1',
        kind: 'CanaryAction',
        metadata: { name: 'x' },
        spec: { canary: 'reviews', verb: 'jump' },
      }),
      post('a GitSource without a repository', CANARIES.replace('canaries', 'gitsources'), {
        apiVersion: 'sluice.dev/v1beta1',
        kind: 'GitSource',
        metadata: { name: 'x' },
        spec: {},
      }),
      post('a MetricTemplate is created', CANARIES.replace('canaries', 'metrictemplates'), {
        apiVersion: 'sluice.dev/v1beta1',
        kind: 'MetricTemplate',
        metadata: { name: 'm' },
        spec: { provider: { type: 'prometheus' }, query: 'up' },
      }),
      post('an AlertProvider of an unknown type', CANARIES.replace('canaries', 'alertproviders'), {
        apiVersion: 'sluice.dev/v1beta1',
        kind: 'AlertProvider',
        metadata: { name: 'x' },
        spec: { type: 'pigeon' },
      }),
      remove('Canaries are deleted together', CANARIES, undefined, { view: (body) => (body['items'] as Json[]).length }),
    ],
  },
];

/** Istio's kinds, as Sluice writes them. */
export const istio: Scenario[] = [
  {
    namespace: 'istio-kinds',
    steps: [
      post(
        'a VirtualService is created',
        `${ISTIO}/virtualservices`,
        route([
          ['reviews-blue', 100],
          ['reviews-green', 0],
        ]),
        { save: { rv: 'metadata.resourceVersion' } },
      ),
      merge('the weights of a VirtualService are patched', `${ISTIO}/virtualservices/reviews`, {
        spec: route([
          ['reviews-blue', 90],
          ['reviews-green', 10],
        ])['spec'] as Json,
      }),
      apply(
        'a VirtualService is applied',
        `${ISTIO}/virtualservices/reviews`,
        route([
          ['reviews-blue', 80],
          ['reviews-green', 20],
        ]),
        'sluice',
        '&force=true',
      ),
      apply(
        'another applier wants other weights: a conflict',
        `${ISTIO}/virtualservices/reviews`,
        route([
          ['reviews-blue', 70],
          ['reviews-green', 30],
        ]),
        'other',
      ),
      put('a VirtualService is replaced from an old version', `${ISTIO}/virtualservices/reviews`, {
        ...route([['reviews-blue', 1]]),
        metadata: { name: 'reviews', resourceVersion: '{{rv}}' },
      }),
      get(
        'a VirtualService is read in another version',
        '/apis/networking.istio.io/v1beta1/namespaces/{{ns}}/virtualservices/reviews',
      ),
      get('VirtualServices as a table', `${ISTIO}/virtualservices`, { accept: TABLE }),
      post(
        'a VirtualService with a weight as text',
        `${ISTIO}/virtualservices?dryRun=All`,
        route([['a', 'ten' as unknown as number]]),
      ),
      post('a VirtualService with a match', `${ISTIO}/virtualservices?dryRun=All`, {
        ...route([['a', 100]], {
          match: [{ headers: { cookie: { regex: '^user=a$' } }, uri: { prefix: '/x' } }],
          timeout: '5s',
          retries: { attempts: 3 },
        }),
        metadata: { name: 'x' },
      }),
      post('a VirtualService with two sorts of match at once', `${ISTIO}/virtualservices?dryRun=All`, {
        ...route([['a', 100]], { match: [{ uri: { prefix: '/x', exact: '/x' } }] }),
        metadata: { name: 'x' },
      }),
      post('a VirtualService with an unknown field', `${ISTIO}/virtualservices?dryRun=All`, {
        ...route([['a', 100]], { colour: 'blue' }),
        metadata: { name: 'x' },
      }),
      post('a VirtualService with a timeout that is none', `${ISTIO}/virtualservices?dryRun=All`, {
        ...route([['a', 100]], { timeout: 'soon' }),
        metadata: { name: 'x' },
      }),
      post(
        'a DestinationRule is created',
        `${ISTIO}/destinationrules`,
        rule({
          host: 'reviews',
          trafficPolicy: { loadBalancer: { simple: 'LEAST_REQUEST' } },
          subsets: [{ name: 'v1', labels: { version: 'v1' } }],
        }),
      ),
      post('a DestinationRule without a host', `${ISTIO}/destinationrules?dryRun=All`, rule({})),
      post(
        'a DestinationRule with an unknown balancer',
        `${ISTIO}/destinationrules?dryRun=All`,
        rule({ host: 'x', trafficPolicy: { loadBalancer: { simple: 'MAGIC' } } }),
      ),
      remove('a VirtualService is deleted', `${ISTIO}/virtualservices/reviews`),
    ],
  },
];
