import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { createKubeClient, KubeError, Resources, type KubeObject, type OwnedKubeClient } from '../../src/kube/index.js';
import { auditPolicy } from './audit-policy.js';
import { controlPlaneParts, ensureParts, type PartName } from './parts.js';
import { answers, freePorts, removeTemporary, startDaemon, stopAll, temporaryFolder, type Daemon } from './process.js';

/** The controllers that a workload without nodes needs. */
const CONTROLLERS = [
  'deployment-controller',
  'replicaset-controller',
  'daemonset-controller',
  'endpointslice-controller',
  'garbage-collector-controller',
  'namespace-controller',
  'disruption-controller',
  'horizontal-pod-autoscaler-controller',
  'serviceaccount-controller',
  'pod-garbage-collector-controller',
];
const SERVICE_CIDR = '10.96.0.0/16';
const CRD_TIMEOUT_MS = 120_000;

/** A user that the API server's token file knows. `groups` may name any; `system:masters` may do everything. */
export interface TestUser {
  name: string;
  groups?: string[];
}

export interface ControlPlaneOptions {
  /** Where logs, keys and data go; it must exist or be creatable. A temporary folder by default, removed by `stop()`. */
  dir?: string;
  /** Istio's CRDs by default. A path is a YAML file or a folder of them; other objects than CRDs in it are left out. */
  crds?: ('istio' | 'gateway-api' | { path: string })[];
  /** Users besides `admin`, with no rights but what tests grant by RBAC. */
  users?: TestUser[];
  /** Client-side limits of kube-controller-manager, in requests a second; its own default is 20. */
  controllerManagerQps?: number;
  /** The controllers that kube-controller-manager runs; by default all that a workload without nodes needs. */
  controllers?: readonly string[];
  /** `--horizontal-pod-autoscaler-sync-period` and the like. */
  controllerManagerFlags?: string[];
  apiServerFlags?: string[];
  /** Pods get a service account, as in a cluster; off by default, for pods here have no kubelet that could mount its token. */
  serviceAccountAdmission?: boolean;
  onProgress?: (message: string) => void;
}

export interface ControlPlane {
  dir: string;
  url: string;
  /** Path of a kubeconfig for `admin`. */
  kubeconfig: string;
  /** Path of a kubeconfig for one of the users. Throws when nobody has that name. */
  kubeconfigFor(user: string): string;
  /** A client as `admin`; closed by `stop()`. */
  client: OwnedKubeClient;
  /** JSON lines of `audit.k8s.io/v1` Event. */
  auditLogPath: string;
  daemons: { etcd: Daemon; apiserver: Daemon; controllerManager: Daemon };
  pids: { etcd: number; apiserver: number; controllerManager: number };
  /** Resident memory of all three together, in bytes. */
  rss(): Promise<number>;
  /** Applies the CustomResourceDefinitions of a YAML file, or of a folder of them, and waits until they are served. */
  applyCrds(file: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts etcd, kube-apiserver (RBAC, audit log) and kube-controller-manager on 127.0.0.1, and waits until they serve. No nodes, no scheduler. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const crds = options.crds ?? ['istio'];
  const need: PartName[] = [...controlPlaneParts, ...(crds.includes('gateway-api') ? (['gatewayApiCrds'] as const) : [])];
  const parts = await ensureParts({ need, onProgress: options.onProgress });
  const dir = options.dir ?? (await temporaryFolder('sluice-control-plane-'));
  await mkdir(dir, { recursive: true });
  const data = await temporaryFolder('sluice-etcd-');
  const started: Daemon[] = [];
  let client: OwnedKubeClient | undefined;
  const stop = async (): Promise<void> => {
    client?.close();
    await stopAll(started.toReversed());
    await removeTemporary(data);
    if (options.dir === undefined) await removeTemporary(dir);
  };
  try {
    const files = await writeFiles(dir, options.users ?? []);
    const [etcdPort = 0, peerPort = 0, securePort = 0, managerPort = 0] = await freePorts(4);
    const etcd = await startEtcd(parts.etcd, dir, data, etcdPort, peerPort);
    started.push(etcd);
    const apiserver = startDaemon('kube-apiserver', parts.apiserver, apiServerArguments(files, etcdPort, securePort, options), {
      dir,
    });
    started.push(apiserver);
    const url = `https://127.0.0.1:${securePort}`;
    await apiserver.ready(async () => Boolean(await readFile(files.serverCertificate)));
    const certificate = await readFile(files.serverCertificate, 'utf8');
    for (const user of files.users) await writeFile(user.kubeconfig, kubeconfigFor(url, certificate, user));
    const kubeconfig = kubeconfigOf(files.users, 'admin');
    const admin = (client = await createKubeClient({ kubeconfig, userAgent: 'sluice-test' }));
    await apiserver.ready(() => bootstrapped(admin));
    const controllerManager = startDaemon(
      'kube-controller-manager',
      parts.controllerManager,
      managerArguments(files, kubeconfig, managerPort, options),
      { dir },
    );
    started.push(controllerManager);
    for (const crd of crds) await applyCrds(admin, crdPath(crd, parts));
    await controllerManager.ready(() => serviceAccountExists(admin));
    const daemons = { etcd, apiserver, controllerManager };
    return {
      dir,
      url,
      kubeconfig,
      kubeconfigFor: (user) => kubeconfigOf(files.users, user),
      client: admin,
      auditLogPath: files.auditLog,
      daemons,
      pids: { etcd: etcd.pid, apiserver: apiserver.pid, controllerManager: controllerManager.pid },
      rss: async () =>
        (await Promise.all(Object.values(daemons).map((daemon) => daemon.rss()))).reduce((sum, bytes) => sum + bytes, 0),
      applyCrds: (file) => applyCrds(admin, file),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Files {
  certificates: string;
  serverCertificate: string;
  serviceAccountKey: string;
  tokens: string;
  auditPolicy: string;
  auditLog: string;
  users: { name: string; token: string; kubeconfig: string }[];
}

async function writeFiles(dir: string, users: TestUser[]): Promise<Files> {
  const in_ = (name: string): string => path.join(dir, name);
  const all = [{ name: 'admin', groups: ['system:masters'] }, ...users].map((user) => ({
    ...user,
    token: randomBytes(16).toString('hex'),
    kubeconfig: in_(`${user.name}.kubeconfig`),
  }));
  const files: Files = {
    certificates: in_('certificates'),
    serverCertificate: path.join(in_('certificates'), 'apiserver.crt'),
    serviceAccountKey: in_('service-account.key'),
    tokens: in_('tokens.csv'),
    auditPolicy: in_('audit-policy.yaml'),
    auditLog: in_('audit.log'),
    users: all,
  };
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(files.serviceAccountKey, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  const lines = all.map((user) => `${user.token},${user.name},${user.name},"${(user.groups ?? []).join(',')}"\n`);
  await writeFile(files.tokens, lines.join(''), { mode: 0o600 });
  await writeFile(files.auditPolicy, auditPolicy());
  return files;
}

async function startEtcd(program: string, dir: string, data: string, port: number, peerPort: number): Promise<Daemon> {
  const url = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const etcd = startDaemon(
    'etcd',
    program,
    [
      `--data-dir=${data}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      // Nothing here outlives the test.
      '--unsafe-no-fsync',
      '--logger=zap',
    ],
    { dir },
  );
  await etcd
    .ready(() => answers(`${url}/health`))
    .catch(async (error: unknown) => {
      await etcd.stop();
      throw error;
    });
  return etcd;
}

function apiServerArguments(files: Files, etcdPort: number, securePort: number, options: ControlPlaneOptions): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    // Else it publishes itself as an endpoint and refuses a loopback address for that.
    '--endpoint-reconciler-type=none',
    `--secure-port=${securePort}`,
    `--cert-dir=${files.certificates}`,
    `--service-cluster-ip-range=${SERVICE_CIDR}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    `--service-account-key-file=${files.serviceAccountKey}`,
    `--token-auth-file=${files.tokens}`,
    '--authorization-mode=RBAC',
    ...(options.serviceAccountAdmission === true ? [] : ['--disable-admission-plugins=ServiceAccount']),
    `--audit-policy-file=${files.auditPolicy}`,
    `--audit-log-path=${files.auditLog}`,
    ...(options.apiServerFlags ?? []),
  ];
}

function managerArguments(files: Files, kubeconfig: string, port: number, options: ControlPlaneOptions): string[] {
  const qps = options.controllerManagerQps ?? 100;
  return [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${(options.controllers ?? CONTROLLERS).join(',')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${files.certificates}-manager`,
    '--leader-elect=false',
    `--kube-api-qps=${qps}`,
    `--kube-api-burst=${qps * 2}`,
    `--service-account-private-key-file=${files.serviceAccountKey}`,
    `--root-ca-file=${files.serverCertificate}`,
    ...(options.controllerManagerFlags ?? []),
  ];
}

function kubeconfigFor(url: string, certificate: string, user: { name: string; token: string }): string {
  const cluster = { server: url, 'certificate-authority-data': Buffer.from(certificate).toString('base64') };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'real',
    contexts: [{ name: 'real', context: { cluster: 'real', user: user.name } }],
    clusters: [{ name: 'real', cluster }],
    users: [{ name: user.name, user: { token: user.token } }],
  });
}

function kubeconfigOf(users: Files['users'], name: string): string {
  const user = users.find((candidate) => candidate.name === name);
  if (!user) throw new Error(`control plane: there is no user ${name}; name it in the option users`);
  return user.kubeconfig;
}

/** Serving, and its post-start hooks have made what every cluster has. Rejects until then. */
async function bootstrapped(client: OwnedKubeClient): Promise<boolean> {
  await client.get(Resources.Namespace, undefined, 'default');
  await client.raw('/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin');
  return true;
}

async function serviceAccountExists(client: OwnedKubeClient): Promise<boolean> {
  await client.get(Resources.ServiceAccount, 'default', 'default');
  return true;
}

function crdPath(crd: NonNullable<ControlPlaneOptions['crds']>[number], parts: Partial<Record<PartName, string>>): string {
  if (typeof crd === 'object') return crd.path;
  return (crd === 'istio' ? parts.istioCrds : parts.gatewayApiCrds) ?? '';
}

async function applyCrds(client: OwnedKubeClient, file: string): Promise<void> {
  const names = (await stat(file)).isDirectory() ? (await readdir(file)).filter((name) => name.endsWith('.yaml')) : undefined;
  const texts = await Promise.all((names?.map((name) => path.join(file, name)) ?? [file]).map((one) => readFile(one, 'utf8')));
  const objects = texts
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as KubeObject | null))
    .filter((object) => object?.kind === 'CustomResourceDefinition');
  await Promise.all(objects.map((object) => establish(client, object as KubeObject)));
}

/** On a machine that is busy an answer may take longer than a client waits; what came of the request shows at the next try. */
const unanswered = (error: unknown): undefined => {
  if (error instanceof KubeError && error.code === 0) return undefined;
  throw error;
};

async function establish(client: OwnedKubeClient, crd: KubeObject): Promise<void> {
  const resource = Resources.CustomResourceDefinition;
  const { name } = crd.metadata;
  const deadline = performance.now() + CRD_TIMEOUT_MS;
  let applied: KubeObject | undefined;
  for (;;) {
    applied ??= await client.patch(resource, undefined, name, crd, 'apply', { force: true, fieldManager: 'sluice-test' }).catch(unanswered);
    const live = applied && ((await client.get(resource, undefined, name).catch(unanswered)) as { status?: { conditions?: { type: string; status: string }[] } } | undefined);
    if (live?.status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True')) return;
    if (performance.now() > deadline) throw new Error(`customresourcedefinition ${name} is not Established: ${JSON.stringify(live?.status)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
