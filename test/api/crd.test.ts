import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { crds, KINDS, kindSchema } from '../../src/api/crd.js';
import { structuralSchema, type StructuralSchema } from '../../src/api/structural.js';

const crd = (name: string) => {
  const found = crds().find((one) => one.metadata.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found as unknown as {
    spec: {
      names: Record<string, unknown>;
      versions: {
        schema: { openAPIV3Schema: StructuralSchema };
        subresources: Record<string, unknown>;
        additionalPrinterColumns: { name: string; jsonPath: string; priority?: number }[];
      }[];
    };
  };
};

const at = (schema: StructuralSchema, path: string): StructuralSchema => {
  let here: StructuralSchema | undefined = schema;
  for (const part of path.split('.')) here = part === '[]' ? here?.items : here?.properties?.[part];
  if (!here) throw new Error(`no ${path}`);
  return here;
};

const walk = (schema: StructuralSchema, path: string, visit: (schema: StructuralSchema, path: string) => void): void => {
  visit(schema, path);
  for (const [name, inner] of Object.entries(schema.properties ?? {})) walk(inner, `${path}.${name}`, visit);
  if (schema.items) walk(schema.items, `${path}[]`, visit);
  if (schema.additionalProperties) walk(schema.additionalProperties, `${path}.*`, visit);
};

describe('the CustomResourceDefinitions', () => {
  const canary = kindSchema(KINDS[0]!);

  it.each(crds().map(({ metadata }) => metadata.name))('say of every field of a spec what it is for: %s', (name) => {
    const { spec } = crd(name).spec.versions[0]?.schema.openAPIV3Schema.properties ?? {};
    const silent: string[] = [];
    walk(spec ?? {}, 'spec', (schema, path) => {
      // Items and values are described by their list or map.
      if (!schema.description && /\.[^.*[\]]+$/.test(path)) silent.push(path);
    });
    expect(silent).toEqual([]);
  });

  it('are the five kinds of sluice.dev', () => {
    expect(crds().map((one) => one.metadata.name)).toEqual([
      'canaries.sluice.dev',
      'canaryactions.sluice.dev',
      'gitsources.sluice.dev',
      'metrictemplates.sluice.dev',
      'alertproviders.sluice.dev',
    ]);
  });

  it('give Canary a scale subresource, short names and the columns of `kubectl get`', () => {
    const { names, versions } = crd('canaries.sluice.dev').spec;
    expect(names).toMatchObject({ shortNames: ['cn'], categories: ['sluice', 'all'], singular: 'canary' });
    expect(versions[0]?.subresources).toEqual({
      status: {},
      scale: {
        specReplicasPath: '.spec.replicas',
        statusReplicasPath: '.status.replicas',
        labelSelectorPath: '.status.selector',
      },
    });
    const shown = versions[0]?.additionalPrinterColumns.filter((column) => !column.priority).map((column) => column.name);
    expect(shown).toEqual(['Status', 'Weight', 'Stable', 'Canary', 'Commit', 'Age']);
  });

  it('demand only fields without a default', () => {
    expect(at(canary, 'spec').required).toEqual(['targetRef', 'service', 'analysis']);
    expect(at(canary, 'spec.analysis').required).toBeUndefined();
    expect(at(canary, 'spec.analysis.interval').default).toBe('1m');
    expect(at(canary, 'spec.replicas').default).toBeUndefined();
  });

  it('say integer or string the way Kubernetes does', () => {
    expect(at(canary, 'spec.service.targetPort')).toMatchObject({
      'x-kubernetes-int-or-string': true,
      anyOf: [{ type: 'integer' }, { type: 'string' }],
      maximum: 65_535,
    });
    expect(at(canary, 'spec.service.targetPort').type).toBeUndefined();
  });

  it('keep unknown fields of what is passed on to Istio', () => {
    expect(at(canary, 'spec.service.retries')).toEqual({
      type: 'object',
      description: expect.any(String) as string,
      'x-kubernetes-preserve-unknown-fields': true,
    });
  });

  it('carry the rules that the API server evaluates', () => {
    expect(at(canary, 'spec.analysis.stepWeights')['x-kubernetes-validations']?.[0]?.message).toContain('increase');
    const action = kindSchema(KINDS[1]!);
    expect(at(action, 'spec')['x-kubernetes-validations']?.[0]?.rule).toBe('self == oldSelf');
  });

  it('describe every kind, spec and status', () => {
    for (const kind of KINDS) {
      const schema = kindSchema(kind);
      for (const one of [schema, at(schema, 'spec'), at(schema, 'status')]) expect(one.description?.length).toBeGreaterThan(20);
    }
  });

  it('bound every list, map and string, so that no rule can cost too much and no object grows without end', () => {
    const unbounded: string[] = [];
    for (const kind of KINDS) {
      walk(kindSchema(kind), kind.resource.kind, (schema, path) => {
        if (schema.type === 'array' && schema.maxItems === undefined) unbounded.push(path);
        if (schema.additionalProperties && schema.maxProperties === undefined) unbounded.push(path);
        const fixed = schema.enum ?? schema.pattern ?? schema.format ?? /\.(apiVersion|kind)$/.exec(path);
        if (schema.type === 'string' && schema.maxLength === undefined && !fixed) unbounded.push(path);
      });
    }
    expect(unbounded).toEqual([]);
  });
});

describe('structuralSchema', () => {
  it('drops the bounds that every integer has and names the width', () => {
    expect(structuralSchema(z.object({ n: z.int() })).properties?.n).toEqual({ type: 'integer', format: 'int64' });
    expect(structuralSchema(z.object({ n: z.int().min(-3).max(7) })).properties?.n).toEqual({
      type: 'integer',
      format: 'int64',
      minimum: -3,
      maximum: 7,
    });
  });

  it('refuses what Kubernetes cannot say, by path', () => {
    expect(() => structuralSchema(z.object({ a: z.object({ b: z.union([z.literal('x'), z.boolean()]) }) }))).toThrow('.a.b');
    expect(() => structuralSchema(z.object({ a: z.string().nullable() }))).toThrow('.a');
    expect(() => structuralSchema(z.object({ when: z.iso.date() }))).toThrow('.when: format "date"');
    expect(() => structuralSchema(z.object({ any: z.unknown() }))).toThrow('.any: a structural schema needs one type');
  });
});
