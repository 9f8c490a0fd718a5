import { durationMs, SluiceResources, type Canary, type CanaryStatus, type GitSource } from '../../api/index.js';
import { createInformer, type IndexedInformer } from '../../kube/index.js';
import { conditionOf, getCanary, statusOf } from '../canaries.js';
import { withCluster, type Cluster, type ClusterFlags } from '../cluster.js';
import { CliError, Exit } from '../errors.js';
import { json, paint, shortCommit, type Colour } from '../format.js';
import type { Io } from '../io.js';
import { EXIT_CODES, outcomeOf, progressOf, type Outcome, type Target } from './outcome.js';

export interface WaitFlags extends ClusterFlags {
  commit?: string;
  revision?: string;
  /** Milliseconds. */
  timeout: number;
  output: 'text' | 'json';
}

/** Beyond `revisions.settle`: time for a controller to see the change and begin, in milliseconds. */
const GRACE_MS = 5_000;
const DEFAULT_SETTLE_MS = 1_000;

const COLOURS: Record<Outcome['result'], Colour> = {
  Succeeded: 'green',
  Unchanged: 'green',
  Failed: 'red',
  Superseded: 'yellow',
  Cancelled: 'yellow',
  Timeout: 'red',
};

/** `sluice wait`. */
export async function wait(io: Io, name: string, flags: WaitFlags): Promise<number> {
  return withCluster(io, flags, async (cluster) => {
    const canary = await getCanary(cluster, name);
    const target = targetOf(flags, statusOf(canary));
    const outcome = await waitFor(io, cluster, canary, target, flags);
    return report(io, cluster, name, outcome, flags.output);
  });
}

function targetOf(flags: WaitFlags, { run }: CanaryStatus): Target {
  if (flags.commit !== undefined) return { kind: 'commit', commit: flags.commit };
  if (flags.revision !== undefined) return { kind: 'revision', revision: flags.revision };
  return run ? { kind: 'run', run: run.id } : { kind: 'any' };
}

/** Print the outcome; returns its exit code. */
export function report(io: Io, { namespace }: Cluster, name: string, outcome: Outcome, output: 'text' | 'json'): number {
  const { result, message, revision, commit, weights, exitCode } = outcome;
  if (output === 'json') {
    io.out(json({ namespace, name, ...outcome }));
    return exitCode;
  }
  const about = [revision && `revision ${revision}`, commit && `commit ${shortCommit(commit)}`].filter(Boolean).join(', ');
  const path = weights?.length ? ` (weights ${weights.join(', ')})` : '';
  const text = `${paint(io, COLOURS[result], result)}: ${about && result !== 'Unchanged' ? `${about}: ` : ''}${message}${path}\n`;
  if (exitCode === Exit.ok) io.out(text);
  else io.err(text);
  return exitCode;
}

/** Follows the Canary, through restarts of the API server, until there is an outcome, the time is over or the command is interrupted. */
export async function waitFor(
  io: Io,
  cluster: Cluster,
  canary: Canary,
  target: Target,
  flags: Pick<WaitFlags, 'timeout' | 'output'>,
): Promise<Outcome> {
  const stop = new AbortController();
  const signal = AbortSignal.any([io.signal, stop.signal]);
  const follower = new Follower(io, cluster, canary, target, flags.output, signal);
  try {
    const timeout = io.sleep(flags.timeout, signal).then((): undefined => undefined);
    const outcome = await Promise.race([follower.outcome(), timeout]);
    if (io.signal.aborted) throw new CliError('interrupted', Exit.interrupted);
    return outcome ?? timedOut(follower, target, flags.timeout);
  } finally {
    stop.abort();
  }
}

function timedOut(follower: Follower, target: Target, timeout: number): Outcome {
  const status = follower.status();
  const place = status && (progressOf(target, status) ?? conditionOf(status, 'Progressing')?.message);
  const never =
    target.kind === 'commit' && !follower.applied
      ? `; no GitSource that can be read here has applied commit ${shortCommit(target.commit)} last`
      : '';
  const message = `no result within ${timeout / 1000} s${place ? `; last: ${place}` : ''}${never}; see: sluice explain ${follower.name}`;
  return { result: 'Timeout', reason: 'Timeout', message, exitCode: EXIT_CODES.Timeout };
}

/** Watches one Canary and, for a commit, the GitSources that may bring it. */
class Follower {
  readonly name: string;
  readonly #namespace: string;
  readonly #canaries: IndexedInformer<Canary>;
  readonly #sources: IndexedInformer<GitSource>;
  #appliedAt: number | undefined;
  #shown = '';

  constructor(
    private readonly io: Io,
    cluster: Cluster,
    private readonly canary: Canary,
    private readonly target: Target,
    private readonly output: 'text' | 'json',
    private readonly signal: AbortSignal,
  ) {
    this.name = canary.metadata.name;
    this.#namespace = cluster.namespace;
    this.#canaries = createInformer(cluster.client, SluiceResources.Canary, {
      namespace: this.#namespace,
      fieldSelector: `metadata.name=${this.name}`,
    });
    const source = (statusOf(canary).canary ?? statusOf(canary).stable)?.source?.split('/')[0];
    this.#sources = createInformer(cluster.client, SluiceResources.GitSource, { namespace: source ?? this.#namespace });
  }

  get applied(): boolean {
    return this.#appliedAt !== undefined;
  }

  status(): CanaryStatus | undefined {
    const live = this.#canaries.get(this.#namespace, this.name);
    return live && statusOf(live);
  }

  async outcome(): Promise<Outcome> {
    const { promise, resolve } = deferred<Outcome>();
    const look = (): void => {
      const outcome = this.#look();
      if (outcome) resolve(outcome);
    };
    this.#canaries.onChange(look);
    this.#sources.onChange((_, source) => {
      this.#noteApplied(source, look);
      look();
    });
    this.#canaries.start(this.signal);
    if (this.target.kind === 'commit') this.#sources.start(this.signal);
    // A Canary that was deleted before the first list causes no change.
    void this.#canaries.whenSynced().then(look);
    return promise;
  }

  /** A GitSource names only its newest commits, so that ours was there once is remembered. */
  #noteApplied(source: GitSource | undefined, look: () => void): void {
    if (
      this.target.kind !== 'commit' ||
      this.#appliedAt !== undefined ||
      !appliedBy(source, this.target.commit)
    )
      return;
    this.#appliedAt = this.io.now();
    void this.io.sleep(this.#graceMs(), this.signal).then(() => !this.signal.aborted && look());
  }

  #graceMs(): number {
    const settle = this.canary.spec.revisions?.settle;
    return GRACE_MS + (settle === undefined ? DEFAULT_SETTLE_MS : durationMs(settle));
  }

  #look(): Outcome | undefined {
    if (!this.#canaries.synced) return undefined;
    const status = this.status();
    const graceOver = this.#appliedAt !== undefined && this.io.now() >= this.#appliedAt + this.#graceMs();
    const outcome = outcomeOf(this.target, { status, applied: this.applied, graceOver });
    if (!outcome && status) this.#show(progressOf(this.target, status));
    return outcome;
  }

  #show(line: string | undefined): void {
    if (line === undefined || line === this.#shown) return;
    this.#shown = line;
    const text = `${new Date(this.io.now()).toISOString().slice(11, 19)} ${line}\n`;
    // What a script reads stays one JSON object.
    if (this.output === 'json') this.io.err(text);
    else this.io.out(text);
  }
}

const appliedBy = (source: GitSource | undefined, commit: string): boolean =>
  [source?.status?.appliedCommit, ...(source?.status?.recentCommits ?? [])].some((known) => known?.startsWith(commit));

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
