import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../../src/sandbox/apiserver/index.js';
import { Client, configMap, deployment, DEPLOYMENTS, NS, start, type Doc } from './harness.js';

let server: ApiServer;
let client: Client;
beforeAll(async () => {
  ({ server, client } = await start());
});
afterAll(() => server.stop());

describe('create', () => {
  it('sets uid, creationTimestamp, resourceVersion and generation', async () => {
    const { status, body } = await client.post(DEPLOYMENTS, deployment('stamped'));
    expect(status).toBe(201);
    expect(body.metadata).toMatchObject({ namespace: 'default', generation: 1 });
    expect(body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(body.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0);
  });

  it('fills the defaults of Deployments', async () => {
    const { body } = await client.post(DEPLOYMENTS, deployment('defaults'));
    expect(body['spec']).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
      template: {
        spec: {
          restartPolicy: 'Always',
          terminationGracePeriodSeconds: 30,
          dnsPolicy: 'ClusterFirst',
          schedulerName: 'default-scheduler',
          containers: [{ name: 'app', imagePullPolicy: 'IfNotPresent', terminationMessagePath: '/dev/termination-log' }],
        },
      },
    });
  });

  it('fills the defaults of probes and ports', async () => {
    const container = {
      name: 'app',
      image: 'reviews',
      ports: [{ containerPort: 80 }],
      readinessProbe: { httpGet: { port: 80 } },
    };
    const object = deployment('probes', {
      template: { metadata: { labels: { app: 'probes' } }, spec: { containers: [container] } },
    });
    const { body } = await client.post(DEPLOYMENTS, object);
    expect(body['spec']).toMatchObject({
      template: {
        spec: {
          containers: [
            {
              imagePullPolicy: 'Always',
              ports: [{ containerPort: 80, protocol: 'TCP' }],
              readinessProbe: {
                httpGet: { path: '/', scheme: 'HTTP', port: 80 },
                timeoutSeconds: 1,
                periodSeconds: 10,
                successThreshold: 1,
                failureThreshold: 3,
              },
            },
          ],
        },
      },
    });
  });

  it('allocates one cluster IP for each Service and frees it again', async () => {
    const service = (name: string): object => ({ metadata: { name }, spec: { ports: [{ port: 80 }], selector: { app: 'x' } } });
    const first = await client.post(`${NS}/services`, service('one'));
    const second = await client.post(`${NS}/services`, service('two'));
    expect(first.body['spec']).toMatchObject({
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    });
    const ip = (reply: typeof first): unknown => (reply.body['spec'] as Record<string, unknown>)['clusterIP'];
    expect(ip(first)).toMatch(/^10\.96\./);
    expect(ip(second)).not.toBe(ip(first));
    const taken = await client.post(`${NS}/services`, {
      metadata: { name: 'three' },
      spec: { clusterIP: ip(first), ports: [{ port: 80 }] },
    });
    expect(taken.status).toBe(422);
    expect(taken.body.message).toContain('provided IP is already allocated');
    await client.delete(`${NS}/services/one`);
    expect(
      (
        await client.post(`${NS}/services`, {
          metadata: { name: 'three' },
          spec: { clusterIP: ip(first), ports: [{ port: 80 }] },
        })
      ).status,
    ).toBe(201);
  });

  it('refuses a second object of the same name', async () => {
    await client.post(`${NS}/configmaps`, configMap('twice'));
    const { status, body } = await client.post(`${NS}/configmaps`, configMap('twice'));
    expect(status).toBe(409);
    expect(body).toMatchObject({
      kind: 'Status',
      reason: 'AlreadyExists',
      message: 'configmaps "twice" already exists',
      code: 409,
    });
  });

  it('makes a name from generateName', async () => {
    const { body } = await client.post(`${NS}/configmaps`, { metadata: { generateName: 'run-' } });
    expect(body.metadata.name).toMatch(/^run-[a-z0-9]{5}$/);
  });

  it('refuses a missing namespace, and a namespace other than the path', async () => {
    const missing = await client.post('/api/v1/namespaces/nowhere/configmaps', configMap('a'));
    expect(missing.status).toBe(404);
    expect(missing.body.message).toBe('namespaces "nowhere" not found');
    const other = await client.post(`${NS}/configmaps`, { ...configMap('a'), metadata: { name: 'a', namespace: 'kube-system' } });
    expect(other.status).toBe(400);
    expect(other.body.message).toBe('the namespace of the provided object does not match the namespace sent on the request');
  });

  it('does not keep status where status is a subresource', async () => {
    const { body } = await client.post(DEPLOYMENTS, { ...deployment('nostatus'), status: { replicas: 7 } });
    expect(body['status']).toEqual({});
  });

  it('does nothing under dryRun=All', async () => {
    const { status, body } = await client.post(`${NS}/configmaps?dryRun=All`, configMap('dry'));
    expect(status).toBe(201);
    expect(body.metadata.uid).toBeDefined();
    expect((await client.get(`${NS}/configmaps/dry`)).status).toBe(404);
  });

  it('turns stringData into data', async () => {
    const { body } = await client.post(`${NS}/secrets`, { metadata: { name: 'plain' }, stringData: { token: 'abc' } });
    expect(body).toMatchObject({ type: 'Opaque', data: { token: 'YWJj' } });
    expect(body['stringData']).toBeUndefined();
  });
});

describe('update', () => {
  it('answers 409 with the real message when the resourceVersion is old', async () => {
    const { body } = await client.post(`${NS}/configmaps`, configMap('stale'));
    await client.merge(`${NS}/configmaps/stale`, { data: { a: '1' } });
    const { status, body: refused } = await client.put(`${NS}/configmaps/stale`, body);
    expect(status).toBe(409);
    expect(refused.reason).toBe('Conflict');
    expect(refused.message).toBe(
      'Operation cannot be fulfilled on configmaps "stale": the object has been modified; please apply your changes to the latest version and try again',
    );
  });

  it('checks a resourceVersion inside a patch', async () => {
    const { body } = await client.post(DEPLOYMENTS, deployment('locked'));
    const patch = { metadata: { resourceVersion: body.metadata.resourceVersion }, spec: { replicas: 2 } };
    expect((await client.merge(`${DEPLOYMENTS}/locked`, patch)).status).toBe(200);
    const again = await client.merge(`${DEPLOYMENTS}/locked`, { ...patch, spec: { replicas: 3 } });
    expect(again.status).toBe(409);
    expect(again.body.message).toContain('deployments.apps "locked"');
  });

  it('keeps the resourceVersion when nothing changes', async () => {
    const { body } = await client.post(DEPLOYMENTS, deployment('calm'));
    const same = await client.put(`${DEPLOYMENTS}/calm`, body);
    const patched = await client.merge(`${DEPLOYMENTS}/calm`, { spec: { replicas: 1 } }, { agent: 'somebody/2' });
    expect(same.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
    expect(patched.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
  });

  it('raises generation for spec only', async () => {
    await client.post(DEPLOYMENTS, deployment('gen'));
    const path = `${DEPLOYMENTS}/gen`;
    expect((await client.merge(path, { metadata: { labels: { a: 'b' } } })).body.metadata.generation).toBe(1);
    expect((await client.merge(`${path}/status`, { status: { replicas: 1 } })).body.metadata.generation).toBe(1);
    expect((await client.merge(path, { spec: { replicas: 5 } })).body.metadata.generation).toBe(2);
  });

  it('raises the generation of a Deployment for annotations too, as the real server does', async () => {
    await client.post(DEPLOYMENTS, deployment('noted'));
    const path = `${DEPLOYMENTS}/noted`;
    expect((await client.merge(path, { metadata: { annotations: { a: 'b' } } })).body.metadata.generation).toBe(2);
    const viaStatus = await client.merge(`${path}/status`, { metadata: { annotations: { c: 'd' }, labels: { e: 'f' } } });
    expect(viaStatus.body.metadata).toMatchObject({ generation: 2, annotations: { a: 'b', c: 'd' } });
    expect(viaStatus.body.metadata.labels).toBeUndefined();
  });

  it('separates status from the rest', async () => {
    await client.post(DEPLOYMENTS, deployment('split'));
    const path = `${DEPLOYMENTS}/split`;
    const status = await client.merge(`${path}/status`, { spec: { replicas: 9 }, status: { replicas: 3 } });
    expect(status.body).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 3 } });
    const main = await client.merge(path, { spec: { replicas: 2 }, status: { replicas: 8 } });
    expect(main.body).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 3 } });
    const put = await client.put(path, { ...main.body, status: {} });
    expect(put.body).toMatchObject({ status: { replicas: 3 } });
  });

  it('refuses another uid and a missing object', async () => {
    const { body } = await client.post(`${NS}/configmaps`, configMap('who'));
    const other = await client.put(`${NS}/configmaps/who`, { ...body, metadata: { ...body.metadata, uid: 'x' } });
    expect(other.status).toBe(409);
    expect(other.body.message).toContain('Precondition failed: UID in precondition: x');
    expect((await client.put(`${NS}/configmaps/none`, configMap('none'))).body.message).toBe('configmaps "none" not found');
  });

  it('creates Leases on PUT, and wants a resourceVersion to change them', async () => {
    const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
    const created = await client.put(`${path}/lead`, { metadata: { name: 'lead' }, spec: { holderIdentity: 'a' } });
    expect(created.status).toBe(201);
    const blind = await client.put(`${path}/lead`, { metadata: { name: 'lead' }, spec: { holderIdentity: 'b' } });
    expect(blind.status).toBe(422);
    expect(blind.body.message).toContain('metadata.resourceVersion: Invalid value: 0: must be specified for an update');
  });

  it('keeps the cluster IP that an update leaves out', async () => {
    const { body } = await client.post(`${NS}/services`, { metadata: { name: 'keep' }, spec: { ports: [{ port: 80 }] } });
    const after = await client.put(`${NS}/services/keep`, { metadata: { name: 'keep' }, spec: { ports: [{ port: 81 }] } });
    expect((after.body['spec'] as { clusterIP: string }).clusterIP).toBe((body['spec'] as { clusterIP: string }).clusterIP);
  });
});

describe('validation', () => {
  const causes = async (object: unknown, path = DEPLOYMENTS): Promise<string> => {
    const { status, body } = await client.post(path, object);
    expect(status).toBe(422);
    expect(body.details?.causes?.length).toBeGreaterThan(0);
    return body.message ?? '';
  };

  it('wants a selector that matches the template', async () => {
    expect(await causes(deployment('v', { selector: undefined }))).toContain('spec.selector: Required value');
    expect(await causes(deployment('v', { selector: { matchLabels: { app: 'w' } } }))).toContain(
      'spec.template.metadata.labels: Invalid value: {"app":"v"}: `selector` does not match template `labels`',
    );
  });

  it('wants containers with a name and an image', async () => {
    const template = (containers: unknown): Doc => ({
      template: { metadata: { labels: { app: 'v' } }, spec: { containers } },
    });
    expect(await causes(deployment('v', template([])))).toContain('spec.template.spec.containers: Required value');
    const message = await causes(deployment('v', template([{ ports: [{ containerPort: 70000 }] }])));
    expect(message).toContain('spec.template.spec.containers[0].name: Required value');
    expect(message).toContain('spec.template.spec.containers[0].image: Required value');
    expect(message).toContain(
      'spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
    );
  });

  it('checks names and labels', async () => {
    expect(await causes(deployment('Upper_Case'))).toContain(
      'metadata.name: Invalid value: "Upper_Case": a lowercase RFC 1123 subdomain',
    );
    expect(await causes(configMap('x', {}, { 'a b': 'c' }), `${NS}/configmaps`)).toContain(
      'metadata.labels: Invalid value: "a b": name part must consist of',
    );
    expect(await causes(configMap('x', {}, { a: '-' }), `${NS}/configmaps`)).toContain(
      'a valid label must be an empty string or consist of',
    );
    expect(await causes({ metadata: {} }, `${NS}/configmaps`)).toContain(
      'metadata.name: Required value: name or generateName is required',
    );
  });

  it('does not let a selector change', async () => {
    await client.post(DEPLOYMENTS, deployment('fixed'));
    const labels = { app: 'fixed', b: 'c' };
    const { status, body } = await client.merge(`${DEPLOYMENTS}/fixed`, {
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } },
    });
    expect(status).toBe(422);
    expect(body.message).toContain('spec.selector: Invalid value: {"matchLabels":{"app":"fixed","b":"c"}}: field is immutable');
  });

  it('keeps the data of a ControllerRevision', async () => {
    const path = '/apis/apps/v1/namespaces/default/controllerrevisions';
    await client.post(path, { metadata: { name: 'r1' }, revision: 1, data: { a: 1 } });
    const { status, body } = await client.merge(`${path}/r1`, { data: { a: 2 } });
    expect(status).toBe(422);
    expect(body.message).toContain('data: Invalid value: {"a":2}: field is immutable');
    expect((await client.merge(`${path}/r1`, { revision: 2 })).status).toBe(200);
  });

  it('names the Go field when a type is wrong', async () => {
    const { status, body } = await client.post(DEPLOYMENTS, deployment('v', { replicas: 'three' }));
    expect(status).toBe(400);
    expect(body.message).toContain('Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string');
    expect(body.message).toContain('replicas');
  });

  it('refuses or warns about unknown fields as asked', async () => {
    const strict = await client.post(`${DEPLOYMENTS}?fieldValidation=Strict`, deployment('v', { replica: 1 }));
    expect(strict.status).toBe(400);
    expect(strict.body.message).toContain('strict decoding error: unknown field "spec.replica"');
    const warned = await client.post(`${DEPLOYMENTS}?fieldValidation=Warn`, deployment('warned', { replica: 1 }));
    expect(warned.status).toBe(201);
    expect(warned.headers.get('Warning')).toBe('299 - "unknown field \\"spec.replica\\""');
    expect(warned.body['spec']).not.toHaveProperty('replica');
    const ignored = await client.post(`${DEPLOYMENTS}?fieldValidation=Ignore`, deployment('ignored', { replica: 1 }));
    expect(ignored.headers.get('Warning')).toBeNull();
  });
});

describe('scale', () => {
  it('is read and written as autoscaling/v1 Scale', async () => {
    await client.post(DEPLOYMENTS, deployment('sized'));
    const path = `${DEPLOYMENTS}/sized/scale`;
    const read = await client.get(path);
    expect(read.body).toMatchObject({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 1 },
      status: { replicas: 0, selector: 'app=sized' },
    });
    const written = await client.put(path, { ...read.body, spec: { replicas: 4 } });
    expect(written.body).toMatchObject({ spec: { replicas: 4 } });
    const patched = await client.merge(path, { spec: { replicas: 6 } });
    expect(patched.body).toMatchObject({ spec: { replicas: 6 } });
    expect((await client.get(`${DEPLOYMENTS}/sized`)).body).toMatchObject({ spec: { replicas: 6 }, metadata: { generation: 3 } });
    expect((await client.put(path, read.body)).status).toBe(409);
  });

  it('refuses a negative number', async () => {
    await client.post(DEPLOYMENTS, deployment('negative'));
    const { status, body } = await client.merge(`${DEPLOYMENTS}/negative/scale`, { spec: { replicas: -1 } });
    expect(status).toBe(422);
    expect(body.message).toContain('spec.replicas: Invalid value: -1: must be greater than or equal to 0');
  });
});
