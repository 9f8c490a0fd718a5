import type { EgressPolicy } from '../net/egress.js';
import { converse } from './conversation.js';
import type { GitCredentials } from './credentials.js';
import { explainFailure } from './failure.js';
import type { LocalRepository } from './fetch.js';
import { SyncError } from './reasons.js';
import { GitError, runGit, type GitCall } from './run.js';
import { bringCommit, peel } from './shallow.js';
import { parseRemoteUrl, type RemoteUrl } from './url.js';

/** Submodules in submodules. */
const MAX_DEPTH = 5;
/** Fetches for one look at a repository: a tree of submodules must not keep the controller busy for hours. */
const MAX_FETCHES = 100;

/** Why a submodule is not read, for people. */
export interface NotBrought {
  problem: string;
}

/** Fetches the submodules of one repository into the same copy. */
export interface Submodules {
  /** @throws SyncError when its remote could not be read. */
  bring: (repository: Pick<LocalRepository, 'call' | 'commit'>, path: string, id: string) => Promise<LocalRepository | NotBrought>;
}

export interface SubmodulesOptions {
  homes: string;
  egress: EgressPolicy;
  /** Of the repository that holds them; they go to the same host only. */
  credentials?: GitCredentials;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Submodules fetched so far, by all that share it. */
  fetched?: { count: number };
}

export function submodulesOf(parent: RemoteUrl, options: SubmodulesOptions, depth = 1): Submodules {
  const fetched = options.fetched ?? { count: 0 };
  return {
    bring: async ({ call, commit }, path, id) => {
      if (depth > MAX_DEPTH) return { problem: `lies more than ${MAX_DEPTH} submodules deep` };
      const address = await addressOf(call, commit, path);
      if (address === undefined) return { problem: 'has no url in .gitmodules; add it with "git submodule add"' };
      const url = readAddress(parent, address);
      if ('problem' in url) return url;
      const its = { ...options, fetched, credentials: credentialsFor(parent, url, options.credentials) };
      if ((await peel(id, call)) === undefined) {
        fetched.count += 1;
        if (fetched.count > MAX_FETCHES) return { problem: `is one of more than ${MAX_FETCHES} that would have to be fetched; make some of them GitSources of their own` };
        await fetchInto(call, url, path, id, its);
      }
      return { call, commit: id, submodules: submodulesOf(url, its, depth + 1) };
    },
  };
}

/** The url that .gitmodules gives for a path, as it stands there. */
async function addressOf(call: GitCall, commit: string, path: string): Promise<string | undefined> {
  const listed = await runGit(['config', '--null', '--blob', `${commit}:.gitmodules`, '--list'], call).catch((error: unknown) => {
    if (error instanceof GitError) return '';
    throw error;
  });
  const values = new Map(listed.split('\0').flatMap((record): [string, string][] => [[record.slice(0, record.indexOf('\n')), record.slice(record.indexOf('\n') + 1)]]));
  const key = [...values].find(([name, value]) => /^submodule\..+\.path$/.test(name) && value.replace(/\/$/, '') === path)?.[0];
  return key && values.get(key.replace(/\.path$/, '.url'));
}

/** A relative address begins at that of the repository, as with Git; undefined when it leads out of the host. */
export function resolveAddress(parent: string, address: string): string | undefined {
  if (!/^\.\.?\//.test(address)) return address;
  const [, host = '', path = ''] = /^([a-z][a-z0-9+.-]*:\/\/[^/]*|[^/:]+:)(.*)$/i.exec(parent) ?? [];
  const parts = path.split('/').filter(Boolean);
  let rest = address;
  for (let [step] = LEADING.exec(rest) ?? []; step !== undefined; [step] = LEADING.exec(rest) ?? []) {
    rest = rest.slice(step.length);
    if (step.startsWith('..') && parts.pop() === undefined) return undefined;
  }
  return `${host}${host.includes('://') ? '/' : ''}${[...parts, rest].join('/')}`;
}
const LEADING = /^\.\.?\/+/;

function readAddress(parent: RemoteUrl, address: string): RemoteUrl | NotBrought {
  const resolved = resolveAddress(parent.text, address);
  if (resolved === undefined) return { problem: 'has a relative url in .gitmodules that leads out of the host; correct it' };
  try {
    const url = parseRemoteUrl(resolved);
    if (url.protocol === 'file' && parent.protocol !== 'file') return { problem: 'has a file:// url in .gitmodules, which would be a folder of the controller; give it the address of a server' };
    if (url.protocol === 'ssh' && !sameHost(parent, url)) return { problem: `is at ${url.host}, and the key of spec.secretRef is for ${parent.host || 'another host'} only; use https://, or a repository at the same host` };
    return url;
  } catch (error) {
    if (error instanceof SyncError) return { problem: `has a url in .gitmodules that ${error.message.replace(/^spec\.url /, '')}` };
    throw error;
  }
}

/** http and https are told apart, and so are their ports: a password is for one origin. */
const sameHost = (parent: RemoteUrl, url: RemoteUrl): boolean =>
  parent.origin !== undefined && url.origin !== undefined ? parent.origin === url.origin : parent.host === url.host && url.protocol !== 'http';

/** A certificate authority is no secret, and serves for all hosts. */
const credentialsFor = (parent: RemoteUrl, url: RemoteUrl, credentials: GitCredentials | undefined): GitCredentials | undefined =>
  sameHost(parent, url) ? credentials : credentials?.ca === undefined ? undefined : { ca: credentials.ca };

async function fetchInto(call: GitCall, url: RemoteUrl, path: string, id: string, options: SubmodulesOptions): Promise<void> {
  const { homes, egress, credentials, signal, timeoutMs } = options;
  const field = `submodule ${path}`;
  try {
    const commit = await converse(url, { homes, egress, ...(credentials ? { credentials } : {}), ...(signal ? { signal } : {}), field }, (remote) =>
      bringCommit(id, `sub ${url.text} ${path}`, url.text, 1, call, { ...remote, cwd: call.cwd }),
    );
    if (commit === undefined) throw new SyncError('FetchFailed', `${field}: ${url.text} does not hold commit ${id}; push it there, it is tried again`);
  } catch (error) {
    throw explainFailure(error, url, credentials, timeoutMs, field);
  }
}
