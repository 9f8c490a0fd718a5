import type { Canary, HistoryEntry } from '../api/index.js';
import { CANARY, NAMESPACE, type Sandbox } from './sandbox.js';
import { delayAfter, type Script, type ScriptCommit } from './script.js';
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
  git: { url: string };
}

/** A release took longer than anything in a sandbox should. */
const PATIENCE_MS = 15 * 60_000;
/** A commit that starts no run shows it by nothing happening for this long after it was applied, in milliseconds. */
const QUIET_MS = 4_000;
const POLL_MS = 50;

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

  constructor(private readonly options: PlayOptions) {
    const note = (canary: Canary | undefined): void => {
      for (const entry of canary?.status?.history ?? []) this.#entries.set(entry.run, entry);
    };
    this.#unsubscribe = options.sandbox.canaries.onChange((_, canary) => note(canary));
  }

  async play(): Promise<void> {
    try {
      for (const commit of this.options.script.commits) await this.#commit(commit);
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
    return { releases, requests: { ...sandbox.tally.totals }, git: { url: sandbox.git.url } };
  }

  async #commit(commit: ScriptCommit): Promise<void> {
    const { sandbox, signal, sleep } = this.options;
    const sha = await sandbox.repository.release(versionOf(commit, sandbox.repository.version), commit.message);
    this.options.onCommit(sha, commit);
    const delay = delayAfter(commit);
    if (delay !== undefined) return sleep(delay, signal);
    const ended = await this.#ending(sha);
    if (commit.next === undefined || ended?.result === commit.next) return;
    throw new WrongEnding(`commit ${sha.slice(0, 7)} "${commit.message}" must end as ${commit.next}, but ${ended ? `ended as ${ended.result}: ${ended.message}` : 'started no release'}`);
  }

  /** How the release of a commit ended; undefined when it started none. */
  async #ending(sha: string): Promise<HistoryEntry | undefined> {
    const { signal, sleep, now } = this.options;
    const deadline = now() + PATIENCE_MS;
    let quietSince: number | undefined;
    while (!signal.aborted) {
      const found = [...this.#entries.values()].find((entry) => entry.commit === sha || entry.commits?.includes(sha));
      if (found) return found;
      quietSince = this.#idle() ? (quietSince ?? now()) : undefined;
      if (quietSince !== undefined && now() - quietSince > QUIET_MS) return undefined;
      if (now() > deadline) throw new WrongEnding(`the release of commit ${sha.slice(0, 7)} had not ended after ${PATIENCE_MS / 60_000} minutes`);
      await sleep(POLL_MS, signal);
    }
    return undefined;
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
