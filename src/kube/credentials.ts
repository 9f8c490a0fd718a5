import http from 'node:http';
import type { ClientConfig } from './lean-config.js';

/** How long what was read from files is used before the package is asked again, in ms. Kubelets rotate tokens minutes ahead of their expiry. */
const REFRESH_MS = 60_000;
/** A credential plugin or an identity provider that says nothing for this long, in ms, has failed. */
const ANSWER_TIMEOUT_MS = 60_000;
/** An idle connection is closed by us after this long, in ms: sooner than servers and load balancers do it behind our back. */
const IDLE_SOCKET_MS = 30_000;

/** A kubeconfig (or a pod's service account) with its current context set. */
export interface LoadedConfig {
  config: ClientConfig;
  /** `as-groups` of the user; the package does not know them. */
  groups: string[];
}

/** What one request needs. Never log it. */
export interface Credentials {
  headers: Record<string, string | string[]>;
  /** Holds the TLS material and the proxy, and keeps connections alive. */
  agent: http.Agent;
}

export interface CredentialSource {
  /** Current credentials; files, plugins and identity providers are asked again when theirs are old. Rejects with an Error that holds no secret. */
  get(): Promise<Credentials>;
  /** Forget what is cached (the server answered 401). */
  invalidate(): void;
  /** Lets go of idle connections. */
  close(): void;
}

/** Asks the package for credentials, as seldom as they change. `reload` reads the kubeconfig again. */
export function createCredentials(loaded: LoadedConfig, reload: () => Promise<LoadedConfig>): CredentialSource {
  let source: LoadedConfig | undefined = loaded;
  let cached: { value: Promise<Credentials>; goodUntil: number } | undefined;
  let connections: { key: string; agent: http.Agent } | undefined;

  const resolve = async (): Promise<Credentials> => {
    const current = (source ??= await reload());
    const options: http.RequestOptions & Record<'ca' | 'cert' | 'key', unknown> = {
      headers: {},
      timeout: IDLE_SOCKET_MS,
      ca: undefined,
      cert: undefined,
      key: undefined,
    };
    await applyCredentials(current.config, options);
    const { ca, cert, key } = options;
    const identity = [String(ca), String(cert), String(key)].join();
    // The old agent stays while nothing changed; a rotated certificate gets a new one, and the old connections drain.
    if (connections?.key !== identity) connections = { key: identity, agent: keptAlive(options.agent) };
    return { headers: headersOf(options, current.groups), agent: connections.agent };
  };

  return {
    async get() {
      if (cached && Date.now() < cached.goodUntil) return cached.value;
      // Whoever asks while the answer is under way shares it.
      const entry = { value: resolve(), goodUntil: Infinity };
      cached = entry;
      try {
        const credentials = await entry.value;
        entry.goodUntil = Date.now() + REFRESH_MS;
        return credentials;
      } catch (error) {
        if (cached === entry) cached = undefined;
        throw error;
      }
    },
    invalidate() {
      cached = undefined;
      source = undefined;
    },
    close: () => connections?.agent.destroy(),
  };
}

async function applyCredentials(config: ClientConfig, options: http.RequestOptions): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)), ANSWER_TIMEOUT_MS);
  });
  try {
    await Promise.race([config.applyToHTTPSOptions(options), late]);
  } catch (error) {
    throw new Error(failure(config, error as NodeJS.ErrnoException));
  } finally {
    clearTimeout(timer);
  }
}

/** Says what failed without the package's own words, which quote a plugin's output: a token may be in it. */
function failure(config: ClientConfig, error: NodeJS.ErrnoException): string {
  const user = config.getCurrentUser();
  const exec = user?.exec as { command?: string } | undefined;
  if (error.syscall === 'open' && error.path) return `credentials: ${error.path} cannot be read (${error.code})`;
  if (exec) {
    return error.code === 'ENOENT' || error.code === 'EACCES'
      ? `credential plugin ${exec.command} did not start (${error.code}); install it or fix users[].user.exec.command`
      : `credential plugin ${exec.command} gave no usable ExecCredential; run it by hand to see why`;
  }
  const provider = (user?.authProvider as { name?: string } | undefined)?.name;
  if (provider) return `auth-provider ${provider} gave no token; log in again, or use an exec plugin`;
  return `credentials of user ${user?.name} cannot be used; check its certificate and key with kubectl config view`;
}

function headersOf(options: http.RequestOptions, groups: string[]): Credentials['headers'] {
  const headers: Credentials['headers'] = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value).trim();
  if (options.auth) headers['authorization'] ??= `Basic ${Buffer.from(options.auth).toString('base64')}`;
  if (groups.length > 0) headers['impersonate-group'] = groups;
  return headers;
}

/** The package's agents open a connection for every request; a controller asks all the time. */
function keptAlive(agent: http.RequestOptions['agent']): http.Agent {
  return Object.assign(agent as http.Agent, { keepAlive: true });
}
