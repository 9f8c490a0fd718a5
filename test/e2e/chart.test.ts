import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureHelm, template } from '../../scripts/helm.js';
import { MANIFESTS } from '../../scripts/plain.js';
import { API_VERSION, SluiceResources, type Canary, type CanaryAction } from '../../src/api/index.js';
import type { Io } from '../../src/cli/io.js';
import { run } from '../../src/cli/program.js';
import { sleep } from '../../src/kube/backoff.js';
import {
  createInformer,
  createKubeClient,
  isNotFound,
  Resources,
  type KubeObject,
  type OwnedKubeClient,
} from '../../src/kube/index.js';
import { startNode, type RunningNode } from '../../src/sandbox/cluster/index.js';
import { Kinds, type Pod } from '../../src/sandbox/cluster/types.js';
import { run as command } from '../real/commands.js';
import { ensureParts, startControlPlane, type ControlPlane } from '../real/index.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CONTROLLER = 'system:serviceaccount:sluice-system:sluice';
const LONG_MS = 90_000;

/** Polls until the probe gives something. */
async function eventually<T>(
  probe: () => Promise<T | undefined | false>,
  what: string,
  why: () => string = () => '',
): Promise<T> {
  const deadline = performance.now() + LONG_MS;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`it never happened: ${what}; ${why()}`);
    await sleep(100);
  }
}

let plane: ControlPlane;
let kubectl: string;
let node: RunningNode | undefined;
const ending = new AbortController();
const clients: OwnedKubeClient[] = [];

const as = async (user: string): Promise<OwnedKubeClient> => {
  const client = await createKubeClient({ kubeconfig: plane.kubeconfigFor(user) });
  clients.push(client);
  return client;
};
const apply = (file: string): Promise<string> =>
  command(kubectl, ['--kubeconfig', plane.kubeconfig, 'apply', '--server-side', '-f', file], { cwd: root });

function io(lines: string[], signal: AbortSignal): Io {
  return {
    out: (text) => void lines.push(text),
    err: (text) => void lines.push(text),
    now: Date.now,
    sleep,
    isTTY: false,
    color: false,
    env: {},
    signal,
  };
}

/** Stands for scheduler and kubelets: every pod is ready at once. */
async function runPods(): Promise<void> {
  const pods = createInformer<Pod>(plane.client, Kinds.Pod);
  pods.start(ending.signal);
  node = await startNode({ client: plane.client, informers: { pods }, runtime: 'hollow' });
}

const target = (image: string): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { namespace: 'shop', name: 'reviews' },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: 'reviews' } },
    template: { metadata: { labels: { app: 'reviews' } }, spec: { containers: [{ name: 'reviews', image }] } },
  },
});

const canary = {
  apiVersion: API_VERSION,
  kind: 'Canary',
  metadata: { namespace: 'shop', name: 'reviews' },
  spec: {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
    service: { port: 9080 },
    analysis: { interval: '1s', stepWeights: [50], metrics: [] },
    revisions: { drainFor: '1s', warmFor: '1s', settle: '1s' },
  },
} as unknown as Canary;

const action = (name: string, verb: string, by: string): CanaryAction =>
  ({
    apiVersion: API_VERSION,
    kind: 'CanaryAction',
    metadata: { namespace: 'shop', name },
    spec: { canary: 'reviews', verb, by },
  }) as CanaryAction;

beforeAll(async () => {
  ({ kubectl } = await ensureParts({ need: ['kubectl'] }));
  plane = await startControlPlane({ users: [{ name: CONTROLLER }, { name: 'ada' }, { name: 'bob' }] });
  await plane.client.create(Resources.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  await apply(path.join(root, MANIFESTS));
});
afterAll(async () => {
  ending.abort();
  await node?.stop();
  for (const client of clients) client.close();
  await plane?.stop();
});

describe('the plain manifests on a real API server', () => {
  it('give the controller every right that a release needs, from adoption to removal', async () => {
    await runPods();
    await plane.client.create(Resources.Deployment, target('reviews:v1'));
    await plane.client.create(SluiceResources.Canary, canary);
    const lines: string[] = [];
    const stop = new AbortController();
    const done = run(
      [
        'controller',
        '--kubeconfig',
        plane.kubeconfigFor(CONTROLLER),
        '--listen',
        '127.0.0.1:0',
        '--leader-election-namespace',
        'sluice-system',
      ],
      io(lines, stop.signal),
    );
    let seen: Canary | undefined;
    const tail = (): string => `${JSON.stringify(seen?.status?.conditions)}\n${lines.slice(-5).join('')}`;
    const live = async (): Promise<Canary> => (seen = await plane.client.get(SluiceResources.Canary, 'shop', 'reviews'));
    const phase = (wanted: string) =>
      eventually(async () => (await live()).status?.phase === wanted && (await live()), `phase ${wanted}`, tail);
    await phase('Initialized');
    await plane.client.patch(
      Resources.Deployment,
      'shop',
      'reviews',
      { spec: { template: { metadata: { labels: { version: 'v2' } } } } },
      'merge',
    );
    const promoted = await phase('Succeeded');
    expect(promoted.status?.history?.[0]).toMatchObject({ result: 'Succeeded', weights: [50, 100] });
    await plane.client.delete(SluiceResources.Canary, 'shop', 'reviews');
    await eventually(async () => live().then(() => undefined, isNotFound), 'the Canary is gone', tail);
    stop.abort();
    expect(await done).toBe(0);
    const refused = (await readFile(plane.auditLogPath, 'utf8'))
      .split('\n')
      .filter((line) => line.includes(`"username":"${CONTROLLER}"`) && /"code":403/.test(line))
      .map(
        (line) =>
          (JSON.parse(line) as { verb: string; requestURI: string }).verb +
          ' ' +
          (JSON.parse(line) as { requestURI: string }).requestURI,
      );
    expect(refused).toEqual([]);
  });

  it('keep every Secret from the controller but those that are named', async () => {
    const controller = await as(CONTROLLER);
    const slack = { namespace: 'shop', fieldSelector: 'metadata.name=slack' };
    await expect(controller.list(Resources.Secret, slack)).rejects.toMatchObject({ code: 403 });
    const roles = await template(await ensureHelm(), root, [
      '--show-only',
      'templates/rbac-secrets.yaml',
      '--set',
      'secrets[0].namespace=shop',
      '--set',
      'secrets[0].names={slack}',
    ]);
    const file = path.join(plane.dir, 'secrets.yaml');
    await writeFile(file, roles);
    await apply(file);
    await eventually(
      async () =>
        controller.list(Resources.Secret, slack).then(
          () => true,
          () => false,
        ),
      'the named Secret may be listed',
    );
    await expect(controller.list(Resources.Secret, { namespace: 'shop' })).rejects.toMatchObject({ code: 403 });
    await expect(
      controller.list(Resources.Secret, { namespace: 'shop', fieldSelector: 'metadata.name=other' }),
    ).rejects.toMatchObject({ code: 403 });
  });

  it('let only those act who may, under their own name', async () => {
    const bind = (name: string, role: object, user: string): string =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: [
          role,
          {
            apiVersion: 'rbac.authorization.k8s.io/v1',
            kind: 'RoleBinding',
            metadata: { namespace: 'shop', name },
            roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
            subjects: [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }],
          },
        ],
      });
    const role = (name: string, verbs: string[]) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { namespace: 'shop', name },
      rules: [
        { apiGroups: ['sluice.dev'], resources: ['canaryactions'], verbs: ['create'] },
        { apiGroups: ['sluice.dev'], resources: verbs.map((verb) => `canaries/${verb}`), verbs: ['create'] },
      ],
    });
    for (const [user, verbs] of [
      ['ada', ['abort', 'approve']],
      ['bob', ['hold']],
    ] as const) {
      const file = path.join(plane.dir, `${user}.json`);
      await writeFile(file, bind(`act-${user}`, role(`act-${user}`, [...verbs]), user));
      await apply(file);
    }
    const [ada, bob] = [await as('ada'), await as('bob')];
    const create = (client: OwnedKubeClient, object: CanaryAction) =>
      client.create(SluiceResources.CanaryAction, object, { dryRun: true });
    await eventually(
      async () =>
        create(ada, action('a1', 'abort', 'ada')).then(
          () => true,
          () => false,
        ),
      'ada may abort',
    );
    await eventually(
      async () =>
        create(bob, action('b1', 'hold', 'bob')).then(
          () => true,
          () => false,
        ),
      'bob may hold',
    );
    await expect(create(bob, action('b2', 'abort', 'bob'))).rejects.toThrow(
      'bob may not abort Canary reviews: a role that may create canaries/abort is needed',
    );
    await expect(create(bob, action('b3', 'hold', 'ada'))).rejects.toThrow('spec.by must be the user who asks: bob');
  });
});
