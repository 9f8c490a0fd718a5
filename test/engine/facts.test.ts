import { describe, expect, it } from 'vitest';
import { differs, isReady, podLabels, readTemplate, readyIn } from '../../src/engine/facts.js';
import type { KubeObject } from '../../src/kube/index.js';

const deployment = (over: { spec?: object; status?: object; metadata?: object } = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'reviews', namespace: 'shop', generation: 3, ...over.metadata },
  spec: { replicas: 2, template: { metadata: { labels: { app: 'reviews' } }, spec: { containers: [] } }, ...over.spec },
  status: { observedGeneration: 3, replicas: 2, readyReplicas: 2, ...over.status },
});
const pod = (ready: string, over: { metadata?: object; status?: object } = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'reviews-1', namespace: 'shop', ...over.metadata },
  status: { conditions: [{ type: 'Ready', status: ready, lastTransitionTime: '2030-01-01T00:00:00Z' }], ...over.status },
});
const slice = (endpoints: unknown): KubeObject => ({ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'reviews-x', namespace: 'shop' }, endpoints });

describe('an update wakes a Canary', () => {
  it('when a Deployment has another spec, labels, annotations, or number of ready pods', () => {
    for (const over of [{ metadata: { generation: 4 } }, { metadata: { labels: { a: 'b' } } }, { metadata: { annotations: { a: 'b' } } }, { status: { readyReplicas: 1 } }, { status: { observedGeneration: 2 } }])
      expect(differs('Workload', deployment(over), deployment())).toBe(true);
  });

  it('not when a Deployment counts its pods otherwise', () => {
    expect(differs('Workload', deployment({ status: { updatedReplicas: 1, unavailableReplicas: 1 }, metadata: { resourceVersion: '9' } }), deployment())).toBe(false);
  });

  it('when a pod becomes ready, is being deleted, or says why it does not start', () => {
    const waiting = { status: { containerStatuses: [{ name: 'app', state: { waiting: { reason: 'ImagePullBackOff' } } }] } };
    for (const changed of [pod('True'), pod('False', { metadata: { deletionTimestamp: '2030-01-01T00:00:00Z' } }), pod('False', waiting)]) expect(differs('Pod', changed, pod('False'))).toBe(true);
  });

  it('not when a pod gets an address', () => {
    expect(differs('Pod', pod('False', { status: { podIP: '10.0.0.1', conditions: [{ type: 'Ready', status: 'False' }] } }), pod('False'))).toBe(false);
  });

  it('when an object comes or goes', () => {
    expect(differs('Pod', pod('True'), undefined)).toBe(true);
    expect(differs('EndpointSlice', undefined, slice([]))).toBe(true);
  });

  it('when a slice has other ready endpoints', () => {
    const one = { targetRef: { name: 'reviews-1' }, conditions: { ready: true } };
    expect(differs('EndpointSlice', slice([one]), slice([{ ...one, conditions: { ready: false } }]))).toBe(true);
    expect(differs('EndpointSlice', slice([one]), slice([{ ...one, addresses: ['10.0.0.1'] }]))).toBe(false);
  });
});

describe('what is read', () => {
  it('an endpoint without a condition is ready, one without a pod has a name of its own', () => {
    expect(readyIn(slice([{}, { targetRef: { name: 'reviews-1' } }]))).toEqual(['reviews-x/0', 'reviews-1']);
    expect(readyIn(slice(null))).toEqual([]);
  });

  it('a pod that is being deleted is not ready any more', () => {
    expect(isReady(pod('True'))).toBe(true);
    expect(isReady(pod('True', { metadata: { deletionTimestamp: '2030-01-01T00:00:00Z' } }))).toBe(false);
  });

  it('a malformed workload is no workload', () => {
    expect(podLabels(deployment())).toEqual({ app: 'reviews' });
    expect(podLabels(deployment({ spec: { replicas: 'two' } }))).toBeUndefined();
    expect(readTemplate({ ...deployment(), spec: {} })).toHaveProperty('problem');
  });
});
