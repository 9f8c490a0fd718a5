import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EgressPolicy } from '../net/egress.js';
import { converse } from './conversation.js';
import { credentialsDigest, type GitCredentials } from './credentials.js';
import { createGitHome, gitEnvironment, type GitHome } from './environment.js';
import { explainFailure, suspectsCache } from './failure.js';
import { KeyedLock, Slots } from './locks.js';
import { describeRef, remotePatterns, resolveRef, type GitRef, type ResolvedRef } from './ref.js';
import { SyncError } from './reasons.js';
import { runGit, runRemoteGit, type GitCall } from './run.js';
import { bringCommit, fetchShallow, ownRef, peel } from './shallow.js';
import { sparseCopy, WITHOUT_FILES, type Sparse } from './sparse.js';
import { submodulesOf, type Submodules, type SubmodulesOptions } from './submodules.js';
import type { RemoteUrl } from './url.js';

const DEFAULT_CONCURRENCY = 4;
/** Commits fetched behind the tip when there is an earlier commit to compare with. */
const HISTORY_DEPTH = 50;
/** Every fetch leaves a pack; after so many they are put together. */
const FETCHES_PER_REPACK = 100;

const UNFINISHED = 'new-';

/** A bare copy of a repository on this disk, with a commit that is complete in it. */
export interface LocalRepository {
  /** How to call Git in it. */
  call: GitCall;
  commit: string;
  /** Set where files below some paths are there only. */
  sparse?: Sparse;
  /** Set where submodules are read. */
  submodules?: Submodules;
}

export interface ReadRequest<T> {
  url: RemoteUrl;
  ref: GitRef;
  credentials?: GitCredentials;
  /** Milliseconds for everything together; Git is killed then. */
  timeoutMs: number;
  signal?: AbortSignal;
  /** True when there is an earlier commit, so that the commits since then are of interest. */
  wantsHistory: boolean;
  /** Asked with the commit that the remote has; false ends the read before anything is fetched. */
  wants: (commit: string) => boolean;
  /** Fetch files below these paths only, from the root of the repository. */
  sparse?: string[];
  /** Read submodules too. */
  submodules?: boolean;
  /** Runs while nobody else changes the copy; it may run twice, when the first time found the copy broken. */
  read: (repository: LocalRepository) => Promise<T>;
}

export interface ReadResult<T> {
  commit: string;
  /** Absent when `wants` said no. */
  value?: T;
}

export type UseRequest = Pick<ReadRequest<never>, 'url' | 'credentials' | 'timeoutMs' | 'signal'>;

/** A copy, and the ways to work in it. */
export interface Workshop {
  /** As given to Git. */
  url: string;
  local: GitCall;
  /** In the same copy, with what speaking to the remote needs. */
  remote: GitCall;
  /** A private folder for files; it goes when the task ends. */
  scratch: string;
  submodules: Submodules;
}

/**
 * Bare copies of remote repositories, one for each address and credentials, shared by every source that has both. They are caches:
 * all of them may be deleted at any time.
 */
export class Repositories {
  readonly #locks = new KeyedLock();
  readonly #slots: Slots;
  readonly #fetches = new Map<string, number>();
  #home: Promise<GitHome> | undefined;

  /** @param dir private to this process. */
  constructor(
    private readonly dir: string,
    private readonly egress: EgressPolicy,
    options: { maxConcurrent?: number } = {},
  ) {
    this.#slots = new Slots(options.maxConcurrent ?? DEFAULT_CONCURRENCY);
  }

  /** Which copy serves this address with these credentials. */
  keyOf(url: RemoteUrl, credentials: GitCredentials | undefined, sparse?: string[]): string {
    return createHash('sha256')
      .update(`${url.text}\n${url.username ?? ''}\n${credentialsDigest(credentials)}${sparse ? '\nsparse' : ''}`)
      .digest('hex')
      .slice(0, 32);
  }

  /** Asks the remote for the reference and, if it is wanted, reads it. Rejects with SyncError only. */
  async read<T>(request: ReadRequest<T>): Promise<ReadResult<T>> {
    const { url, credentials, timeoutMs } = request;
    const key = this.keyOf(url, credentials, request.sparse);
    return this.#locks.run(key, () =>
      this.#slots.run(async () => {
        try {
          return await this.#converse(key, request);
        } catch (error) {
          throw explainFailure(error, url, credentials, timeoutMs);
        }
      }),
    );
  }

  /**
   * Lends the copy to a task that reads and writes branches. Nobody else uses it meanwhile. Rejects with SyncError only; the task
   * may run twice, when the copy was found broken.
   */
  async use<T>(request: UseRequest, task: (workshop: Workshop) => Promise<T>): Promise<T> {
    const { url, credentials, timeoutMs } = request;
    const key = this.keyOf(url, credentials);
    const attempt = (): Promise<T> => this.#lend(key, request, task);
    return this.#locks.run(key, () =>
      this.#slots.run(async () => {
        try {
          return await attempt().catch(async (error: unknown) => {
            if (!suspectsCache(error)) throw error;
            await this.#discard(key);
            return attempt();
          });
        } catch (error) {
          throw explainFailure(error, url, credentials, timeoutMs);
        }
      }),
    );
  }

  async #lend<T>(key: string, { url, credentials, timeoutMs, signal: parent }: UseRequest, task: (workshop: Workshop) => Promise<T>): Promise<T> {
    const { signal, forget } = limited(parent, timeoutMs);
    try {
      const options = this.#options(credentials, timeoutMs, signal);
      return await converse(url, options, async (remote) => {
        const heads = await runRemoteGit(['ls-remote', '--', url.text, 'HEAD', 'refs/heads/*'], remote);
        const local = { ...(await this.#open(key, /^[0-9a-f]+/.exec(heads)?.[0] ?? '')), signal };
        return task({ url: url.text, local, remote: { ...remote, cwd: local.cwd }, scratch: remote.cwd, submodules: submodulesOf(url, options) });
      });
    } finally {
      forget();
    }
  }

  #options(credentials: GitCredentials | undefined, timeoutMs: number, signal: AbortSignal): SubmodulesOptions {
    return { homes: join(this.dir, 'homes'), egress: this.egress, timeoutMs, signal, ...(credentials ? { credentials } : {}) };
  }

  /** Deletes copies that no source uses any more. */
  async retain(keys: ReadonlySet<string>): Promise<void> {
    for (const key of await this.#copies()) {
      if (keys.has(key) || key.startsWith(UNFINISHED)) continue;
      this.#fetches.delete(key);
      await this.#locks.run(key, () => this.#discard(key));
    }
  }

  /** Removes what a killed process left behind: homes with secrets, and copies that were just being made. Call it before the first read. */
  async clean(): Promise<void> {
    await rm(join(this.dir, 'homes'), { recursive: true, force: true });
    for (const key of await this.#copies()) if (key.startsWith(UNFINISHED)) await this.#discard(key);
  }

  /** Removes what is only of use while this process runs. */
  async close(): Promise<void> {
    await (await this.#home)?.dispose();
    this.#home = undefined;
  }

  async #converse<T>(key: string, request: ReadRequest<T>): Promise<ReadResult<T>> {
    const { url, credentials, timeoutMs } = request;
    const { signal, forget } = limited(request.signal, timeoutMs);
    try {
      return await converse(url, this.#options(credentials, timeoutMs, signal), async (remote) => {
        const resolved = await this.#resolve(request, remote);
        if (!request.wants(resolved.commit)) return { commit: resolved.commit };
        return this.#fetchAndRead(key, request, resolved, remote);
      });
    } finally {
      forget();
    }
  }

  async #resolve<T>({ url, ref }: ReadRequest<T>, remote: GitCall): Promise<ResolvedRef> {
    if (ref.kind === 'commit') return { commit: ref.sha };
    return resolveRef(ref, await runRemoteGit(['ls-remote', '--symref', '--', url.text, ...remotePatterns(ref)], remote));
  }

  async #fetchAndRead<T>(key: string, request: ReadRequest<T>, resolved: ResolvedRef, remote: GitCall): Promise<ReadResult<T>> {
    const { url, credentials, timeoutMs, sparse, submodules } = request;
    const attempt = async (): Promise<ReadResult<T>> => {
      const local = { ...(await this.#open(key, resolved.commit)), signal: remote.signal };
      const inCopy = { ...remote, cwd: local.cwd };
      const commit = await this.#bring(key, request, resolved, local, inCopy);
      const repository: LocalRepository = {
        call: local,
        commit,
        ...(sparse ? { sparse: sparseCopy(sparse, url.text, local, inCopy) } : {}),
        ...(submodules && remote.signal ? { submodules: submodulesOf(url, this.#options(credentials, timeoutMs, remote.signal)) } : {}),
      };
      return { commit, value: await request.read(repository) };
    };
    try {
      return await attempt();
    } catch (error) {
      if (!suspectsCache(error)) throw error;
      // Killed half-way, edited, or on a disk that lost something: a copy can always be made again.
      await this.#discard(key);
      return attempt();
    }
  }

  /** The commit that is now complete in the copy. The remote may have moved on since it was asked. */
  async #bring<T>(key: string, request: ReadRequest<T>, resolved: ResolvedRef, local: GitCall, remote: GitCall): Promise<string> {
    const { url, ref } = request;
    const source = resolved.refName ?? resolved.commit;
    const target = ownRef(source);
    // Git moves our reference only after everything behind it has arrived.
    if ((await peel(target, local)) === resolved.commit) return resolved.commit;
    const depth = request.wantsHistory ? HISTORY_DEPTH : 1;
    const more = request.sparse ? [WITHOUT_FILES] : [];
    if (ref.kind === 'commit') {
      if ((await bringCommit(ref.sha, source, url.text, depth, local, remote, more)) === undefined)
        throw new SyncError('RefNotFound', `spec.ref.commit: no branch or tag of the repository holds ${ref.sha}; push it, or correct spec.ref`);
    } else await fetchShallow(url.text, [`+${source}:${target}`], depth, remote, more);
    await this.#countFetch(key, local);
    const commit = await peel(target, local);
    if (commit === undefined)
      throw new SyncError('RefNotFound', `spec.ref: ${describeRef(ref)} is not a commit; correct spec.ref`);
    return commit;
  }

  async #open(key: string, commit: string): Promise<GitCall> {
    this.#home ??= createGitHome(join(this.dir, 'homes'));
    const environment = gitEnvironment((await this.#home).dir);
    const copies = join(this.dir, 'repositories');
    const cwd = join(copies, key);
    if (!existsSync(cwd)) {
      await mkdir(copies, { recursive: true, mode: 0o700 });
      // Made aside and moved, so that a copy is either whole or not there.
      const aside = await mkdtemp(join(copies, UNFINISHED));
      const format = commit.length === 64 ? ['--object-format=sha256'] : [];
      await runGit(['init', '--quiet', '--bare', '--template=', ...format, aside], { cwd: copies, environment });
      await rename(aside, cwd);
    }
    if (!this.#fetches.has(key)) this.#fetches.set(key, 0);
    return { cwd, environment: { ...environment } };
  }

  async #countFetch(key: string, local: GitCall): Promise<void> {
    const count = (this.#fetches.get(key) ?? 0) + 1;
    this.#fetches.set(key, count);
    if (count % FETCHES_PER_REPACK === 0) await runGit(['gc', '--quiet', '--prune=now'], local);
  }

  async #copies(): Promise<string[]> {
    const folder = join(this.dir, 'repositories');
    return existsSync(folder) ? readdir(folder) : [];
  }

  async #discard(key: string): Promise<void> {
    await rm(join(this.dir, 'repositories', key), { recursive: true, force: true });
  }
}

/** A signal that aborts with `parent`, or after so many ms. It is let go of by `forget`: the parent lives as long as the process. */
function limited(parent: AbortSignal | undefined, ms: number): { signal: AbortSignal; forget: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const timer = setTimeout(abort, ms);
  parent?.addEventListener('abort', abort, { once: true });
  if (parent?.aborted) abort();
  const forget = (): void => {
    clearTimeout(timer);
    parent?.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, forget };
}
