import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { KubeObject } from '../kube/types.js';
import { createGitHome, shellWord, type ConfigSection, type GitHome } from './environment.js';
import { SyncError } from './reasons.js';
import type { RemoteUrl } from './url.js';

/** What a Secret gives for one repository. Never log it. */
export interface GitCredentials {
  username?: string;
  password?: string;
  identity?: string;
  knownHosts?: string;
  ca?: string;
}

const secretData = z.looseObject({ data: z.record(z.string(), z.string()).optional() });
const SSH_CONNECT_SECONDS = 15;

/**
 * Reads the Secret of a source.
 * @param secret undefined when it does not exist.
 * @throws SyncError CredentialsNotFound, naming the key; never a value.
 */
export function readCredentials(name: string, secret: KubeObject | undefined, url: RemoteUrl): GitCredentials {
  const missing = (what: string): SyncError => new SyncError('CredentialsNotFound', `spec.secretRef: Secret "${name}" ${what}`);
  if (!secret) throw missing('does not exist in the namespace of the GitSource; create it');
  const parsed = secretData.safeParse(secret);
  if (!parsed.success) throw missing('has data that is not text in base64; create it again');
  const data = parsed.data.data ?? {};
  const text = (key: string): string | undefined => (data[key] ? Buffer.from(data[key], 'base64').toString('utf8') : undefined);
  const line = (key: string): string | undefined => {
    // Tools that write Secrets from files leave the newline at the end of the file in.
    const value = text(key)?.replace(/[\r\n]+$/, '');
    // eslint-disable-next-line no-control-regex -- a line break would end the value in Git's credential protocol
    if (value && /[\u0000\r\n]/.test(value)) throw missing(`has more than one line in "${key}"; one line was expected`);
    return value || undefined;
  };
  const credentials = {
    username: line('username'),
    password: line('token') ?? line('password'),
    identity: text('identity'),
    knownHosts: text('known_hosts'),
    ca: text('ca.crt'),
  };
  if (url.protocol === 'ssh') {
    if (!credentials.identity) throw missing('lacks the key "identity"; add the private key');
    if (!credentials.knownHosts) throw missing('lacks the key "known_hosts"; add the output of ssh-keyscan after checking it');
  } else if (url.protocol !== 'file' && !credentials.password && !credentials.ca) {
    throw missing('has none of the keys "token", "username" with "password", and "ca.crt"; add them');
  }
  return credentials;
}

/** Changes whenever a value changes, and tells nothing about it. */
export const credentialsDigest = (credentials: GitCredentials | undefined): string =>
  createHash('sha256')
    .update(JSON.stringify(credentials ?? null))
    .digest('hex');

/**
 * A home for one conversation with the remote, holding the secrets as files of mode 0600 in a folder of mode 0700: nothing of them is
 * on a command line or in an environment. Git itself offers a password only to the origin it is for, redirects included.
 * @param proxy that http goes through.
 */
export async function createRemoteHome(parent: string, url: RemoteUrl, credentials: GitCredentials = {}, proxy?: string): Promise<GitHome> {
  const files: Record<string, string> = {};
  const home = await createGitHome(parent, (dir) => {
    const sections: ConfigSection[] = proxy === undefined ? [] : [{ name: 'http', values: { proxy } }];
    if (credentials.ca) {
      files['ca.crt'] = credentials.ca;
      sections.push({ name: 'http', values: { sslCAInfo: join(dir, 'ca.crt') } });
    }
    if (url.origin && credentials.password) {
      files.credential = `username=${credentials.username ?? url.username ?? 'git'}\npassword=${credentials.password}\n`;
      // The first, empty helper forgets those of a configuration that is compiled into Git (macOS).
      sections.push({ name: 'credential', values: { helper: '' } });
      sections.push({
        name: 'credential',
        subsection: url.origin,
        values: { helper: `!f() { test "$1" != get || cat ${shellWord(join(dir, 'credential'))}; }; f` },
      });
    } else sections.push({ name: 'credential', values: { helper: '' } });
    if (url.protocol === 'ssh') {
      files.identity = `${(credentials.identity ?? '').trimEnd()}\n`;
      files.known_hosts = credentials.knownHosts ?? '';
      sections.push({ name: 'core', values: { sshCommand: sshCommand(dir) } });
    }
    return sections;
  });
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(home.dir, name), content, { mode: 0o600 });
  } catch (error) {
    await home.dispose();
    throw error;
  }
  return home;
}

/** Takes every secret, in the forms in which programs repeat them, out of a text for people. */
export function redact(text: string, credentials: GitCredentials | undefined): string {
  const { username, password, identity } = credentials ?? {};
  const secrets = [
    password,
    password && encodeURIComponent(password),
    password && base64(password),
    password && base64(`${username ?? 'git'}:${password}`),
    identity?.trim(),
  ];
  let clean = text.replace(/(\w+:\/\/)[^/@\s]*@/g, '$1');
  for (const secret of secrets) if (secret) clean = clean.replaceAll(secret, '***');
  return clean;
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

function sshCommand(dir: string): string {
  const options = [
    `UserKnownHostsFile="${join(dir, 'known_hosts')}"`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'BatchMode=yes',
    `ConnectTimeout=${SSH_CONNECT_SECONDS}`,
    'ServerAliveInterval=10',
  ];
  return `ssh -F /dev/null -i ${shellWord(join(dir, 'identity'))} ${options.map((option) => `-o ${shellWord(option)}`).join(' ')}`;
}
