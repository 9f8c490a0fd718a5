import { describe, expect, it } from 'vitest';
import { slotService, slotServicePatch } from '../../src/core/services.js';
import type { KubeObject } from '../../src/kube/types.js';
import { spec } from './builders.js';

const identity = { name: 'reviews', namespace: 'shop', spec: spec() };
const SELECTOR = { 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'green' };

const users = (over: { spec?: object; labels?: Record<string, string>; annotations?: Record<string, string> } = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'reviews', namespace: 'shop', labels: { app: 'reviews', ...over.labels }, annotations: { 'example.com/team': 'a', ...over.annotations } },
  spec: { type: 'NodePort', clusterIP: '10.0.0.1', selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080, targetPort: 'http', protocol: 'TCP', nodePort: 31_000 }], ...over.spec },
});

describe('the Service of a slot (trap I2)', () => {
  it('is reached as the one of the callers is: ports, who sees it, how near its endpoints are, and by which waypoint', () => {
    const like = users({
      spec: { trafficDistribution: 'PreferClose' },
      labels: { 'istio.io/use-waypoint': 'shop' },
      annotations: { 'networking.istio.io/exportTo': '.' },
    });
    expect(slotService(identity, 'green', like)).toEqual({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'reviews-green', namespace: 'shop', labels: { 'istio.io/use-waypoint': 'shop', ...SELECTOR }, annotations: { 'networking.istio.io/exportTo': '.' } },
      spec: { type: 'ClusterIP', ports: [{ name: 'http', port: 9080, targetPort: 'http', protocol: 'TCP' }], selector: SELECTOR, trafficDistribution: 'PreferClose' },
    });
  });

  it('is never headless and never shows pods that are not ready, whatever the one of the callers does', () => {
    const { spec: made } = slotService(identity, 'green', users({ spec: { clusterIP: 'None', publishNotReadyAddresses: true } })) as KubeObject & { spec: object };
    expect(Object.keys(made).sort()).toEqual(['ports', 'selector', 'type']);
  });

  it('follows what is written later, and needs no write while nothing of it differs', () => {
    const live = slotService(identity, 'green', users({ labels: { 'istio.io/use-waypoint': 'shop' } }));
    const served = { ...live, spec: { ...(live['spec'] as object), clusterIP: '10.0.0.2', sessionAffinity: 'None' } };
    expect(slotServicePatch(served, slotService(identity, 'green', users({ labels: { 'istio.io/use-waypoint': 'shop' } })))).toBeUndefined();
    const patch = slotServicePatch(served, slotService(identity, 'green', users({ annotations: { 'networking.istio.io/exportTo': 'shop' }, spec: { trafficDistribution: 'PreferClose' } })));
    expect(patch).toMatchObject({
      metadata: { labels: { 'istio.io/use-waypoint': null }, annotations: { 'networking.istio.io/exportTo': 'shop' } },
      spec: { trafficDistribution: 'PreferClose' },
    });
    expect(patch).not.toHaveProperty('metadata.labels.app');
  });
});
