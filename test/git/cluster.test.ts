import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Annotations, SluiceResources, type GitSource } from '../../src/api/index.js';
import { createGitSourceReconciler, type GitSourceReconciler } from '../../src/git/index.js';
import { commitTree, createBareRepository, type TreeChanges } from '../../src/git/repository.js';
import { createInformer, createKubeClient, Resources, type KubeObject, type OwnedKubeClient } from '../../src/kube/index.js';
import { startApiServer, type ApiServer } from '../../src/sandbox/apiserver/index.js';
import { configMap, until } from './world.js';

let dir: string;
let server: ApiServer;
let client: OwnedKubeClient;
let reconciler: GitSourceReconciler;
const watching = { controller: new AbortController() };
const requests: string[] = [];
const seen = (): GitSource | undefined => sources.get('shop', 'shop');
let sources: ReturnType<typeof createInformer<GitSource>>;

const widgets = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, properties: {size: {type: integer}}}}
`;
const widget = (spec: string): string =>
  `apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: factory}\nspec: ${spec}\n`;
const canary =
  'apiVersion: sluice.dev/v1beta1\nkind: Canary\nmetadata: {name: reviews}\nspec:\n  targetRef: {apiVersion: apps/v1, kind: Deployment, name: reviews}\n  service: {port: 9080}\n  analysis: {stepWeight: 10, maxWeight: 50, interval: 10s, threshold: 3}\n';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  const files = (await readdir('crds')).filter((file) => file.endsWith('.yaml'));
  const crds = await Promise.all(files.map(async (file) => parse(await readFile(join('crds', file), 'utf8')) as KubeObject));
  requests.length = 0;
  server = await startApiServer({ crds });
  await writeFile(join(dir, 'kubeconfig'), server.kubeconfig());
  client = await createKubeClient({
    kubeconfig: join(dir, 'kubeconfig'),
    onRequest: ({ verb, resource, code }) => requests.push(`${verb} ${resource} ${code}`),
  });
  await client.create(Resources.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  watching.controller = new AbortController();
  sources = createInformer<GitSource>(client, SluiceResources.GitSource);
  sources.start(watching.controller.signal);
  const quiet = (): void => {};
  reconciler = createGitSourceReconciler({
    client,
    informers: { gitSources: sources, secret: async () => undefined },
    overlay: (manifest) => manifest,
    tenancy: { allowCrossNamespace: true },
    egress: {},
    dataDir: join(dir, 'data'),
    logger: { debug: quiet, info: quiet, warn: quiet, error: (fields, message) => console.error(message, fields) },
    assertLeading: quiet,
  });
  await reconciler.start();
});
afterEach(async () => {
  await reconciler.stop();
  watching.controller.abort();
  client.close();
  await server.stop();
  await rm(dir, { recursive: true, force: true });
});

async function follow(changes: TreeChanges): Promise<{ first: string; commit: (changes: TreeChanges) => Promise<string> }> {
  const repository = join(dir, 'shop.git');
  const { url } = await createBareRepository(repository);
  const first = await commitTree(repository, changes, { message: 'First' });
  const spec = { url, path: 'deploy', interval: '300ms' };
  await client.create(SluiceResources.GitSource, {
    apiVersion: 'sluice.dev/v1beta1',
    kind: 'GitSource',
    metadata: { name: 'shop', namespace: 'shop' },
    spec,
  } as unknown as GitSource);
  return { first, commit: (more) => commitTree(repository, more, { message: 'More' }) };
}

const applied = (sha: string): Promise<void> =>
  until(
    () => seen()?.status?.appliedCommit === sha,
    () => `${sha} applied, but the status is ${JSON.stringify(seen()?.status)}`,
  );

it('applies a namespace, a new kind and its objects, and a Canary, in one go', async () => {
  const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: factory}\n';
  const { first } = await follow({
    'deploy/a-widget.yaml': widget('{size: 3}'),
    'deploy/crd.yaml': widgets,
    'deploy/namespace.yaml': namespace,
    'deploy/canary.yaml': canary,
  });
  await applied(first);
  const made = (await client.raw('/apis/example.com/v1/namespaces/factory/widgets/w')) as KubeObject;
  expect(made.spec).toEqual({ size: 3 });
  expect(made.metadata.annotations?.[Annotations.commit]).toBe(first);
  const released = await client.get(SluiceResources.Canary, 'shop', 'reviews');
  expect(released.spec).not.toHaveProperty('replicas');
  expect(seen()?.status?.conditions).toMatchObject([
    { type: 'Ready', status: 'True' },
    { type: 'Stalled', status: 'False' },
    { type: 'Reconciling', status: 'False' },
  ]);
});

it('never takes the number of replicas of a Canary back, and asks nothing in steady state', async () => {
  const { first, commit } = await follow({ 'deploy/canary.yaml': canary });
  await applied(first);
  await client.patch(SluiceResources.Canary, 'shop', 'reviews', { spec: { replicas: 7 } }, 'merge');
  const second = await commit({ 'deploy/canary.yaml': canary.replace('threshold: 3', 'threshold: 4') });
  await applied(second);
  expect((await client.get(SluiceResources.Canary, 'shop', 'reviews')).spec).toMatchObject({
    replicas: 7,
    analysis: { threshold: 4 },
  });
  const before = requests.length;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(requests.slice(before)).toEqual([]);
});

it('shows what the server says of a field that it does not know, with the file, and applies the rest', async () => {
  await follow({ 'deploy/canary.yaml': canary.replace('stepWeight', 'stepWieght'), 'deploy/config.yaml': configMap('config') });
  await until(
    () => seen()?.status?.conditions?.[0]?.reason === 'ApplyFailed',
    () => 'a refusal',
  );
  const [failure] = seen()?.status?.failures ?? [];
  expect(failure?.message).toMatch(/deploy\/canary\.yaml:1 Canary shop\/reviews: .*stepWieght.*correct the manifest/);
  expect((await client.get(Resources.ConfigMap, 'shop', 'config')).metadata.labels).toMatchObject({
    'sluice.dev/source-name': 'shop',
    'sluice.dev/source-namespace': 'shop',
  });
});
