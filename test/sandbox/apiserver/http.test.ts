import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiServer, AuditEntry } from '../../../src/sandbox/apiserver/index.js';
import { canaryCrd, Client, configMap, deployment, DEPLOYMENTS, eventually, NS, start, Watch, type Doc } from './harness.js';

let server: ApiServer;
let client: Client;
const audit: AuditEntry[] = [];
beforeAll(async () => {
  ({ server, client } = await start({ crds: [canaryCrd()], auditLog: (entry) => audit.push(entry) }));
});
afterAll(() => server.stop());

describe('discovery', () => {
  it('lists groups and resources, custom kinds included', async () => {
    expect((await client.get('/version')).body).toMatchObject({ major: '1', minor: '35' });
    expect((await client.get('/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    const groups = (await client.get('/apis')).body['groups'] as { name: string; preferredVersion: { groupVersion: string } }[];
    expect(groups.map((group) => group.preferredVersion.groupVersion)).toEqual(
      expect.arrayContaining(['apps/v1', 'autoscaling/v2', 'demo.dev/v1']),
    );
    const { resources } = (await client.get('/apis/demo.dev/v1')).body as unknown as { resources: Doc[] };
    expect(resources.map((resource) => resource['name'])).toEqual(['canaries', 'canaries/status', 'canaries/scale']);
    expect(resources[0]).toMatchObject({ kind: 'Canary', singularName: 'canary', namespaced: true, shortNames: ['cn'] });
    expect(resources[2]).toMatchObject({ kind: 'Scale', group: 'autoscaling', version: 'v1' });
    expect((await client.get('/apis/no.such.group/v1')).status).toBe(404);
  });

  it('answers aggregated discovery when it is asked for', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    const { body, headers } = await client.get('/apis', { accept });
    expect(headers.get('Content-Type')).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    const apps = body.items?.find((item) => item.metadata.name === 'apps') as unknown as {
      versions: { resources: { resource: string; subresources?: Doc[] }[] }[];
    };
    const deployments = apps.versions[0]?.resources.find((resource) => resource.resource === 'deployments');
    expect(deployments?.subresources?.map((item) => item['subresource'])).toEqual(['scale', 'status']);
  });

  it('serves OpenAPI with the schemas of custom and built-in kinds', async () => {
    const { paths } = (await client.get('/openapi/v3')).body as unknown as {
      paths: Record<string, { serverRelativeURL: string }>;
    };
    const url = paths['apis/demo.dev/v1']?.serverRelativeURL ?? '';
    const doc = (await client.get(url)).body as unknown as {
      components: { schemas: Record<string, { properties: Record<string, Doc>; description: string }> };
      paths: Record<string, Doc>;
    };
    expect(doc.components.schemas['dev.demo.v1.Canary']).toMatchObject({ description: 'Canary is a release that is watched.' });
    expect(doc.components.schemas['dev.demo.v1.Canary']?.properties['spec']).toMatchObject({
      properties: { stepWeight: { description: 'Step of weight.' } },
    });
    expect(doc.paths).toHaveProperty(['/apis/demo.dev/v1/namespaces/{namespace}/canaries/{name}', 'patch', 'parameters']);
    const apps = JSON.stringify((await client.get('/openapi/v3/apis/apps/v1')).body);
    expect(apps).toContain('"x-kubernetes-patch-merge-key":"name"');
    for (const match of apps.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) expect(apps).toContain(`"${match[1]}":{`);
    const v2 = (await client.get('/openapi/v2')).body as unknown as { swagger: string; definitions: Doc };
    expect(v2.swagger).toBe('2.0');
    expect(Object.keys(v2.definitions)).toContain('apps.v1.Deployment');
  });

  it('changes with the served kinds', async () => {
    const before = (await client.get('/openapi/v3')).body;
    const crd = canaryCrd() as unknown as { metadata: Doc; spec: { names: Doc; group: string } };
    crd.metadata = { name: 'canaries.late.dev' };
    crd.spec.group = 'late.dev';
    await client.post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
    expect(before).not.toHaveProperty(['paths', 'apis/late.dev/v1']);
    expect((await client.get('/openapi/v3')).body).toHaveProperty(['paths', 'apis/late.dev/v1']);
    expect((await client.get('/apis/late.dev/v1')).status).toBe(200);
  });

  it('is healthy and allows everything', async () => {
    for (const path of ['/healthz', '/readyz', '/livez']) expect((await client.get(path)).body).toEqual({ text: 'ok' });
    const review = await client.post('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      kind: 'SelfSubjectAccessReview',
      spec: {},
    });
    expect(review.status).toBe(201);
    expect(review.body['status']).toMatchObject({ allowed: true });
  });
});

describe('representations', () => {
  it('gives tables for built-in kinds', async () => {
    await client.post(DEPLOYMENTS, deployment('table', { replicas: 3 }));
    const { body } = await client.get(DEPLOYMENTS, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    const columns = (body['columnDefinitions'] as { name: string }[]).map((column) => column.name);
    expect(columns).toEqual(['Name', 'Ready', 'Up-to-date', 'Available', 'Age', 'Containers', 'Images', 'Selector']);
    expect(body['rows']).toMatchObject([{ cells: ['table', '0/3', 0, 0, expect.any(String), 'app', 'reviews:v1', 'app=table'] }]);
  });

  it('gives PartialObjectMetadata and YAML', async () => {
    const partial = await client.get(`${DEPLOYMENTS}/table`, {
      accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    });
    expect(partial.body).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'table' } });
    expect(partial.body).not.toHaveProperty('spec');
    const list = await client.get(DEPLOYMENTS, { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' });
    expect(list.body.kind).toBe('PartialObjectMetadataList');
    const yaml = await client.get(`${DEPLOYMENTS}/table`, { accept: 'application/yaml' });
    expect(yaml.headers.get('Content-Type')).toBe('application/yaml');
    expect(yaml.body['text']).toContain('kind: Deployment\n');
  });

  it('answers JSON where protobuf is preferred and JSON allowed', async () => {
    const { headers } = await client.get(`${DEPLOYMENTS}/table`, {
      accept: 'application/vnd.kubernetes.protobuf,application/json',
    });
    expect(headers.get('Content-Type')).toBe('application/json');
  });
});

describe('bad requests', () => {
  it('answer 404 for unknown routes, 405 for wrong methods', async () => {
    for (const path of [
      '/nowhere',
      '/api/v1/namespaces/default/unicorns',
      '/apis/apps/v1/namespaces/default/deployments/table/nothing',
      '/apis',
    ]) {
      const { status, body } = await client.post(path, {});
      expect(status).toBe(404);
      expect(body).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 });
    }
    expect((await client.put(DEPLOYMENTS, {})).status).toBe(405);
    expect((await client.post('/api/v1/configmaps', configMap('x'))).status).toBe(405);
  });

  it('answer 400 for what does not parse, and go on working', async () => {
    const bodies = [
      '{',
      '[]',
      '"text"',
      '1',
      'null',
      '{"metadata": 5}',
      '{"metadata":{"labels":[]}}',
      '{"metadata":{"name":{}}}',
      '{"metadata":{"name":"a","labels":{"a":1}}}',
    ];
    for (const body of bodies) expect((await client.post(`${NS}/configmaps`, body)).status, body).toBeGreaterThanOrEqual(400);
    for (const body of bodies)
      expect(
        (await client.call('PATCH', `${DEPLOYMENTS}/table`, body, { type: 'application/merge-patch+json' })).status,
        body,
      ).toBeLessThan(500);
    expect((await client.post(`${NS}/configmaps`, 'a: [', { type: 'application/yaml' })).status).toBe(400);
    expect((await client.get(`${NS}/configmaps?limit=x`)).status).toBe(400);
    // The real server has no better word for this one.
    expect((await client.get(`${NS}/configmaps?watch=1&resourceVersion=abc`)).status).toBe(500);
    expect((await client.get('/api/v1/namespaces/%E0%A4%A/configmaps')).status).toBe(400);
    expect((await client.get(`${NS}/configmaps`)).status).toBe(200);
  });

  it('answer 413 above 3 MiB', async () => {
    const { status, body } = await client.post(`${NS}/configmaps`, configMap('big', { a: 'x'.repeat(3 * 1024 * 1024) }));
    expect(status).toBe(413);
    expect(body.reason).toBe('RequestEntityTooLarge');
  });

  it('cannot pollute prototypes', async () => {
    await client.post(
      `${NS}/configmaps`,
      '{"metadata":{"name":"proto","annotations":{"a":"b"}},"__proto__":{"polluted":"yes"},"data":{"__proto__":"x"}}',
    );
    await client.merge(
      `${NS}/configmaps/proto`,
      '{"__proto__":{"polluted":"yes"},"data":{"constructor":"ok","\\u005f_proto__":"x"}}',
    );
    await client.json(`${NS}/configmaps/proto`, [{ op: 'add', path: '/__proto__/polluted', value: 'yes' }]);
    await client.json(`${NS}/configmaps/proto`, [{ op: 'add', path: '/constructor/prototype/polluted', value: 'yes' }]);
    expect(({} as Doc)['polluted']).toBeUndefined();
    expect((await client.get(`${NS}/configmaps/proto`)).body['data']).toEqual({ constructor: 'ok' });
  });
});

describe('audit', () => {
  it('tells of every request after its answer', async () => {
    audit.length = 0;
    await client.call('POST', `${NS}/configmaps?fieldManager=me`, configMap('audited', { a: '1' }), { agent: 'sluice/0.1' });
    await client.get(`${NS}/configmaps/missing`);
    const watch = await Watch.open(server, `/api/v1/configmaps?watch=1`);
    await expect.poll(() => audit.length).toBe(3);
    watch.close();
    expect(audit[0]).toMatchObject({
      verb: 'create',
      method: 'POST',
      resource: 'configmaps',
      namespace: 'default',
      userAgent: 'sluice/0.1',
      fieldManager: 'me',
      code: 201,
      requestBody: { data: { a: '1' } },
      responseObject: { metadata: { name: 'audited' } },
    });
    expect(audit[1]).toMatchObject({ verb: 'get', name: 'missing', code: 404 });
    expect(audit[1]).not.toHaveProperty('responseObject');
    expect(audit[2]).toMatchObject({ verb: 'watch', resource: 'configmaps', code: 200 });
  });
});

describe('what the audit log keeps', () => {
  it('has no bodies of Secrets', async () => {
    audit.length = 0;
    await client.post(`${NS}/secrets`, { metadata: { name: 'hidden' }, stringData: { token: 'very-secret' } });
    await expect.poll(() => audit.length).toBe(1);
    expect(JSON.stringify(audit)).not.toContain('very-secret');
    expect(JSON.stringify(audit)).not.toContain(Buffer.from('very-secret').toString('base64'));
    expect(audit[0]).toMatchObject({ verb: 'create', resource: 'secrets', code: 201 });
  });
});

describe('slow watchers', () => {
  it('are closed instead of filling the memory', async () => {
    const { port } = new URL(server.url);
    const socket = connect(Number(port), '127.0.0.1');
    let closed = false;
    socket.on('close', () => (closed = true));
    socket.on('error', () => (closed = true));
    socket.write('GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise<void>((resolve) => socket.once('data', () => resolve()));
    socket.pause();
    await client.post(`${NS}/configmaps`, configMap('heavy'));
    const filler = 'x'.repeat(900_000);
    for (let index = 0; index < 40; index++) await client.merge(`${NS}/configmaps/heavy`, { data: { a: filler + index } });
    socket.resume();
    await eventually('the watch is closed', () => closed);
    expect((await client.get(`${NS}/configmaps/heavy`)).status).toBe(200);
  });
});

describe('load', () => {
  it('holds thousands of objects', { timeout: 60_000 }, async () => {
    const { server: big, client: busy } = await start({ crds: [canaryCrd()] });
    const watch = await Watch.open(big, '/api/v1/configmaps?watch=1&resourceVersion=' + big.store.resourceVersion);
    for (let block = 0; block < 20; block++) {
      await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          busy.post(`${NS}/configmaps`, configMap(`c-${block}-${index}`, { a: 'x'.repeat(200) })),
        ),
      );
    }
    await watch.until(2000);
    expect((await busy.get('/api/v1/configmaps')).body.items).toHaveLength(2000);
    watch.close();
    await big.stop();
  });
});
