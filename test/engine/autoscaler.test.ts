import { describe, expect, it } from 'vitest';
import { inactivity, metricsOf, quantity, slimAutoscaler } from '../../src/engine/autoscaler-state.js';
import type { KubeObject } from '../../src/kube/index.js';

const autoscaler = (metrics: unknown, status: unknown = {}): KubeObject =>
  slimAutoscaler({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'reviews' }, spec: { metrics }, status } as KubeObject);
const resource = (name: string, target: object) => ({ type: 'Resource', resource: { name, target } });
const active = (status: string, reason: string) => autoscaler([], { conditions: [{ type: 'AbleToScale', status: 'True' }, { type: 'ScalingActive', status, reason, message: 'said so' }] });

describe('metrics of an autoscaler', () => {
  it.each([
    ['CPU', resource('cpu', { type: 'Utilization', averageUtilization: 80 }), false],
    ['memory', resource('memory', { type: 'Utilization', averageUtilization: 80 }), true],
    ['memory of one container', { type: 'ContainerResource', containerResource: { name: 'memory', container: 'app', target: { type: 'AverageValue', averageValue: '1Gi' } } }, true],
    ['a metric of pods', { type: 'Pods', pods: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '10' } } }, true],
    ['a value of an object', { type: 'Object', object: { metric: { name: 'rps' }, target: { type: 'Value', value: '10' } } }, true],
    ['an average of an object', { type: 'Object', object: { metric: { name: 'rps' }, target: { type: 'AverageValue', averageValue: '10' } } }, false],
    ['an external value', { type: 'External', external: { metric: { name: 'lag' }, target: { type: 'Value', value: '10' } } }, true],
    ['an external average', { type: 'External', external: { metric: { name: 'lag' }, target: { type: 'AverageValue', averageValue: '10' } } }, false],
  ])('%s', (_, metric, perPod) => {
    expect(metricsOf(autoscaler([metric]))).toEqual({ perPod });
  });

  it('tell how far the load is above what was asked for, memory aside', () => {
    const metrics = [resource('memory', { type: 'AverageValue', averageValue: '100Mi' }), resource('cpu', { type: 'Utilization', averageUtilization: 50 }), resource('cpu', { type: 'AverageValue', averageValue: '500m' })];
    const current = (name: string, now: object) => ({ type: 'Resource', resource: { name, current: now } });
    const currentMetrics = [current('memory', { averageValue: '300Mi' }), current('cpu', { averageUtilization: 60 }), current('cpu', { averageValue: '1' })];
    expect(metricsOf(autoscaler(metrics, { currentMetrics }))).toEqual({ perPod: true, loadRatio: 2 });
    expect(metricsOf(autoscaler(metrics, { currentMetrics: [currentMetrics[0], null, 'nonsense'] }))).toEqual({ perPod: true });
  });

  it('that cannot be read are none', () => {
    expect(metricsOf(autoscaler('nonsense'))).toEqual({ perPod: false });
  });
});

describe('an autoscaler', () => {
  it('is inactive when it says so, but for one that 0 replicas switched off', () => {
    expect(inactivity(active('False', 'FailedGetResourceMetric'))).toMatchObject({ reason: 'FailedGetResourceMetric', message: 'said so' });
    expect(inactivity(active('False', 'ScalingDisabled'))).toBeUndefined();
    expect(inactivity(active('True', 'ValidMetricFound'))).toBeUndefined();
    expect(inactivity(autoscaler([]))).toBeUndefined();
  });

  it.each([['250m', 0.25], ['2', 2], ['1.5', 1.5], ['1Ki', 1024], ['3M', 3e6], ['', Number.NaN], [undefined, Number.NaN], ['1x', Number.NaN]])('reads the quantity %s', (text, value) => {
    expect(quantity(text)).toBe(value);
  });
});
