import { describe, expect, it } from 'vitest';
import { layOver, resetFields, type Fields } from '../../src/core/overlay.js';
import { foreignOwner } from '../../src/core/managers.js';
import type { KubeObject } from '../../src/kube/index.js';

const OURS: Fields = { '/spec/selector/sluice.dev~1canary': 'reviews', '/spec/selector/sluice.dev~1slot': 'blue' };
/** The object with the memo of an overlay, but without its values. */
function remembering(object: KubeObject, fields: Fields): KubeObject {
  const patch = layOver(object, 'reviews', fields) as { metadata: { annotations: Record<string, string> } };
  return { ...object, metadata: { ...object.metadata, ...patch.metadata } };
}
/** A Service with our overlay for the blue slot, whose selector now says something else. */
function service(selector: Record<string, string>, managedFields: NonNullable<KubeObject['metadata']['managedFields']> = []): KubeObject {
  const bare: KubeObject = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'reviews', namespace: 'shop' }, spec: { selector: { app: 'reviews' } } };
  const laid = remembering(bare, OURS);
  return { ...laid, metadata: { ...laid.metadata, managedFields }, spec: { selector } };
}
const owner = (manager: string, fields: object, time = '2030-01-01T00:00:00Z') => ({ manager, operation: 'Apply', time, fieldsV1: { 'f:spec': fields } });

describe('a field that an overlay lies on', () => {
  it.each([
    ['is as it was laid', { app: 'reviews', 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'blue' }, []],
    ['is what the user once wrote', { app: 'reviews' }, ['/spec/selector']],
    ['selects both slots', { app: 'reviews', 'sluice.dev/canary': 'reviews' }, ['/spec/selector']],
    ['is an earlier overlay, written by a tool that takes over what is live', { app: 'reviews', 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'green' }, []],
  ])('%s', (_, selector: Record<string, string>, fields) => {
    expect(resetFields(service(selector))).toEqual(fields);
  });

  it('is named as a whole, as tools know it', () => {
    const bare: KubeObject = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'reviews' }, spec: { scaleTargetRef: { kind: 'Deployment', name: 'reviews' } } };
    expect(resetFields(remembering(bare, { '/spec/scaleTargetRef/kind': 'Canary', '/spec/scaleTargetRef/name': 'reviews' }))).toEqual(['/spec/scaleTargetRef']);
  });
});

describe('who wrote a field', () => {
  it.each([
    ['the one that owns it', [owner('argocd-controller', { 'f:selector': {} })], 'argocd-controller'],
    ['the last of several', [owner('kubectl', { 'f:selector': {} }), owner('kustomize-controller', { 'f:selector': {} }, '2030-01-01T00:00:01Z')], 'kustomize-controller'],
    ['not who owns other fields', [owner('kubectl', { 'f:ports': {} })], undefined],
    ['never Sluice', [owner('sluice', { 'f:selector': { 'f:sluice.dev/slot': {} } }), owner('sluice-git', { 'f:selector': {} })], undefined],
    ['nobody, where the server does not tell', [], undefined],
  ])('%s', (_, managedFields, manager) => {
    expect(foreignOwner(service({ app: 'reviews' }, managedFields), '/spec/selector')).toBe(manager);
  });
});
