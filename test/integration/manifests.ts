import { API_VERSION } from '../../src/api/index.js';
import type { KubeObject } from '../../src/kube/types.js';

type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Objects are merged; undefined takes a field away; everything else is replaced. */
function overlaid(base: Fields, over: Fields): Fields {
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    if (value === undefined) delete result[key];
    else result[key] = isObject(below) && isObject(value) ? overlaid(below, value) : value;
  }
  return result;
}

export const image = (version: string): string => `registry.invalid/reviews:${version}`;

/** Pods of versions called `broken…` never become ready, those of `slow…` after a second. */
export const deployment = (version = 'v1', podSpec: Fields = {}, replicas = 2): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'reviews', labels: { app: 'reviews' } },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'reviews' } },
    template: {
      metadata: { labels: { app: 'reviews' } },
      spec: { containers: [{ name: 'reviews', image: image(version), ports: [{ name: 'http', containerPort: 9080 }], ...podSpec }] },
    },
  },
});

export const service = (name = 'reviews', selector: Fields | undefined = { app: 'reviews' }): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, labels: { app: 'reviews' } },
  spec: { ports: [{ name: 'http', port: 9080, targetPort: 'http' }], ...(selector ? { selector } : {}) },
});

const BASE_SPEC: Fields = {
  targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
  progressDeadlineSeconds: 120,
  service: { port: 9080, targetPort: 'http' },
  revisions: { drainFor: '200ms', warmFor: '300ms', settle: '100ms', history: 5 },
  analysis: {
    interval: '300ms',
    threshold: 2,
    stepWeights: [20, 60],
    warmup: '0s',
    metrics: [
      { name: 'request-success-rate', thresholdRange: { min: 99 } },
      { name: 'request-duration', thresholdRange: { max: 500 } },
    ],
    alerts: [{ name: 'team', severity: 'info', providerRef: { name: 'team' } }],
  },
};

/** A Canary in a hurry, with fields of its spec laid over. */
export const canary = (spec: Fields = {}, name = 'reviews'): KubeObject => ({ apiVersion: API_VERSION, kind: 'Canary', metadata: { name }, spec: overlaid(BASE_SPEC, spec) });

/** The same with its `analysis` laid over. */
export const canaryWith = (analysis: Fields): KubeObject => canary({ analysis });

export const alertProvider = (address: string, spec: Fields = {}): KubeObject => ({
  apiVersion: API_VERSION,
  kind: 'AlertProvider',
  metadata: { name: 'team' },
  spec: { type: 'webhook', address, timeout: '10s', ...spec },
});

export const metricTemplate = (query: string, name = 'errors'): KubeObject => ({
  apiVersion: API_VERSION,
  kind: 'MetricTemplate',
  metadata: { name },
  spec: { provider: { type: 'prometheus' }, query },
});

export const gitSource = (url: string, spec: Fields = {}): KubeObject => ({
  apiVersion: API_VERSION,
  kind: 'GitSource',
  metadata: { name: 'shop' },
  spec: { url, interval: '300ms', timeout: '5s', ...spec },
});

export const configMap = (data: Record<string, string>, name = 'reviews-config'): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
export const secret = (data: Record<string, string>, name = 'reviews-secret'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});
