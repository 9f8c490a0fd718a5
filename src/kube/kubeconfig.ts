import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { isIPv6 } from 'node:net';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { createCredentials, type CredentialSource, type TlsMaterial } from './credentials.js';

/** Where a pod finds its service account (`Accessing the API from within a Pod` of Kubernetes' documentation). */
const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

const optionalString = z.string().nullish();

const clusterSchema = z.object({
  server: z.url(),
  'certificate-authority': optionalString,
  'certificate-authority-data': optionalString,
  'insecure-skip-tls-verify': z.boolean().nullish(),
  'tls-server-name': optionalString,
  'proxy-url': optionalString,
});

const execSchema = z.object({
  apiVersion: z.string(),
  command: z.string().min(1),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  provideClusterInfo: z.boolean().nullish(),
});

const userSchema = z.object({
  token: optionalString,
  tokenFile: optionalString,
  username: optionalString,
  password: optionalString,
  'client-certificate': optionalString,
  'client-certificate-data': optionalString,
  'client-key': optionalString,
  'client-key-data': optionalString,
  as: optionalString,
  'as-groups': z.array(z.string()).nullish(),
  exec: execSchema.nullish(),
  'auth-provider': z.object({ name: z.string() }).nullish(),
});

const contextSchema = z.object({ cluster: z.string(), user: z.string().nullish(), namespace: optionalString });

const named = z.array(z.looseObject({ name: z.string() })).nullish();
const fileSchema = z.looseObject({ 'current-context': optionalString, clusters: named, users: named, contexts: named });

/** How to reach one API server, and as whom. */
export interface ClusterAccess {
  /** Base URL without a trailing slash. */
  server: string;
  /** The context's default namespace. */
  namespace?: string;
  /** `proxy-url` of the kubeconfig; proxies in the environment are never used. */
  proxyUrl?: string;
  credentials: CredentialSource;
}

export interface KubeconfigOptions {
  /** Path of a kubeconfig. Without it: the pod's service account, else `KUBECONFIG`, else `~/.kube/config`. */
  kubeconfig?: string | undefined;
  /** Name of the context; the file's current context by default. */
  context?: string | undefined;
  env?: NodeJS.ProcessEnv;
  serviceAccountFolder?: string;
}

/**
 * Finds the API server and the credentials.
 * @throws Error that names the file, the field and the next step when something is missing or malformed.
 */
export async function loadClusterAccess(options: KubeconfigOptions = {}): Promise<ClusterAccess> {
  const env = options.env ?? process.env;
  const folder = options.serviceAccountFolder ?? SERVICE_ACCOUNT_FOLDER;
  if (options.kubeconfig === undefined && options.context === undefined && runsInPod(env, folder)) return podAccess(env, folder);
  return fileAccess(kubeconfigPaths(options.kubeconfig, env), options.context);
}

function runsInPod(env: NodeJS.ProcessEnv, folder: string): boolean {
  return Boolean(env['KUBERNETES_SERVICE_HOST']) && existsSync(path.join(folder, 'token'));
}

async function podAccess(env: NodeJS.ProcessEnv, folder: string): Promise<ClusterAccess> {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  const namespaceFile = path.join(folder, 'namespace');
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    namespace: existsSync(namespaceFile) ? (await readFile(namespaceFile, 'utf8')).trim() : undefined,
    credentials: createCredentials({ caFile: path.join(folder, 'ca.crt') }, { tokenFile: path.join(folder, 'token') }),
  };
}

function kubeconfigPaths(explicit: string | undefined, env: NodeJS.ProcessEnv): string[] {
  if (explicit !== undefined) return [explicit];
  const fromEnv = (env['KUBECONFIG'] ?? '').split(path.delimiter).filter(Boolean);
  // kubectl skips what KUBECONFIG names and does not exist, as long as one file is there.
  const present = fromEnv.filter((file) => existsSync(file));
  if (fromEnv.length > 0) return present.length > 0 ? present : fromEnv;
  return [path.join(env['HOME'] ?? homedir(), '.kube', 'config')];
}

interface NamedEntry {
  name: string;
  file: string;
  value: unknown;
}

interface MergedFiles {
  files: string[];
  currentContext?: string;
  clusters: NamedEntry[];
  users: NamedEntry[];
  contexts: NamedEntry[];
}

async function fileAccess(files: string[], wanted: string | undefined): Promise<ClusterAccess> {
  const merged = await readKubeconfigs(files);
  const contextName = wanted ?? merged.currentContext;
  if (!contextName) {
    throw new Error(
      `kubeconfig ${files.join(', ')}: no current-context; set one with kubectl config use-context, or pass --context`,
    );
  }
  const context = pick(merged, 'contexts', 'context', contextName, contextSchema).value;
  const { value: cluster, file: clusterFile } = pick(merged, 'clusters', 'cluster', context.cluster, clusterSchema);
  const user = context.user ? pick(merged, 'users', 'user', context.user, userSchema) : undefined;
  const server = cluster.server.replace(/\/+$/, '');
  return {
    server,
    namespace: context.namespace ?? undefined,
    proxyUrl: cluster['proxy-url'] || undefined,
    credentials: createCredentials(tlsOf(cluster, clusterFile), user ? userOf(user.value, user.file) : {}, server),
  };
}

function tlsOf(cluster: z.infer<typeof clusterSchema>, file: string): TlsMaterial {
  return {
    caFile: absolute(file, cluster['certificate-authority']),
    caData: cluster['certificate-authority-data'] ?? undefined,
    skipVerify: cluster['insecure-skip-tls-verify'] ?? undefined,
    serverName: cluster['tls-server-name'] ?? undefined,
  };
}

function userOf(user: z.infer<typeof userSchema>, file: string): Parameters<typeof createCredentials>[1] {
  if (user['auth-provider']) {
    throw new Error(
      `kubeconfig ${file}: auth-provider ${user['auth-provider'].name} was removed from Kubernetes 1.26; use an exec plugin or a token instead`,
    );
  }
  const exec = user.exec;
  return {
    token: user.token ?? undefined,
    tokenFile: absolute(file, user.tokenFile),
    username: user.username ?? undefined,
    password: user.password ?? undefined,
    certFile: absolute(file, user['client-certificate']),
    certData: user['client-certificate-data'] ?? undefined,
    keyFile: absolute(file, user['client-key']),
    keyData: user['client-key-data'] ?? undefined,
    impersonateUser: user.as ?? undefined,
    impersonateGroups: user['as-groups'] ?? undefined,
    exec: exec
      ? {
          apiVersion: exec.apiVersion,
          // A command with a folder in it is meant relative to the kubeconfig; a bare name is looked up in PATH.
          command: exec.command.includes('/') ? (absolute(file, exec.command) ?? exec.command) : exec.command,
          args: exec.args ?? [],
          env: Object.fromEntries((exec.env ?? []).map((entry) => [entry.name, entry.value])),
          provideClusterInfo: exec.provideClusterInfo ?? false,
        }
      : undefined,
  };
}

function absolute(file: string, value: string | null | undefined): string | undefined {
  return value ? path.resolve(path.dirname(file), value) : undefined;
}

function pick<S extends z.ZodType>(
  merged: MergedFiles,
  list: 'clusters' | 'users' | 'contexts',
  field: string,
  name: string,
  schema: S,
): { value: z.infer<S>; file: string } {
  const entry = merged[list].find((candidate) => candidate.name === name);
  if (!entry) {
    const known = merged[list].map((candidate) => candidate.name).join(', ') || 'none';
    throw new Error(`kubeconfig ${merged.files.join(', ')}: there is no ${field} named ${name} (it has: ${known})`);
  }
  const parsed = schema.safeParse(entry.value ?? {});
  if (parsed.success) return { value: parsed.data, file: entry.file };
  const issue = parsed.error.issues[0];
  throw new Error(
    `kubeconfig ${entry.file}: ${field} ${name}: field ${issue?.path.join('.') || field}: ${issue?.message ?? 'malformed'}`,
  );
}

/** Merges as kubectl does: the first file that names something wins. */
async function readKubeconfigs(files: string[]): Promise<MergedFiles> {
  const merged: MergedFiles = { files, clusters: [], users: [], contexts: [] };
  for (const file of files) {
    const content = await readKubeconfig(file);
    merged.currentContext ??= content['current-context'] || undefined;
    for (const [list, field] of [
      ['clusters', 'cluster'],
      ['users', 'user'],
      ['contexts', 'context'],
    ] as const) {
      for (const entry of content[list] ?? []) merged[list].push({ name: entry.name, file, value: entry[field] });
    }
  }
  return merged;
}

async function readKubeconfig(file: string): Promise<z.infer<typeof fileSchema>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(
      `kubeconfig ${file} cannot be read (${(error as NodeJS.ErrnoException).code}); pass --kubeconfig or set KUBECONFIG`,
      {
        cause: error,
      },
    );
  }
  let document: unknown;
  try {
    document = parseYaml(text);
  } catch {
    // The parser's message quotes the line, which may hold a token.
    throw new Error(`kubeconfig ${file} is not valid YAML; check it with kubectl config view`);
  }
  const parsed = fileSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`kubeconfig ${file}: field ${issue?.path.join('.') || '(top)'}: ${issue?.message ?? 'malformed'}`);
}
