import type { GitSource, GitSourceStatus } from '../api/index.js';
import { isConflict, type KubeObject } from '../kube/types.js';
import { applyObjects, type AppliedMemory, type ApplyContext } from './apply.js';
import { credentialsDigest, readCredentials, type GitCredentials } from './credentials.js';
import type { LocalRepository, ReadResult, Repositories } from './fetch.js';
import { asksForRetry, commitsBrought, commitsSince, comparable, describeCommit, type CommitInfo, type TouchingCommit } from './history.js';
import type { InventoryEntry } from './identity.js';
import { requireLeading } from './leading.js';
import { MAX_OBJECTS, renderTree, type ObjectFailure, type Rendered } from './manifests.js';
import { leftGit, pruneObjects } from './prune.js';
import { SyncError } from './reasons.js';
import { backedOff } from './schedule.js';
import type { SourcePlan } from './spec.js';
import type { Outcome } from './status.js';
import { mayReach } from './tenancy.js';
import { short } from './text.js';
import { readTrustedKeys, verifyCommit } from './verify.js';
import { annotate, confirm, openQuestions, type Confirmed, type WitnessView } from './witness.js';

const MAX_FAILURES = 20;
const MAX_RECENT = 20;
/** Everything is applied again after so many intervals, and not sooner than a minute, in case somebody changed it by hand. */
const INTERVALS_PER_REPAIR = 10;
const SHORTEST_REPAIR_MS = 60_000;
/** A Secret is read again after this long, in ms, or when the server refuses what it held. */
const CREDENTIALS_FOR_MS = 10 * 60_000;

export interface SyncContext extends ApplyContext {
  repositories: Repositories;
  /** The Secret; undefined when it does not exist. */
  secret: (namespace: string, name: string) => Promise<KubeObject | undefined>;
  signal: AbortSignal;
  /** For sources that only watch: what they look at. */
  view: WitnessView;
}

/** What is remembered of one source between syncs. All of it may be lost: the next sync then does a little more. */
export interface SyncMemory {
  applied: AppliedMemory;
  /** The last commit that was rendered, for which generation of the spec, and how that ended. */
  handled?: { commit: string; generation: number | undefined; outcome: Outcome; failed: boolean };
  /** Applies in a row that left failures. */
  failures: number;
  /** Questions of a witness that were asked of a commit already. */
  asked?: string;
  /** Unix ms: when failed objects are tried again. */
  retryAt: number;
  /** Unix ms: when everything is applied again. */
  repairAt: number;
  credentials?: { secret: string; value: GitCredentials | undefined; at: number };
}

export const newMemory = (): SyncMemory => ({ applied: new Map(), failures: 0, retryAt: 0, repairAt: 0 });

export interface SyncResult {
  outcome: Outcome;
  /** Fields of the status that are new; empty when nothing was read. */
  status: Partial<GitSourceStatus>;
  /** Set when a commit was rendered. */
  synced?: { commit: string; previous: string | undefined; changed: string[]; deleted: string[] };
}

interface Reading {
  head: CommitInfo;
  since: TouchingCommit[];
  /** One of the commits asks for another run of what failed. */
  retry: boolean;
  /** Why the commit must not be applied. */
  unsigned?: SyncError;
  /** Of a source that only watches. */
  confirmed: Confirmed[];
  /** Commits that this one brings along, itself first. */
  brought: string[];
  rendered: Rendered | SyncError;
}

/**
 * Brings the cluster to what the repository says, once. Rejects with SyncError when the repository could not be read, and with
 * LeadershipLost.
 * @param force apply everything, changed or not: somebody asked for it.
 */
export async function syncSource(
  context: SyncContext,
  memory: SyncMemory,
  source: GitSource,
  plan: SourcePlan,
  force: boolean,
): Promise<SyncResult> {
  const { commit, value } = await readSource(context, memory, source, plan, force);
  if (!value) return { outcome: memory.handled?.outcome ?? synced(commit, 0), status: {} };
  const previous = source.status?.appliedCommit;
  const base = { fetchedCommit: commit, author: value.head.author, subject: value.head.subject };
  const rendered = value.unsigned ?? value.rendered;
  if (rendered instanceof SyncError) {
    return remember(
      context,
      memory,
      source,
      plan,
      { outcome: rendered, status: base, synced: { commit, previous, changed: [], deleted: [] } },
      // The keys may be mended without a commit.
      value.unsigned !== undefined,
    );
  }
  if (!plan.apply) {
    requireLeading(context);
    await annotate(context.client, value.confirmed).catch((error: unknown) => {
      // Somebody else wrote meanwhile: asked again at the next look.
      if (!isConflict(error)) throw error;
      memory.asked = undefined;
    });
    const outcome: Outcome = {
      reason: 'Synced',
      message: `Read commit ${short(commit)}; spec.apply is false, so another tool applies it`,
    };
    const status = { ...base, objects: rendered.objects.length, failures: rendered.failures.slice(0, MAX_FAILURES) };
    return remember(
      context,
      memory,
      source,
      plan,
      { outcome, status, synced: { commit, previous, changed: [], deleted: [] } },
      false,
    );
  }
  return applyReading(context, memory, source, plan, force, value, rendered);
}

async function readSource(
  context: SyncContext,
  memory: SyncMemory,
  source: GitSource,
  plan: SourcePlan,
  force: boolean,
): Promise<ReadResult<Reading>> {
  const previous = source.status?.appliedCommit;
  const attempt = async (credentials: GitCredentials | undefined): Promise<ReadResult<Reading>> =>
    context.repositories.read<Reading>({
      url: plan.url,
      ref: plan.ref,
      credentials,
      timeoutMs: plan.timeoutMs,
      signal: context.signal,
      submodules: plan.submodules,
      ...(plan.sparse ? { sparse: plan.sparse } : {}),
      wantsHistory: previous !== undefined || !plan.apply,
      wants: (commit) => force || isDue(memory, commit, source.metadata.generation, context.now()) || (!plan.apply && memory.asked !== `${commit} ${openQuestions(within(context, source))}`),
      read: async (repository) => {
        const before = await comparable(repository, previous);
        return {
          unsigned: await unsigned(context, source, plan, repository),
          head: await describeCommit(repository),
          since: await commitsSince(repository, before),
          brought: await commitsBrought(repository, before, MAX_RECENT),
          // The same commit asks once: what was applied from it says so already.
          retry: previous !== undefined && previous !== repository.commit && (await asksForRetry(repository, before)),
          confirmed: plan.apply ? [] : await witness(context, memory, source, plan, repository),
          rendered: await renderTree(repository, plan.path, plan.defaultNamespace).catch((error: unknown) => {
            // A commit that cannot be used was read all the same; what could not be fetched, such as a submodule, is tried again.
            if (error instanceof SyncError && (error.reason === 'PathNotFound' || error.reason === 'InvalidManifest')) return error;
            throw error;
          }),
        };
      },
    });
  const credentials = await credentialsFor(context, memory, source, plan);
  try {
    return await attempt(credentials);
  } catch (error) {
    if (!(error instanceof SyncError) || error.reason !== 'AuthenticationFailed' || !plan.secret) throw error;
    memory.credentials = undefined;
    const fresh = await credentialsFor(context, memory, source, plan);
    if (credentialsDigest(fresh) === credentialsDigest(credentials)) throw error;
    return attempt(fresh);
  }
}

/** The commit that is not signed as `spec.verify` wants; undefined when it is, or nothing is wanted. */
async function unsigned(context: SyncContext, source: GitSource, { verify }: SourcePlan, repository: LocalRepository): Promise<SyncError | undefined> {
  if (verify === undefined) return undefined;
  try {
    await verifyCommit(repository, readTrustedKeys(verify, await context.secret(source.metadata.namespace ?? 'default', verify)));
    return undefined;
  } catch (error) {
    if (error instanceof SyncError) return error;
    throw error;
  }
}

/** A witness speaks for what its namespace may reach only: nobody else's workloads get a commit of its repository. */
function within({ view, tenancy }: SyncContext, { metadata }: GitSource): WitnessView {
  return { ...view, canaries: () => view.canaries().filter((canary) => mayReach(tenancy, metadata.namespace ?? 'default', canary.metadata.namespace ?? 'default')) };
}

async function witness(context: SyncContext, memory: SyncMemory, source: GitSource, plan: SourcePlan, repository: LocalRepository): Promise<Confirmed[]> {
  const name = `${source.metadata.namespace ?? 'default'}/${source.metadata.name}`;
  memory.asked = `${repository.commit} ${openQuestions(within(context, source))}`;
  return confirm(repository, { name, path: plan.path, defaultNamespace: plan.defaultNamespace, submodules: plan.submodules }, within(context, source), new Date(context.now()).toISOString());
}

function isDue({ handled, retryAt, repairAt }: SyncMemory, commit: string, generation: number | undefined, now: number): boolean {
  if (!handled || handled.commit !== commit || handled.generation !== generation) return true;
  return now >= repairAt || (handled.failed && now >= retryAt);
}

async function credentialsFor(
  context: SyncContext,
  memory: SyncMemory,
  source: GitSource,
  plan: SourcePlan,
): Promise<GitCredentials | undefined> {
  const { secret, url } = plan;
  if (!secret) {
    if (url.protocol !== 'ssh') return undefined;
    throw new SyncError('CredentialsNotFound', 'spec.secretRef is not set; ssh needs a Secret with "identity" and "known_hosts"');
  }
  const known = memory.credentials;
  const key = `${secret}\n${url.text}`;
  if (known?.secret === key && context.now() - known.at < CREDENTIALS_FOR_MS) return known.value;
  const value = readCredentials(secret, await context.secret(source.metadata.namespace ?? 'default', secret), url);
  memory.credentials = { secret: key, value, at: context.now() };
  return value;
}

async function applyReading(
  context: SyncContext,
  memory: SyncMemory,
  source: GitSource,
  plan: SourcePlan,
  force: boolean,
  { head, since, retry, brought }: Reading,
  { objects, failures: unreadable }: Rendered,
): Promise<SyncResult> {
  const inventory = source.status?.inventory ?? [];
  const previous = source.status?.appliedCommit;
  const base = { fetchedCommit: head.sha, author: head.author, subject: head.subject, objects: objects.length };
  if (objects.length === 0 && unreadable.length === 0 && inventory.length > 0 && plan.prune) {
    const outcome: Outcome = {
      reason: 'PruneRefused',
      message: `commit ${short(head.sha)} declares no objects below spec.path, but ${inventory.length} were applied from this source: nothing is deleted. Put the manifests back or correct spec.path; if all of it shall go, delete the objects by hand and then the GitSource`,
    };
    return remember(
      context,
      memory,
      source,
      plan,
      { outcome, status: { ...base, failures: [] }, synced: { commit: head.sha, previous, changed: [], deleted: [] } },
      false,
    );
  }
  const identity = { namespace: source.metadata.namespace ?? 'default', name: source.metadata.name };
  const applied = await applyObjects(context, {
    source: identity,
    defaultNamespace: plan.defaultNamespace,
    objects,
    inventory,
    provenance: { head, since, retry, source: `${identity.namespace}/${identity.name}`, at: new Date(context.now()).toISOString() },
    memory: memory.applied,
    freshForMs: force ? 0 : repairAfter(plan),
  });
  const left = leftGit(inventory, applied.inventory);
  const failures = [...unreadable, ...applied.failures];
  // What is missing may only have moved into what failed: nothing is deleted before everything is applied.
  const pruned =
    failures.length > 0
      ? { deleted: [], kept: left, failures: [] }
      : plan.prune
        ? await pruneObjects(context, identity, left)
        : { deleted: [], kept: [], failures: [] };
  const all = [...failures, ...pruned.failures];
  const status: Partial<GitSourceStatus> = {
    ...base,
    ...(failures.length === 0 ? { appliedCommit: head.sha, recentCommits: recent(source, brought) } : {}),
    inventory: [...applied.inventory.toSorted(byId), ...pruned.kept].slice(0, MAX_OBJECTS),
    failures: all.slice(0, MAX_FAILURES),
  };
  const outcome = outcomeOf(head.sha, objects.length, unreadable, [...applied.failures, ...pruned.failures]);
  return remember(
    context,
    memory,
    source,
    plan,
    { outcome, status, synced: { commit: head.sha, previous, changed: applied.changed, deleted: pruned.deleted } },
    all.length > unreadable.length,
  );
}

/** Commits whose objects are in the cluster, or were; a force-push leaves those that it dropped. */
const recent = (source: GitSource, brought: string[]): string[] =>
  [...new Set([...brought, ...(source.status?.recentCommits ?? [])])].slice(0, MAX_RECENT);

/** @param failed something is worth trying again before the next commit. */
function remember(
  context: SyncContext,
  memory: SyncMemory,
  source: GitSource,
  plan: SourcePlan,
  result: SyncResult,
  failed: boolean,
): SyncResult {
  const now = context.now();
  const { reason, message } = result.outcome;
  memory.failures = failed ? memory.failures + 1 : 0;
  memory.retryAt = now + backedOff(plan.intervalMs, memory.failures - 1);
  memory.repairAt = now + repairAfter(plan);
  memory.handled = {
    commit: result.synced?.commit ?? '',
    generation: source.metadata.generation,
    outcome: { reason, message },
    failed,
  };
  return { ...result, outcome: { reason, message } };
}

const repairAfter = ({ intervalMs }: SourcePlan): number => Math.max(SHORTEST_REPAIR_MS, intervalMs * INTERVALS_PER_REPAIR);

function outcomeOf(commit: string, objects: number, unreadable: ObjectFailure[], refused: ObjectFailure[]): Outcome {
  const first = unreadable[0] ?? refused[0];
  if (!first) return synced(commit, objects);
  const count = unreadable.length + refused.length;
  const more = count > 1 ? ` (and ${count - 1} more, see status.failures)` : '';
  return {
    reason: unreadable.length > 0 ? 'InvalidManifest' : 'ApplyFailed',
    message: `commit ${short(commit)}: ${first.message}${more}. Everything else was applied; nothing is deleted meanwhile`,
  };
}

const synced = (commit: string, objects: number): Outcome => ({
  reason: 'Synced',
  message: `Applied commit ${short(commit)} (${objects} objects)`,
});
const byId = (a: InventoryEntry, b: InventoryEntry): number => (a.id < b.id ? -1 : 1);
