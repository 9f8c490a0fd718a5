import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isLoopback } from '../net/host.js';

/** What a child needs of our environment. Everything else stays out: above all GIT_*, SSH_ASKPASS and the user's XDG folders. */
const INHERITED = [
  'PATH',
  'TMPDIR',
  'TMP',
  'TEMP',
  'SystemRoot',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'TZ',
];
const PROXIES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'no_proxy', 'NO_PROXY'];
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Variables of Git's own that are set here; simple-git removes all others. */
export const GIT_VARIABLES = ['GIT_CONFIG_NOSYSTEM', 'GIT_TERMINAL_PROMPT', 'GIT_LITERAL_PATHSPECS', 'GIT_OPTIONAL_LOCKS'];

/** One section of a Git configuration file: `[name "subsection"]`. */
export interface ConfigSection {
  name: string;
  subsection?: string;
  values: Record<string, string>;
}

/**
 * What holds for every call, however strange the machine: no hooks, no signing, no background work, only protocols that cannot run
 * programs, and no check of who owns a repository (in a container the owner is rarely the user).
 */
const BASE_CONFIG: ConfigSection[] = [
  { name: 'core', values: { hooksPath: '/dev/null', fsmonitor: 'false', askPass: '', quotePath: 'false' } },
  { name: 'safe', values: { directory: '*' } },
  { name: 'commit', values: { gpgSign: 'false' } },
  { name: 'tag', values: { gpgSign: 'false' } },
  { name: 'gc', values: { auto: '0' } },
  { name: 'maintenance', values: { auto: 'false' } },
  { name: 'advice', values: { detachedHead: 'false' } },
  // Always packs: a killed fetch then leaves a temporary file, never half of a commit.
  { name: 'fetch', values: { unpackLimit: '1' } },
  { name: 'protocol', values: { allow: 'never', version: '2' } },
  ...['file', 'http', 'https', 'ssh'].map((subsection) => ({ name: 'protocol', subsection, values: { allow: 'always' } })),
];

/**
 * A private folder that stands in for HOME, so that no configuration of the user is ever read (by any version of Git: the variables
 * that name configuration files are younger than 2.25). `dispose` removes it with whatever secrets lie in it.
 */
export interface GitHome {
  dir: string;
  dispose(): Promise<void>;
}

/** Makes a home below `parent` (created when missing), mode 0700. `config` is laid over what always holds. */
export async function createGitHome(
  parent: string,
  config: (dir: string) => ConfigSection[] = () => [],
  prefix = 'home-',
): Promise<GitHome> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const dir = await mkdtemp(join(parent, prefix));
  await writeFile(join(dir, '.gitconfig'), renderConfig([...BASE_CONFIG, ...config(dir)]), { mode: 0o600 });
  return { dir, dispose: () => rm(dir, { recursive: true, force: true }) };
}

/**
 * The whole environment of one Git process.
 * @param host of the remote, without port; proxies are handed on only for hosts that are not this machine. Undefined when nothing remote is asked.
 */
export function gitEnvironment(home: string, host?: string, parent: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: DEFAULT_PATH,
    ...pick(parent, INHERITED),
    HOME: home,
    LANG: 'C',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_OPTIONAL_LOCKS: '0',
  };
  return host !== undefined && !staysHere(host) ? { ...environment, ...pick(parent, PROXIES) } : environment;
}

/** Whether the environment names a proxy for other machines. */
export const usesProxy = (parent: NodeJS.ProcessEnv = process.env): boolean => PROXIES.some((name) => name.toLowerCase() !== 'no_proxy' && Boolean(parent[name]));

/** Whether Git stays on this machine: at an address of its own, or in a folder, which has no host. */
export const staysHere = (host: string): boolean => host === '' || isLoopback(host.replace(/\.$/, ''));

/** A word that a POSIX shell takes as it is. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function renderConfig(sections: ConfigSection[]): string {
  const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
  return sections
    .map(({ name, subsection, values }) => {
      const lines = Object.entries(values).map(([key, value]) => `\t${key} = ${quote(value)}\n`);
      return `[${name}${subsection === undefined ? '' : ` ${quote(subsection)}`}]\n${lines.join('')}`;
    })
    .join('');
}

function pick(from: NodeJS.ProcessEnv, names: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = from[name];
    if (value) found[name] = value;
  }
  return found;
}
