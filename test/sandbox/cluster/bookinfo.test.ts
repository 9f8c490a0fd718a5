import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { Resources, createInformer, createKubeClient } from '../../../src/kube/index.js';
import type { KubeObject, OwnedKubeClient } from '../../../src/kube/index.js';
import { startApiServer } from '../../../src/sandbox/apiserver/index.js';
import type { ApiServer } from '../../../src/sandbox/apiserver/index.js';
import { PORTS_ANNOTATION, clusterInformers, startControllers, startNode } from '../../../src/sandbox/cluster/index.js';
import type { ClusterInformers, RunningControllers, RunningNode } from '../../../src/sandbox/cluster/index.js';
import { isReady } from '../../../src/sandbox/cluster/pods.js';
import { Kinds } from '../../../src/sandbox/cluster/types.js';
import { until } from './helpers.js';

/** Everything together: the example's manifests on the embedded API, as programs that answer. */

const REPO = new URL('../../../examples/bookinfo/repo/', import.meta.url);
let server: ApiServer;
let directory: string;
let client: OwnedKubeClient;
let informers: ClusterInformers;
let controllers: RunningControllers;
let node: RunningNode;
const aborter = new AbortController();
const errors: unknown[] = [];

beforeAll(async () => {
  server = await startApiServer();
  directory = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, server.kubeconfig());
  client = await createKubeClient({ kubeconfig });
  informers = clusterInformers((resource) => createInformer(client, resource, { onError: (error) => errors.push(error) }));
  for (const informer of Object.values(informers)) informer.start(aborter.signal);
  const onError = (...failure: unknown[]): number => errors.push(failure);
  controllers = await startControllers({ client, informers, onError });
  node = await startNode({ client, informers, onError });
});

afterAll(async () => {
  controllers.stop();
  await node.stop();
  aborter.abort();
  client.close();
  await server.stop();
  await rm(directory, { recursive: true });
});

async function apply(file: string): Promise<void> {
  for (const document of parseAllDocuments(await readFile(new URL(file, REPO), 'utf8'))) {
    const object = document.toJS() as KubeObject;
    object.metadata.namespace = 'default';
    const resource = object.kind === 'Service' ? Resources.Service : Resources.Deployment;
    await client.create(resource, object, { fieldValidation: 'Strict' });
  }
}

const readyPods = (app: string) =>
  informers.pods.list('default').filter((pod) => pod.metadata.labels?.['app'] === app && isReady(pod));

async function get(app: string, path: string): Promise<Response> {
  const ports = JSON.parse(readyPods(app)[0]?.metadata.annotations?.[PORTS_ANNOTATION] ?? '{}') as Record<string, string>;
  return fetch(`http://${ports['9080']}${path}`);
}

describe('Bookinfo on the embedded API', () => {
  it('comes up: every Deployment complete, every Service with its endpoints', async () => {
    for (const app of ['productpage', 'details', 'ratings', 'reviews']) await apply(`${app}.yaml`);
    await until(
      'every Deployment is available',
      async () => {
        const { items } = await client.list(Kinds.Deployment, { namespace: 'default' });
        return items.length === 4 && items.every(({ spec, status }) => (status?.availableReplicas ?? 0) === spec.replicas);
      },
      15_000,
    );
    expect(readyPods('reviews')).toHaveLength(2);
    const endpoints = () => informers.endpointSlices.list('default').flatMap((slice) => slice.endpoints ?? []);
    await until('five endpoints are ready', () => endpoints().filter(({ conditions }) => conditions.ready).length === 5);
    expect(await (await get('productpage', '/productpage?u=normal')).text()).toContain('The Comedy of Errors');
    expect(await (await get('details', '/details/0')).json()).toMatchObject({ author: 'William Shakespeare' });
    expect(await (await get('ratings', '/ratings/0')).json()).toEqual({ id: 0, ratings: { Reviewer1: 5, Reviewer2: 4 } });
    const { reviews } = (await (await get('reviews', '/reviews/0')).json()) as { reviews: object[] };
    expect(reviews[0]).not.toHaveProperty('rating');
  });

  it('rolls to another version and cleans up after the old one', async () => {
    const template = {
      spec: { containers: [{ name: 'reviews', image: 'docker.io/istio/examples-bookinfo-reviews-v2:1.20.3' }] },
    };
    await client.patch(Resources.Deployment, 'default', 'reviews', { spec: { template } }, 'strategic');
    await until(
      'only v2 runs',
      () => {
        const pods = informers.pods.list('default').filter(({ metadata }) => metadata.labels?.['app'] === 'reviews');
        return pods.length === 2 && pods.every((pod) => isReady(pod) && pod.spec.containers[0]?.image.includes('-v2'));
      },
      15_000,
    );
    const { reviews } = (await (await get('reviews', '/reviews/0')).json()) as { reviews: object[] };
    expect(reviews[0]).toMatchObject({ rating: { stars: 5, color: 'black' } });
  });

  it('goes with its Deployment and its Service', async () => {
    await client.delete(Resources.Deployment, 'default', 'reviews', { propagationPolicy: 'Background' });
    await client.delete(Resources.Service, 'default', 'reviews');
    await until(
      'nothing of reviews is left',
      () => {
        const { pods, replicaSets, endpointSlices } = informers;
        const ofReviews = ({ metadata }: KubeObject): boolean => metadata.name.startsWith('reviews');
        return ![...pods.list(), ...replicaSets.list(), ...endpointSlices.list()].some(ofReviews);
      },
      15_000,
    );
  });
});
