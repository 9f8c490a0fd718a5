import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { createCredentials, type CredentialSource, type LoadedConfig } from './credentials.js';
import { clientConfig, podConfig } from './lean-config.js';

/** Where a pod finds its service account's token (`Accessing the API from within a Pod` of Kubernetes' documentation). */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
/** What the package can authenticate with; it would send requests without credentials for any other name. */
const AUTH_PROVIDERS = ['azure', 'exec', 'gcp', 'oidc', 'tokenFile'];

const text = z.string().nullish();
const clusterSchema = z.looseObject({ server: text, 'certificate-authority': text, 'certificate-authority-data': text });
const execSchema = z.looseObject({
  apiVersion: z.string(),
  command: z.string().min(1),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  provideClusterInfo: z.boolean().nullish(),
});
const userSchema = z.looseObject({
  tokenFile: text,
  'as-groups': z.array(z.string()).nullish(),
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  exec: execSchema.nullish(),
  'auth-provider': z.looseObject({ name: z.string() }).nullish(),
});
const contextSchema = z.looseObject({ cluster: z.string(), user: text, namespace: text });
const fileSchema = z.looseObject({
  'current-context': text,
  clusters: z.array(z.looseObject({ name: z.string(), cluster: clusterSchema })).nullish(),
  users: z.array(z.looseObject({ name: z.string(), user: userSchema.nullish() })).nullish(),
  contexts: z.array(z.looseObject({ name: z.string(), context: contextSchema })).nullish(),
});
type KubeconfigFile = z.infer<typeof fileSchema>;
type Cluster = z.infer<typeof clusterSchema>;
type User = z.infer<typeof userSchema>;

/** How to reach one API server, and as whom. */
export interface ClusterAccess {
  /** Base URL without a trailing slash. */
  server: string;
  /** The context's default namespace. */
  namespace?: string;
  credentials: CredentialSource;
}

export interface KubeconfigOptions {
  /** Path of a kubeconfig. Without it: the pod's service account, else `KUBECONFIG`, else `~/.kube/config`. */
  kubeconfig?: string | undefined;
  /** Name of the context; the file's current context by default. */
  context?: string | undefined;
  /** The environment to look for `KUBECONFIG` and `HOME` in. */
  env?: NodeJS.ProcessEnv;
  /** Prefix of the service account's folder, when a pod's root is not `/`. */
  podRoot?: string;
}

/**
 * Finds the API server and the credentials. Proxies in the environment are never used, `proxy-url` of the kubeconfig is.
 * @throws Error that names the file, the field and the next step when something is missing or malformed.
 */
export async function loadClusterAccess(options: KubeconfigOptions = {}): Promise<ClusterAccess> {
  const { config, groups } = await loadKubeConfig(options);
  return {
    server: config.getCurrentCluster()?.server ?? '',
    namespace: config.getContextObject(config.getCurrentContext())?.namespace?.trim(),
    // After a 401 everything is read again: files may have been replaced, and the package keeps a plugin's token until it expires.
    credentials: createCredentials({ config, groups }, () => loadKubeConfig(options)),
  };
}

async function loadKubeConfig(options: KubeconfigOptions): Promise<LoadedConfig> {
  const root = options.podRoot ?? '';
  if (options.kubeconfig !== undefined || options.context !== undefined || !runsInPod(root)) {
    return loadFiles(kubeconfigPaths(options.kubeconfig, options.env ?? process.env), options.context);
  }
  return { config: podConfig(root), groups: [] };
}

function runsInPod(root: string): boolean {
  return Boolean(process.env['KUBERNETES_SERVICE_HOST']) && existsSync(root + SERVICE_ACCOUNT_TOKEN);
}

function kubeconfigPaths(explicit: string | undefined, env: NodeJS.ProcessEnv): string[] {
  if (explicit !== undefined) return [explicit];
  const fromEnv = (env['KUBECONFIG'] ?? '').split(path.delimiter).filter(Boolean);
  // kubectl skips what KUBECONFIG names and does not exist, as long as one file is there.
  const present = fromEnv.filter((file) => existsSync(file));
  if (fromEnv.length > 0) return present.length > 0 ? present : fromEnv;
  return [path.join(env['HOME'] ?? homedir(), '.kube', 'config')];
}

async function loadFiles(files: string[], wanted: string | undefined): Promise<LoadedConfig> {
  const merged = mergeFirstWins(await Promise.all(files.map(readKubeconfig)));
  const where = `kubeconfig ${files.join(', ')}`;
  const name = wanted ?? merged['current-context'];
  if (!name) throw new Error(`${where}: no current-context; set one with kubectl config use-context, or pass --context`);
  const context = pick(where, 'context', name, merged.contexts).context;
  const cluster = pick(where, 'cluster', context.cluster, merged.clusters).cluster;
  const user = pick(where, 'user', context.user, merged.users).user;
  if (!URL.canParse(cluster.server ?? '')) {
    throw new Error(`${where}: cluster ${context.cluster}: field server: expected a URL such as https://host:6443`);
  }
  const provider = user?.['auth-provider']?.name;
  if (provider && !AUTH_PROVIDERS.includes(provider)) {
    throw new Error(
      `${where}: user ${context.user}: auth-provider ${provider} is not known; use an exec plugin or a token instead`,
    );
  }
  if (user?.exec) user.exec.env = [...(user.exec.env ?? []), await execInfo(user.exec, cluster)];
  return { config: await clientConfig(merged, name), groups: user?.['as-groups'] ?? [] };
}

/** What a credential plugin is told (`client.authentication.k8s.io`); the package leaves it out. */
async function execInfo(exec: z.infer<typeof execSchema>, cluster: Cluster): Promise<{ name: string; value: string }> {
  const file = cluster['certificate-authority'];
  const ca = file ? (await readFile(file)).toString('base64') : cluster['certificate-authority-data'];
  const info = {
    apiVersion: exec.apiVersion,
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      cluster: exec.provideClusterInfo ? { server: cluster.server, 'certificate-authority-data': ca ?? undefined } : undefined,
    },
  };
  return { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) };
}

function pick<T extends { name: string }>(
  where: string,
  field: string,
  name: string | null | undefined,
  list: T[] | null | undefined,
): T {
  const entry = list?.find((candidate) => candidate.name === name);
  if (entry) return entry;
  const names = list?.map((candidate) => candidate.name).join(', ') || 'none';
  throw new Error(`${where}: there is no ${field} named ${name} (it has: ${names})`);
}

/** Merges as kubectl does; the package refuses a name that two files use. */
function mergeFirstWins(files: KubeconfigFile[]): KubeconfigFile {
  const first = <T extends { name: string }>(lists: (T[] | null | undefined)[]): T[] => {
    const all = lists.flatMap((list) => list ?? []);
    return all.filter((entry, index) => all.findIndex((other) => other.name === entry.name) === index);
  };
  const users = first(files.map((file) => file.users));
  const contexts = first(files.map((file) => file.contexts));
  // The package applies a cluster's CA only when the context has a user.
  const anonymous = { name: 'sluice-anonymous', user: {} };
  for (const { context } of contexts) context.user ||= anonymous.name;
  return {
    'current-context': files.map((file) => file['current-context']).find(Boolean),
    clusters: first(files.map((file) => file.clusters)),
    users: [...users, anonymous],
    contexts,
  };
}

async function readKubeconfig(file: string): Promise<KubeconfigFile> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(
      `kubeconfig ${file} cannot be read (${(error as NodeJS.ErrnoException).code}); pass --kubeconfig or set KUBECONFIG`,
      { cause: error },
    );
  }
  let document: unknown;
  try {
    document = parseYaml(content, { logLevel: 'error' });
  } catch {
    // The parser's message quotes the line, which may hold a token.
    throw new Error(`kubeconfig ${file} is not valid YAML; check it with kubectl config view`);
  }
  const parsed = fileSchema.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`kubeconfig ${file}: field ${issue?.path.join('.') || '(top)'}: ${issue?.message ?? 'malformed'}`);
  }
  for (const { cluster } of parsed.data.clusters ?? []) clientGoCluster(cluster, path.dirname(file));
  for (const { user } of parsed.data.users ?? []) if (user) clientGoUser(user, path.dirname(file));
  return parsed.data;
}

function clientGoCluster(cluster: Cluster, folder: string): void {
  dataOrFile(cluster, 'certificate-authority', folder);
  if (cluster.server) cluster.server = cluster.server.replace(/\/+$/, '');
  // The package wants this said for plain HTTP, where there is nothing to verify.
  if (cluster.server?.startsWith('http:')) cluster['insecure-skip-tls-verify'] = true;
}

/** Says in the package's terms what client-go understands and the package does not. */
function clientGoUser(user: User, folder: string): void {
  dataOrFile(user, 'client-certificate', folder);
  dataOrFile(user, 'client-key', folder);
  // The package reads `token-file` once; its provider for service accounts follows a rotating file.
  if (user.tokenFile) {
    user['auth-provider'] = { name: 'tokenFile', config: { tokenFile: path.resolve(folder, user.tokenFile) } };
    delete user['token'];
  }
  // A command with a folder in it is meant relative to the kubeconfig; a bare name is looked up in PATH.
  if (user.exec?.command.includes('/')) user.exec.command = path.resolve(folder, user.exec.command);
}

// In client-go inline data wins over a file; in the package it is the other way round.
function dataOrFile(entry: Record<string, unknown>, field: string, folder: string): void {
  const file = entry[field];
  if (entry[`${field}-data`]) delete entry[field];
  else if (typeof file === 'string' && file) entry[field] = path.resolve(folder, file);
}
