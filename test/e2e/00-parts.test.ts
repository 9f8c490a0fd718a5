import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createEventRecorder,
  createInformer,
  createKubeClient,
  createLeaderElector,
  isNotFound,
  KubeError,
  Resources,
  type KubeObject,
} from '../../src/kube/index.js';
import { ensureParts, freePorts, startControlPlane, startEnvoy, startRealPrometheus, type ControlPlane } from '../real/index.js';

/** Polls until the probe gives something; fails after 30 s. */
async function eventually<T>(probe: () => Promise<T | undefined> | T | undefined, what: string): Promise<T> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`it never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(path.join(tmpdir(), 'sluice-e2e-'))));
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('a real control plane', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane({ dir: path.join(dir, 'plane'), users: [{ name: 'developer' }] });
  });
  afterAll(() => plane?.stop());

  const deployment: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: 'default', name: 'reviews' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'reviews' } },
      template: { metadata: { labels: { app: 'reviews' } }, spec: { containers: [{ name: 'reviews', image: 'reviews:v1' }] } },
    },
  };

  it('makes ReplicaSets and Pods of a Deployment, and an informer sees them', async () => {
    const abort = new AbortController();
    const pods = createInformer(plane.client, Resources.Pod, { labelSelector: 'app=reviews' });
    pods.start(abort.signal);
    await pods.whenSynced();
    const created = await plane.client.create(Resources.Deployment, deployment, { fieldValidation: 'Strict' });
    pods.onChange(() => {});
    await eventually(() => pods.list('default').length === 2 || undefined, 'two pods');
    expect((await plane.client.list(Resources.ReplicaSet, { namespace: 'default' })).items[0]).toMatchObject({
      kind: 'ReplicaSet',
      metadata: { ownerReferences: [{ uid: created.metadata.uid }] },
    });
    const scaled = await plane.client.patch(Resources.Deployment, 'default', 'reviews', { spec: { replicas: 0 } }, 'merge', {
      subresource: 'scale',
    });
    expect(scaled.kind).toBe('Scale');
    await eventually(() => pods.list().length === 0 || undefined, 'no pod');
    abort.abort();
  });

  it('accepts Istio objects, refuses invalid ones, and knows field managers', async () => {
    const spec = { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'reviews-blue' }, weight: 100 }] }] };
    const route = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { namespace: 'default', name: 'reviews' },
      spec,
    };
    const applied = await plane.client.patch(Resources.VirtualService, 'default', 'reviews', route, 'apply');
    expect(applied['spec']).toEqual(spec);
    expect(applied.metadata.managedFields?.[0]).toMatchObject({ manager: 'sluice', operation: 'Apply' });
    const stale = { ...applied, metadata: { ...applied.metadata, resourceVersion: '1' } };
    await expect(plane.client.update(Resources.VirtualService, stale)).rejects.toMatchObject({ code: 409, reason: 'Conflict' });
    const wrong = { ...route, metadata: { ...route.metadata, name: 'wrong' }, spec: { hosts: 'reviews' } };
    await expect(plane.client.create(Resources.VirtualService, wrong)).rejects.toMatchObject({ code: 422, reason: 'Invalid' });
  });

  it('answers 410 to a watch from a version that is no more, and 404 to what is not there', async () => {
    await expect(plane.client.get(Resources.Pod, 'default', 'none')).rejects.toSatisfy(isNotFound);
    // The server's memory of this kind begins when its CRD was served, after version 1.
    const options = { resourceVersion: '1', signal: AbortSignal.timeout(20_000) };
    const watching = plane.client.watch(Resources.VirtualService, options, () => {});
    await expect(watching).rejects.toMatchObject({ code: 410 });
  });

  it('gives a user without roles nothing', async () => {
    const developer = await createKubeClient({ kubeconfig: plane.kubeconfigFor('developer') });
    const refused: unknown = await developer.list(Resources.Pod).catch((error: unknown) => error);
    developer.close();
    expect(refused).toBeInstanceOf(KubeError);
    expect(refused).toMatchObject({ code: 403, reason: 'Forbidden' });
    expect((refused as KubeError).message).toContain('User "developer" cannot list resource "pods"');
  });

  it('is reached through the proxy that the kubeconfig names', async () => {
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket: Socket) => {
      asked.push(request.url ?? '');
      const upstream = connect(Number(new URL(plane.url).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const kubeconfig = path.join(dir, 'proxied.kubeconfig');
    const plain = await readFile(plane.kubeconfig, 'utf8');
    const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    await writeFile(kubeconfig, plain.replace(/( +)server: /, `$1proxy-url: ${proxyUrl}\n$1server: `));
    const client = await createKubeClient({ kubeconfig });
    try {
      await client.get(Resources.Namespace, undefined, 'default');
      await client.get(Resources.Namespace, undefined, 'kube-system');
    } finally {
      client.close();
      proxy.close();
      proxy.closeAllConnections();
    }
    expect(asked, 'one connection for both requests').toEqual([new URL(plane.url).host]);
  });

  it('keeps our Lease and our Events', async () => {
    const abort = new AbortController();
    const elector = createLeaderElector({ client: plane.client, namespace: 'default', name: 'sluice', identity: 'one' });
    const term = elector.run(abort.signal, { onStartedLeading: () => {}, onStoppedLeading: () => {} });
    await eventually(() => elector.isLeader() || undefined, 'leadership');
    abort.abort();
    await term;
    expect(await plane.client.get(Resources.Lease, 'default', 'sluice')).toMatchObject({ spec: { leaseDurationSeconds: 1 } });

    const errors: unknown[] = [];
    const recorder = createEventRecorder({
      client: plane.client,
      component: 'sluice',
      instance: 'one',
      onError: (error) => void errors.push(error),
    });
    const target = await plane.client.get(Resources.Deployment, 'default', 'reviews');
    for (let times = 0; times < 3; times++) recorder.event(target, 'Warning', 'Held', 'waiting for evidence');
    await recorder.flush();
    expect(errors).toEqual([]);
    const { items } = await plane.client.list(Resources.Event, { namespace: 'default', fieldSelector: 'reason=Held' });
    expect(items).toMatchObject([{ count: 3, series: { count: 3 }, involvedObject: { uid: target.metadata.uid } }]);
  });

  it('works with kubectl', async () => {
    const { kubectl } = await ensureParts({ need: ['kubectl'] });
    const { stdout } = await promisify(execFile)(kubectl, [
      '--kubeconfig',
      plane.kubeconfig,
      'describe',
      'deployment',
      'reviews',
    ]);
    expect(stdout).toContain('waiting for evidence');
  });

  it('audits writes of interest with their bodies', async () => {
    const entry = await eventually(async () => {
      const lines = (await readFile(plane.auditLogPath, 'utf8')).trimEnd().split('\n');
      const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      return events.find((event) => event['verb'] === 'create' && event['userAgent'] === 'sluice-test');
    }, 'an audited create');
    expect(entry).toMatchObject({
      level: 'RequestResponse',
      requestObject: { kind: 'Deployment', metadata: { name: 'reviews' } },
    });
    expect(await plane.rss()).toBeGreaterThan(100e6);
  });
});

describe('real data planes', () => {
  let backend: Server;
  beforeAll(async () => {
    backend = createServer((request, response) =>
      response.end(request.url === '/metrics' ? 'up_again 1\nrequests_total{slot="blue"} 7\n' : 'hello'),
    );
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => backend.close());
  const port = (): number => (backend.address() as AddressInfo).port;

  it('Prometheus scrapes what the target file names and answers queries', async () => {
    const prometheus = await startRealPrometheus({ dir: path.join(dir, 'prometheus') });
    try {
      await prometheus.setTargets([{ targets: [`127.0.0.1:${port()}`], labels: { reporter: 'source' } }]);
      const value = await eventually(async () => {
        const response = await fetch(`${prometheus.url}/api/v1/query?query=requests_total`);
        const answer = (await response.json()) as { data: { result: { metric: object; value: [number, string] }[] } };
        return answer.data.result[0];
      }, 'a sample');
      expect(value).toMatchObject({ metric: { slot: 'blue', reporter: 'source' } });
      expect(value.value[1]).toBe('7');
    } finally {
      await prometheus.stop();
    }
    expect(prometheus.daemon.running()).toBe(false);
  });

  it('Envoy forwards, and follows its listener file', async () => {
    const [listen = 0] = await freePorts(1);
    const address = (at: number) => ({ socket_address: { address: '127.0.0.1', port_value: at } });
    const listener = (route: object) => ({
      name: 'in',
      address: address(listen),
      filter_chains: [
        {
          filters: [
            {
              name: 'http',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                stat_prefix: 'in',
                route_config: {
                  virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }] }],
                },
                http_filters: [
                  {
                    name: 'envoy.filters.http.router',
                    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                  },
                ],
              },
            },
          ],
        },
      ],
    });
    const cluster = {
      name: 'backend',
      load_assignment: { cluster_name: 'backend', endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port()) } }] }] },
    };
    const envoy = await startEnvoy({
      dir: path.join(dir, 'envoy'),
      clusters: [cluster],
      listeners: [listener({ route: { cluster: 'backend' } })],
    });
    try {
      expect(await (await fetch(`http://127.0.0.1:${listen}/`)).text()).toBe('hello');
      await envoy.setListeners([listener({ direct_response: { status: 418 } })]);
      await eventually(async () => {
        const response = await fetch(`http://127.0.0.1:${listen}/`).catch(() => undefined);
        return response?.status === 418 || undefined;
      }, 'the new route');
      expect(await (await fetch(`${envoy.adminUrl}/stats/prometheus`)).text()).toContain('envoy_cluster_upstream_rq');
    } finally {
      await envoy.stop();
    }
  });
});
