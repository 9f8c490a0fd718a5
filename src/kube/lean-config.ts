import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { isIPv6 } from 'node:net';
import type { Cluster, Context, KubeConfig, User } from '@kubernetes/client-node';
// Not from the package's index: that brings in 70 MiB of generated API, half of what the controller may use in all.
import { newClusters, newContexts, newUsers } from '@kubernetes/client-node/dist/config_types.js';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { FileAuth } from '@kubernetes/client-node/dist/file_auth.js';

/** What is used of the package's `KubeConfig`. */
export type ClientConfig = Pick<KubeConfig, 'getCurrentCluster' | 'getCurrentContext' | 'getContextObject' | 'getCurrentUser' | 'applyToHTTPSOptions'>;

/** Where a pod finds its service account (`Accessing the API from within a Pod` of Kubernetes' documentation). */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** What the lean configuration authenticates with; other providers need the whole package. */
const LEAN_PROVIDERS = ['exec', 'tokenFile'];

interface Entries {
  clusters: Cluster[];
  users: User[];
  contexts: Context[];
  current: string;
}

/** A kubeconfig document with one current context. Rejects as the package does when an entry is malformed. */
export async function clientConfig(document: Record<string, unknown>, current: string): Promise<ClientConfig> {
  const config = new LeanConfig({
    clusters: newClusters(document['clusters'] as never),
    users: newUsers(document['users'] as never),
    contexts: newContexts(document['contexts'] as never),
    current,
  });
  if (config.suffices) return config;
  const { KubeConfig } = await import('@kubernetes/client-node');
  const whole = new KubeConfig();
  whole.loadFromString(JSON.stringify(document));
  whole.setCurrentContext(current);
  return whole;
}

/** The service account of the pod that this runs in. `root` is a prefix of its folder. */
export function podConfig(root: string): ClientConfig {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  const folder = root + SERVICE_ACCOUNT;
  const namespaceFile = `${folder}/namespace`;
  const namespace = existsSync(namespaceFile) ? readFileSync(namespaceFile, 'utf8') : undefined;
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const name = 'pod';
  return new LeanConfig({
    clusters: [{ name, server, caFile: `${folder}/ca.crt`, skipTLSVerify: false }],
    users: [{ name, authProvider: { name: 'tokenFile', config: { tokenFile: `${folder}/token` } } }],
    contexts: [{ name, cluster: name, user: name, namespace }],
    current: name,
  });
}

/** Tokens, certificates, passwords, credential plugins and token files, straight to the API server. */
class LeanConfig implements ClientConfig {
  readonly #exec = new ExecAuth();
  readonly #file = new FileAuth();

  constructor(private readonly entries: Entries) {}

  /** False when the package as a whole is needed: for a proxy, or a provider of a cloud. */
  get suffices(): boolean {
    const provider = (this.getCurrentUser()?.authProvider as { name?: string } | null | undefined)?.name;
    return !this.getCurrentCluster()?.proxyUrl && (provider === undefined || LEAN_PROVIDERS.includes(provider));
  }

  getCurrentContext(): string {
    return this.entries.current;
  }
  getContextObject(name: string): Context | null {
    return this.entries.contexts.find((context) => context.name === name) ?? null;
  }
  getCurrentCluster(): Cluster | null {
    const wanted = this.getContextObject(this.entries.current)?.cluster;
    return this.entries.clusters.find((cluster) => cluster.name === wanted) ?? null;
  }
  getCurrentUser(): User | null {
    const wanted = this.getContextObject(this.entries.current)?.user;
    return this.entries.users.find((user) => user.name === wanted) ?? null;
  }

  async applyToHTTPSOptions(options: https.RequestOptions): Promise<void> {
    const [cluster, user] = [this.getCurrentCluster(), this.getCurrentUser()];
    if (!cluster || !user) throw new Error('the context names no cluster, or no user');
    const headers: http.OutgoingHttpHeaders = { ...(options.headers as http.OutgoingHttpHeaders | undefined) };
    options.headers = headers;
    if (cluster.skipTLSVerify) options.rejectUnauthorized = false;
    if (cluster.tlsServerName) options.servername = cluster.tlsServerName;
    options.ca = bytes(cluster.caFile, cluster.caData);
    options.cert = bytes(user.certFile, user.certData);
    options.key = bytes(user.keyFile, user.keyData);
    if (user.impersonateUser) headers['Impersonate-User'] = user.impersonateUser;
    const authenticator = [this.#exec, this.#file].find((one) => one.isAuthProvider(user));
    // A plugin may replace the certificate.
    await authenticator?.applyAuthentication(user, options);
    if (user.token) headers['Authorization'] = `Bearer ${user.token}`;
    if (user.username) options.auth = `${user.username}:${user.password}`;
    options.agent = agentFor(cluster, options);
  }
}

function agentFor(cluster: Cluster, { ca, cert, key, rejectUnauthorized, timeout, servername }: https.RequestOptions): http.Agent {
  if (cluster.server.startsWith('http:')) return new http.Agent({ timeout });
  return new https.Agent({ ca, cert, key, timeout, servername, ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }) });
}

function bytes(file: string | null | undefined, data: string | null | undefined): Buffer | undefined {
  if (file) return readFileSync(file);
  return data ? Buffer.from(data, 'base64') : undefined;
}
