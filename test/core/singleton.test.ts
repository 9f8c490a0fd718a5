import { describe, expect, it } from 'vitest';
import { podTemplateSchema } from '../../src/core/pod-template.js';
import { singleton } from '../../src/core/singleton.js';

const template = (spec: object) =>
  podTemplateSchema.parse({ spec: { containers: [{ name: 'shop', image: 'shop:1' }], ...spec } });
const claim = (over: object = {}) =>
  template({ volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'shop-data', ...over } }] });

describe('what cannot run twice', () => {
  it('nothing is held against an ordinary Deployment', () => {
    expect(
      singleton(template({ volumes: [{ name: 'config', configMap: { name: 'shop' } }] }), 'RollingUpdate', []),
    ).toBeUndefined();
  });

  it('names what it is, and the field that overrules it', () => {
    expect(singleton(template({}), 'Recreate', [])).toMatch(/Recreate.*add Recreate to spec\.revisions\.allow/);
    expect(
      singleton(template({ initContainers: [{ name: 'init', ports: [{ containerPort: 1, hostPort: 80 }] }] }), undefined, []),
    ).toMatch(/container init takes hostPort 80.*add HostPort/);
    expect(singleton(claim(), undefined, [])).toMatch(/PersistentVolumeClaim shop-data.*add Volume/);
  });

  it('a claim that is only read is harmless', () => {
    expect(singleton(claim({ readOnly: true }), undefined, [])).toBeUndefined();
  });

  it('what is allowed is not asked about again', () => {
    expect(singleton(claim(), 'Recreate', ['Recreate', 'Volume'])).toBeUndefined();
    expect(singleton(claim(), 'Recreate', ['Volume'])).toMatch(/^spec\.strategy\.type/);
  });
});
