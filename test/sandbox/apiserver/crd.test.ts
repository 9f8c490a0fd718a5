import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../../src/sandbox/apiserver/index.js';
import { canary, CANARIES, canaryCrd, Client, eventually, start, type Doc } from './harness.js';

let server: ApiServer;
let client: Client;
beforeAll(async () => {
  ({ server, client } = await start({ crds: [canaryCrd()] }));
});
afterAll(() => server.stop());

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

async function refused(spec: Doc): Promise<string[]> {
  const { status, body } = await client.post(CANARIES, canary('bad', spec));
  expect(status).toBe(422);
  expect(body.message).toContain('Canary.demo.dev "bad" is invalid: ');
  return (body.details?.causes ?? []).map((cause) => `${cause.field}: ${cause.message}`);
}

describe('CustomResourceDefinitions', () => {
  it('are established and served at once', async () => {
    const { body } = await client.get(`${CRDS}/canaries.demo.dev`);
    const { conditions, storedVersions } = body['status'] as { conditions: Doc[]; storedVersions: string[] };
    expect(conditions.map((condition) => `${String(condition['type'])}=${String(condition['status'])}`)).toEqual([
      'NamesAccepted=True',
      'Established=True',
    ]);
    expect(storedVersions).toEqual(['v1']);
    expect((await client.get(CANARIES)).body).toMatchObject({ kind: 'CanaryList', items: [] });
  });

  it('are refused when they are not structural', async () => {
    const crd = canaryCrd();
    const broken = structuredClone(crd) as unknown as { metadata: Doc; spec: { names: Doc; versions: Doc[] } };
    broken.metadata = { name: 'others.demo.dev' };
    expect((await client.post(CRDS, broken)).body.message).toContain(
      'metadata.name: Invalid value: "others.demo.dev": must be spec.names.plural+"."+spec.group',
    );
    broken.spec.names = { plural: 'others', kind: 'Other' };
    broken.spec.versions = [
      { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: {} } } } },
    ];
    const { status, body } = await client.post(CRDS, broken);
    expect(status).toBe(422);
    expect(body.message).toContain('spec.validation.openAPIV3Schema.properties[spec].type: Required value');
  });

  it('are withdrawn with their objects', async () => {
    const crd = canaryCrd() as unknown as { metadata: Doc; spec: { names: Doc } };
    crd.metadata = { name: 'birds.demo.dev' };
    crd.spec.names = { plural: 'birds', kind: 'Bird' };
    await client.post(CRDS, crd);
    const path = '/apis/demo.dev/v1/namespaces/default/birds';
    expect((await client.post(path, { ...canary('robin'), kind: 'Bird' })).status).toBe(201);
    await client.delete(`${CRDS}/birds.demo.dev`);
    await eventually('the kind is gone', async () => (await client.get(path)).status === 404);
    expect((await client.get(`${CRDS}/birds.demo.dev`)).status).toBe(404);
  });
});

describe('schemas', () => {
  it('set defaults and prune unknown fields', async () => {
    const { body } = await client.post(
      CANARIES,
      canary('shaped', { free: { any: { thing: 1 } }, unknown: 1, target: { name: 'reviews', other: 2 } }),
    );
    expect(body['spec']).toEqual({ free: { any: { thing: 1 } }, stepWeight: 5, target: { kind: 'Deployment', name: 'reviews' } });
  });

  it('refuse unknown fields under fieldValidation=Strict, and warn by default', async () => {
    const strict = await client.post(`${CANARIES}?fieldValidation=Strict`, canary('strict', { foo: 1 }));
    expect(strict.status).toBe(400);
    expect(strict.body.message).toContain('strict decoding error: unknown field "spec.foo"');
    const warned = await client.post(CANARIES, canary('warned', { foo: 1 }));
    expect(warned.headers.get('Warning')).toContain('unknown field \\"spec.foo\\"');
  });

  it('report types, required fields, enums, limits and patterns in the words of the real server', async () => {
    expect(await refused({ stepWeight: 'x' })).toContain(
      'spec.stepWeight: Invalid value: "string": spec.stepWeight in body must be of type integer: "string"',
    );
    expect(await refused({ stepWeight: 0 })).toContain(
      'spec.stepWeight: Invalid value: 0: spec.stepWeight in body should be greater than or equal to 1',
    );
    expect(await refused({ stepWeight: 101 })).toContain(
      'spec.stepWeight: Invalid value: 101: spec.stepWeight in body should be less than or equal to 100',
    );
    expect(await refused({ target: {} })).toContain('spec.target.name: Required value');
    expect(await refused({ target: { name: 'reviews', kind: 'Pod' } })).toContain(
      'spec.target.kind: Unsupported value: "Pod": supported values: "Deployment", "StatefulSet"',
    );
    expect(await refused({ target: { name: 'R2' } })).toContain(
      'spec.target.name: Invalid value: "R2": spec.target.name in body should match \'^[a-z]+$\'',
    );
    expect(await refused({ target: { name: '' } })).toContain(
      'spec.target.name: Invalid value: "": spec.target.name in body should be at least 1 chars long',
    );
    const four = ['a', 'b', 'c', 'd'].map((name) => ({ name }));
    expect(await refused({ metrics: four })).toContain('spec.metrics: Too many: 4: must have at most 3 items');
    expect(await refused({ metrics: [{ name: 'a' }, { name: 'a' }] })).toContain(
      'spec.metrics[1]: Duplicate value: {"name":"a"}',
    );
    expect(await refused({ port: true })).toContain(
      'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
    );
  });

  it('evaluate CEL rules: message, messageExpression, fieldPath and reason', async () => {
    expect(await refused({ stepWeight: 50, maxWeight: 20 })).toEqual([
      'spec: Invalid value: stepWeight must not exceed maxWeight',
    ]);
    expect(await refused({ replicas: 200 })).toEqual(['spec.replicas: Forbidden: too many replicas: 200']);
    expect((await client.post(CANARIES, canary('ruled', { stepWeight: 20, maxWeight: 20, replicas: 99 }))).status).toBe(201);
  });

  it('evaluate transition rules on updates only', async () => {
    await client.post(CANARIES, canary('moved'));
    const { status, body } = await client.merge(`${CANARIES}/moved`, { spec: { target: { name: 'ratings' } } });
    expect(status).toBe(422);
    expect(body.message).toContain('spec.target: Invalid value: target is immutable');
    expect((await client.merge(`${CANARIES}/moved`, { spec: { stepWeight: 7 } })).status).toBe(200);
  });
});

describe('ratcheting', () => {
  it('forgives on updates what was stored before the schema forbade it', async () => {
    const crd = canaryCrd();
    const text = JSON.stringify(crd)
      .replaceAll('canaries', 'ratchets')
      .replaceAll('"Canary"', '"Ratchet"')
      .replaceAll('"cn"', '"rt"');
    await client.post(CRDS, text);
    const path = '/apis/demo.dev/v1/namespaces/default/ratchets';
    await client.post(path, { ...canary('old', { stepWeight: 60 }), kind: 'Ratchet' });
    const tighter = await client.json(`${CRDS}/ratchets.demo.dev`, [
      { op: 'replace', path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/stepWeight/maximum', value: 50 },
    ]);
    expect(tighter.status).toBe(200);
    expect((await client.post(path, { ...canary('new', { stepWeight: 60 }), kind: 'Ratchet' })).status).toBe(422);
    expect((await client.merge(`${path}/old`, { spec: { maxWeight: 70 } })).status).toBe(200);
    expect((await client.merge(`${path}/old`, { spec: { stepWeight: 61 } })).status).toBe(422);
  });
});

describe('custom objects', () => {
  it('raise generation for everything but metadata and status', async () => {
    await client.post(CANARIES, canary('counted'));
    const path = `${CANARIES}/counted`;
    expect((await client.merge(path, { metadata: { annotations: { a: 'b' } } })).body.metadata.generation).toBe(1);
    expect((await client.merge(`${path}/status`, { status: { weight: 3 } })).body.metadata.generation).toBe(1);
    expect((await client.merge(path, { spec: { stepWeight: 9 } })).body.metadata.generation).toBe(2);
  });

  it('need a resourceVersion on PUT', async () => {
    const { body } = await client.post(CANARIES, canary('put'));
    expect((await client.put(`${CANARIES}/put`, canary('put'))).status).toBe(422);
    const status = await client.put(`${CANARIES}/put/status`, { ...body, spec: {}, status: { weight: 1 } });
    expect(status.body).toMatchObject({ spec: { target: { name: 'reviews' } }, status: { weight: 1 } });
  });

  it('are served in every version, with one store', async () => {
    await client.post(CANARIES, canary('both'));
    const { body } = await client.get('/apis/demo.dev/v1alpha1/namespaces/default/canaries/both');
    expect(body).toMatchObject({ apiVersion: 'demo.dev/v1alpha1', spec: { stepWeight: 5 } });
    await client.merge('/apis/demo.dev/v1alpha1/namespaces/default/canaries/both', { spec: { stepWeight: 6 } });
    expect((await client.get(`${CANARIES}/both`)).body).toMatchObject({ apiVersion: 'demo.dev/v1', spec: { stepWeight: 6 } });
  });

  it('scale by the declared paths', async () => {
    await client.post(CANARIES, canary('scaled'));
    const path = `${CANARIES}/scaled/scale`;
    const absent = await client.get(path);
    expect(absent.status).toBe(500);
    expect(absent.body.message).toContain('the spec replicas field ".spec.replicas" does not exist');
    await client.merge(`${CANARIES}/scaled`, { spec: { replicas: 2 } });
    await client.merge(`${CANARIES}/scaled/status`, { status: { replicas: 2, selector: 'app=reviews' } });
    expect((await client.get(path)).body).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 2 },
      status: { replicas: 2, selector: 'app=reviews' },
    });
    expect((await client.merge(path, { spec: { replicas: 5 } })).body).toMatchObject({ spec: { replicas: 5 } });
    expect((await client.get(`${CANARIES}/scaled`)).body).toMatchObject({ spec: { replicas: 5 }, metadata: { generation: 3 } });
  });

  it('show their printer columns in tables', async () => {
    await client.post(CANARIES, canary('shown'));
    await client.merge(`${CANARIES}/shown/status`, { status: { weight: 30, conditions: [{ type: 'Ready', status: 'True' }] } });
    const { body } = await client.get(`${CANARIES}?fieldSelector=metadata.name=shown`, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
    });
    const columns = body['columnDefinitions'] as { name: string; priority: number }[];
    expect(columns.map((column) => `${column.name}/${column.priority}`)).toEqual([
      'Name/0',
      'Weight/0',
      'Ready/0',
      'Target/1',
      'Age/0',
    ]);
    expect(body['rows']).toMatchObject([
      {
        cells: ['shown', 30, 'True', 'reviews', expect.stringMatching(/^\d+s$/)],
        object: { kind: 'PartialObjectMetadata', metadata: { name: 'shown' } },
      },
    ]);
  });
});
