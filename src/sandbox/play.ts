import { SluiceResources, type Canary, type HistoryEntry } from '../api/index.js';
import { headOf } from '../git/index.js';
import { CANARY, NAMESPACE, type Sandbox } from './sandbox.js';
import { delayAfter, type Script, type ScriptCommit } from './script.js';
import type { Sight } from './seen.js';
import type { Totals } from './tally.js';

export interface PlayedRelease {
  commit: string;
  revision: string;
  result: HistoryEntry['result'];
  /** In words: `success rate 93.1 % < 99 % over 412 requests`. */
  reason: string;
  /** The documented constant. */
  code: string;
  weights: number[];
  /** From the start of the run to its end. */
  seconds: number;
}

/** What a script came to. */
export interface Summary {
  releases: PlayedRelease[];
  requests: Totals;
  /** What each group of callers saw, stage by stage. */
  seen: Sight[];
  git: GitSummary;
}

/** The branch as the script left it. */
export interface GitSummary {
  url: string;
  /** The newest commit, its first line, and the trailers that a machine can read. */
  head?: string;
  subject?: string;
  trailers?: Record<string, string>;
  /** What the Git host was told, where there is one. */
  statuses?: { commit: string; state: string; description: string }[];
  pullRequests?: { url: string; title: string; from: string; into: string; body: string }[];
}

/** A release took longer than anything in a sandbox should. */
const PATIENCE_MS = 15 * 60_000;
/** A commit that starts no run shows it by nothing happening for this long after it was applied, in milliseconds. */
const QUIET_MS = 4_000;
const POLL_MS = 50;
/** A revert is a few commands of Git, in milliseconds. */
const WRITE_BACK_MS = 60_000;
/** Statuses are told within moments, in milliseconds. */
const STATUS_MS = 10_000;

export interface PlayOptions {
  sandbox: Sandbox;
  script: Script;
  signal: AbortSignal;
  onCommit: (sha: string, commit: ScriptCommit) => void;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  now: () => number;
}

/** Thrown when a release ended otherwise than the script says. */
export class WrongEnding extends Error {}

/**
 * Play a script's commits in order, each when its turn has come.
 * @throws WrongEnding when a commit that must end so ends otherwise.
 */
export class Player {
  readonly #entries = new Map<string, HistoryEntry>();
  readonly #unsubscribe: () => void;
  #git: Omit<GitSummary, 'url'> = {};

  constructor(private readonly options: PlayOptions) {
    const note = (canary: Canary | undefined): void => {
      for (const entry of canary?.status?.history ?? []) this.#entries.set(entry.run, entry);
    };
    this.#unsubscribe = options.sandbox.canaries.onChange((_, canary) => note(canary));
  }

  async play(): Promise<void> {
    try {
      for (const commit of this.options.script.commits) await this.#commit(commit);
      await this.#statusesTold();
      this.#git = await this.#lookAtGit();
    } finally {
      this.#unsubscribe();
    }
  }

  summary(): Summary {
    const { sandbox } = this.options;
    const entries = [...this.#entries.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
    const releases = entries.map((entry) => ({
      commit: entry.commit ?? '',
      revision: entry.revision,
      result: entry.result,
      reason: entry.message,
      code: entry.reason,
      weights: entry.weights,
      seconds: Math.round((Date.parse(entry.endedAt) - Date.parse(entry.startedAt)) / 100) / 10,
    }));
    return { releases, requests: { ...sandbox.tally.totals }, seen: sandbox.seen.all(), git: { url: sandbox.git.url, ...this.#git } };
  }

  async #commit(commit: ScriptCommit): Promise<void> {
    const { sandbox, signal, sleep } = this.options;
    const sha = await sandbox.repository.release(versionOf(commit, sandbox.repository.version), commit.message);
    this.options.onCommit(sha, commit);
    const delay = delayAfter(commit);
    if (delay !== undefined) return sleep(delay, signal);
    const ended = await this.#ending(sha);
    await this.#writtenBack();
    if (commit.next === undefined || ended?.result === commit.next) return;
    throw new WrongEnding(`commit ${sha.slice(0, 7)} "${commit.message}" must end as ${commit.next}, but ${ended ? `ended as ${ended.result}: ${ended.message}` : 'started no release'}`);
  }

  /** How the release of a commit ended; undefined when it started none. */
  async #ending(sha: string): Promise<HistoryEntry | undefined> {
    const { signal, sleep, now } = this.options;
    const deadline = now() + PATIENCE_MS;
    let quietSince: number | undefined;
    // A busy machine takes its time to apply it; only then does silence mean anything.
    let applied = false;
    while (!signal.aborted) {
      const found = [...this.#entries.values()].find((entry) => entry.commit === sha || entry.commits?.includes(sha));
      if (found) return found;
      quietSince = this.#idle() ? (quietSince ?? now()) : undefined;
      if (quietSince !== undefined && now() - quietSince > QUIET_MS) {
        if (applied) return undefined;
        applied = await this.#applied(sha);
        quietSince = undefined;
      }
      if (now() > deadline) throw new WrongEnding(`the release of commit ${sha.slice(0, 7)} had not ended after ${PATIENCE_MS / 60_000} minutes`);
      await sleep(POLL_MS, signal);
    }
    return undefined;
  }

  /** What goes back to Git after an ending is there before the next commit comes. */
  async #writtenBack(): Promise<void> {
    const { sandbox, signal, sleep, now } = this.options;
    const deadline = now() + WRITE_BACK_MS;
    const pending = (): boolean => (sandbox.canaries.get(NAMESPACE, CANARY)?.status?.writeBacks ?? []).some(({ state }) => state === 'Pending');
    while (pending() && !signal.aborted) {
      if (now() > deadline) throw new WrongEnding(`nothing was written back to Git within ${WRITE_BACK_MS / 1000} s; see the controller's log`);
      await sleep(POLL_MS, signal);
    }
    const { state, written, url } = sandbox.canaries.get(NAMESPACE, CANARY)?.status?.writeBacks?.[0] ?? {};
    // A revert in the branch is applied too, and must start nothing.
    if (state !== 'Done' || written === undefined || url !== undefined) return;
    while (!signal.aborted && now() < deadline && !(await this.#applied(written))) await sleep(POLL_MS, signal);
    while (!signal.aborted && now() < deadline && !this.#idle()) await sleep(POLL_MS, signal);
  }

  async #lookAtGit(): Promise<Omit<GitSummary, 'url'>> {
    const { git, gitHost } = this.options.sandbox;
    const head = await headOf(git.dir);
    if (!gitHost) return head;
    const statuses = gitHost.statuses.map(({ commit, state, description }) => ({ commit, state, description }));
    const pullRequests = gitHost.pulls.map(({ url, title, head: from, base: into, body }) => ({ url, title, from, into, body }));
    return { ...head, statuses, pullRequests };
  }

  /** The last word about each commit is at the Git host. */
  async #statusesTold(): Promise<void> {
    const { sandbox, signal, sleep, now } = this.options;
    const { gitHost } = sandbox;
    const deadline = now() + STATUS_MS;
    const missing = (): boolean => [...this.#entries.values()].some(({ commit }) => !gitHost?.statuses.some((status) => status.commit === commit && status.state !== 'pending'));
    while (gitHost && missing() && now() < deadline && !signal.aborted) await sleep(POLL_MS, signal);
  }

  async #applied(sha: string): Promise<boolean> {
    const { items } = await this.options.sandbox.client.list(SluiceResources.GitSource, { namespace: NAMESPACE });
    return items.some(({ status }) => status?.appliedCommit === sha);
  }

  #idle(): boolean {
    const status = this.options.sandbox.canaries.get(NAMESPACE, CANARY)?.status;
    const reason = status?.conditions?.find((item) => item.type === 'Progressing')?.reason;
    return status?.run === undefined && (reason === 'Idle' || reason === 'Quarantined');
  }
}

/** The version that a commit makes: new pods, unless only the configuration is named. */
function versionOf(commit: ScriptCommit, before: Sandbox['repository']['version']): Sandbox['repository']['version'] {
  const { errorRate, latencyMs, startupMs, config, version } = commit;
  const onlyConfig = config !== undefined && errorRate === undefined && latencyMs === undefined && startupMs === undefined && version === undefined;
  if (onlyConfig) return { ...before, config };
  return {
    version: version ?? (before.version % 3) + 1,
    build: before.build + 1,
    errorRate: errorRate ?? 0,
    latencyMs: latencyMs ?? 0,
    startupMs: startupMs ?? 0,
    config: config ?? before.config,
  };
}
