import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** How long what was read from files is used before it is read again, in ms. Kubelets rotate tokens minutes ahead of their expiry. */
const FILE_REFRESH_MS = 60_000;
/** A credential plugin that says nothing for this long, in ms, has failed. */
const EXEC_TIMEOUT_MS = 60_000;
/** A plugin's token is replaced this long before it expires, in ms, so that no request leaves with a dead one. */
const EXPIRY_MARGIN_MS = 10_000;

export interface TlsMaterial {
  caFile?: string;
  /** Base64 of PEM, as in a kubeconfig. */
  caData?: string;
  skipVerify?: boolean;
  serverName?: string;
}

export interface ExecPlugin {
  apiVersion: string;
  command: string;
  args: string[];
  env: Record<string, string>;
  provideClusterInfo: boolean;
}

export interface UserMaterial {
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  certFile?: string;
  certData?: string;
  keyFile?: string;
  keyData?: string;
  impersonateUser?: string;
  impersonateGroups?: string[];
  exec?: ExecPlugin;
}

/** What one request needs. Never log it. */
export interface Credentials {
  headers: Record<string, string | string[]>;
  tls: { ca?: string; cert?: string; key?: string; servername?: string; rejectUnauthorized?: boolean };
}

export interface CredentialSource {
  /** Current credentials; files and plugins are asked again when theirs are old. Rejects with an Error that holds no secret. */
  get(): Promise<Credentials>;
  /** Forget what is cached (the server answered 401). */
  invalidate(): void;
}

export function createCredentials(tls: TlsMaterial, user: UserMaterial, server = ''): CredentialSource {
  let cached: { value: ReturnType<typeof resolve>; goodUntil: number } | undefined;
  return {
    async get() {
      if (cached && Date.now() < cached.goodUntil) return (await cached.value).credentials;
      // Whoever asks while the answer is under way shares it.
      const entry = { value: resolve(tls, user, server), goodUntil: Infinity };
      cached = entry;
      try {
        const { credentials, expires } = await entry.value;
        // A plugin's answer is good for as long as it says, or until the server refuses it.
        entry.goodUntil = user.exec ? expires - EXPIRY_MARGIN_MS : Math.min(entry.goodUntil, Date.now() + FILE_REFRESH_MS);
        return credentials;
      } catch (error) {
        if (cached === entry) cached = undefined;
        throw error;
      }
    },
    invalidate() {
      cached = undefined;
    },
  };
}

async function resolve(
  tls: TlsMaterial,
  user: UserMaterial,
  server: string,
): Promise<{ credentials: Credentials; expires: number }> {
  const [ca, cert, key, fileToken] = await Promise.all([
    pem(tls.caFile, tls.caData),
    pem(user.certFile, user.certData),
    pem(user.keyFile, user.keyData),
    user.tokenFile ? readText(user.tokenFile) : undefined,
  ]);
  const plugin = user.exec ? await runPlugin(user.exec, server, ca) : undefined;
  const headers: Record<string, string | string[]> = {};
  // A rotating file beats a copied token, as in client-go.
  const token = plugin?.token ?? fileToken?.trim() ?? user.token;
  if (token) headers['authorization'] = `Bearer ${token}`;
  else if (user.username)
    headers['authorization'] = `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
  if (user.impersonateUser) headers['impersonate-user'] = user.impersonateUser;
  if (user.impersonateGroups?.length) headers['impersonate-group'] = user.impersonateGroups;
  return {
    credentials: {
      headers,
      tls: {
        ca,
        cert: plugin?.clientCertificateData ?? cert,
        key: plugin?.clientKeyData ?? key,
        servername: tls.serverName,
        rejectUnauthorized: tls.skipVerify ? false : undefined,
      },
    },
    expires: plugin?.expires ?? Infinity,
  };
}

// client-go lets inline data win over a file of the same name.
async function pem(file: string | undefined, data: string | undefined): Promise<string | undefined> {
  if (data) return Buffer.from(data, 'base64').toString('utf8');
  return file ? readText(file) : undefined;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`credentials: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
}

const execCredentialSchema = z.object({
  status: z.object({
    token: z.string().optional(),
    clientCertificateData: z.string().optional(),
    clientKeyData: z.string().optional(),
    expirationTimestamp: z.iso.datetime({ offset: true }).optional(),
  }),
});

interface PluginAnswer {
  token?: string;
  clientCertificateData?: string;
  clientKeyData?: string;
  expires: number;
}

/** Runs a client-go credential plugin (`client.authentication.k8s.io`), not interactively. */
async function runPlugin(plugin: ExecPlugin, server: string, ca: string | undefined): Promise<PluginAnswer> {
  const cluster = { server, ...(ca ? { 'certificate-authority-data': Buffer.from(ca).toString('base64') } : {}) };
  const info = {
    apiVersion: plugin.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(plugin.provideClusterInfo ? { cluster } : {}) },
  };
  const output = await runCommand(plugin, { ...process.env, ...plugin.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) });
  let answer: z.infer<typeof execCredentialSchema>;
  try {
    answer = execCredentialSchema.parse(JSON.parse(output));
  } catch {
    throw new Error(
      `credential plugin ${plugin.command}: its output is not an ExecCredential with a status; run it by hand to see why`,
    );
  }
  const { expirationTimestamp, ...rest } = answer.status;
  return { ...rest, expires: expirationTimestamp ? Date.parse(expirationTimestamp) : Infinity };
}

function runCommand(plugin: ExecPlugin, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolvePromise, reject) => {
    const child = spawn(plugin.command, plugin.args, { env, stdio: ['ignore', 'pipe', 'inherit'], timeout: EXEC_TIMEOUT_MS });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(
          `credential plugin ${plugin.command} did not start (${error.code}); install it or fix users[].user.exec.command`,
        ),
      ),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolvePromise(Buffer.concat(chunks).toString('utf8'));
      else
        reject(
          new Error(`credential plugin ${plugin.command} ended with ${signal ?? `code ${code}`}; run it by hand to see why`),
        );
    });
  });
}
