import { join } from 'node:path';
import type { Canary, GitSource, WriteBack } from '../../api/index.js';
import type { GitWriter, WriteBackOutcome } from '../../engine/ports.js';
import type { EgressPolicy } from '../../net/egress.js';
import type { Informer } from '../../kube/types.js';
import { readCredentials, type GitCredentials } from '../credentials.js';
import { Repositories, type UseRequest, type Workshop } from '../fetch.js';
import { HostError, hostOf, type HostOptions } from '../hosts/index.js';
import { SyncError } from '../reasons.js';
import { planOf, type SourcePlan } from '../spec.js';
import { mayReach, type Tenancy } from '../tenancy.js';
import { short } from '../text.js';
import { push, PushRefused } from './branch.js';
import { promote } from './promotion.js';
import type { LiveConfig, RenderedSource } from './judge.js';
import { skipped } from './outcome.js';
import { openPullRequest, type Offer } from './pull-request.js';
import { propose, type RevertTask } from './revert.js';

const DEFAULT_AUTHOR = { name: 'Sluice', email: 'sluice@sluice.invalid' };
/** Times that somebody else may push first before the write-back waits for its next turn. */
const MAX_RACES = 50;
const RACE_PAUSE_MS = 20;
/** Other objects that are named in a status. */
const MAX_NAMED = 5;
/** A first clone of a long history takes longer than a look at it. */
const TIMEOUT_FACTOR = 5;

export interface GitWriterOptions extends HostOptions {
  /** With `onChange`, copies for sources that go are deleted at once, otherwise at the next write. */
  gitSources: Pick<Informer<GitSource>, 'get' | 'list'> & Partial<Pick<Informer<GitSource>, 'onChange'>>;
  live: LiveConfig;
  /** What addresses of repositories may lead to. */
  egress: EgressPolicy;
  /** Which Canaries a GitSource speaks for. */
  tenancy: Tenancy;
  /** Folder for copies of repositories; private to this process, and may be lost at any time. */
  dataDir: string;
  /** Throws when this process must not write any more. */
  assertLeading: () => void;
  signal: AbortSignal;
  now?: () => number;
  /** Named in commits, where several clusters share a branch. */
  cluster?: string;
  /** The branch of a source has another head now. */
  onPushed?: (namespace: string, name: string) => void;
}

/** Carries verdicts back to the branch that a revision came from. */
export function createGitWriter(options: GitWriterOptions): GitWriter {
  const copies = new Copies(options);
  return { write: (canary, request) => write(options, copies, canary, request) };
}

/** Copies to write from: one for each address and credentials, as long as a source is there that was written to with it. */
class Copies {
  readonly #repositories: Repositories;
  readonly #cleaned: Promise<void>;
  /** Which copy a source was written to with last, by NAMESPACE/NAME. */
  readonly #used = new Map<string, string>();

  constructor(private readonly options: Pick<GitWriterOptions, 'dataDir' | 'egress' | 'gitSources' | 'signal'>) {
    this.#repositories = new Repositories(join(options.dataDir, 'git-out'), options.egress);
    this.#cleaned = this.#repositories.clean();
    const unsubscribe = options.gitSources.onChange?.((_, source) => {
      if (!source) void this.#tidy();
    });
    options.signal.addEventListener('abort', () => unsubscribe?.(), { once: true });
  }

  async use(source: GitSource, remote: UseRequest, task: (workshop: Workshop) => Promise<WriteBackOutcome>): Promise<WriteBackOutcome> {
    await this.#cleaned;
    this.#used.set(`${source.metadata.namespace ?? 'default'}/${source.metadata.name}`, this.#repositories.keyOf(remote.url, remote.credentials));
    await this.#tidy();
    return this.#repositories.use(remote, task);
  }

  /** They may be made again at any time: one that cannot be deleted now is deleted later. */
  async #tidy(): Promise<void> {
    for (const name of this.#used.keys()) if (!this.options.gitSources.get(...(name.split('/') as [string, string]))) this.#used.delete(name);
    await this.#repositories.retain(new Set(this.#used.values())).catch(() => {});
  }
}

async function write(options: GitWriterOptions, copies: Copies, canary: Canary, request: WriteBack): Promise<WriteBackOutcome> {
  const [namespace = '', name = ''] = (request.source ?? '').split('/');
  const source = options.gitSources.get(namespace, name);
  if (!source) return skipped(`GitSource ${request.source ?? 'unknown'}, which brought the revision, does not exist any more`);
  // Anybody who may write a Deployment can name a source on it.
  if (!mayReach(options.tenancy, namespace, canary.metadata.namespace ?? 'default'))
    return skipped(`GitSource ${request.source} is in another namespace than the Canary, and writes for its own only; start the controller with --allow-cross-namespace, or use a GitSource in its namespace or in that of the Canary`);
  const plan = planOf(source);
  if (plan.ref.kind !== 'branch') return skipped(`GitSource ${request.source} does not follow a branch; set spec.ref.branch to have verdicts written back`);
  const task: RevertTask = {
    canary,
    request,
    branch: plan.ref.name,
    sources: renderedSources(options, source, plan),
    live: options.live,
    author: source.spec.writeBack?.author ?? DEFAULT_AUTHOR,
    at: (options.now ?? Date.now)(),
    ...(options.cluster ? { cluster: options.cluster } : {}),
  };
  const credentials = await credentialsOf(options, source, plan);
  const remote = { url: plan.url, credentials, timeoutMs: plan.timeoutMs * TIMEOUT_FACTOR, signal: options.signal };
  const outcome = await copies.use(source, remote, (workshop) => (request.kind === 'tag' || request.kind === 'branch' ? promote(options, workshop, task) : writeTo(options, workshop, task, source)));
  if (outcome.written && !outcome.url) options.onPushed?.(namespace, name);
  return outcome;
}

/** Every GitSource that follows the same branch of the same repository, this one first. */
function renderedSources(options: GitWriterOptions, source: GitSource, plan: SourcePlan): RenderedSource[] {
  const others = options.gitSources.list().flatMap((other): RenderedSource[] => {
    if (other.metadata.uid === source.metadata.uid) return [];
    const its = planOrNothing(other);
    const sameBranch = its?.url.text === plan.url.text && its.ref.kind === 'branch' && plan.ref.kind === 'branch' && its.ref.name === plan.ref.name;
    return its && sameBranch ? [rendered(other, its)] : [];
  });
  return [rendered(source, plan), ...others];
}

const rendered = ({ metadata }: GitSource, { path, defaultNamespace, submodules }: SourcePlan): RenderedSource => ({
  name: `${metadata.namespace ?? 'default'}/${metadata.name}`,
  path,
  defaultNamespace,
  submodules,
});

function planOrNothing(source: GitSource): SourcePlan | undefined {
  try {
    return planOf(source);
  } catch (error) {
    if (error instanceof SyncError) return undefined;
    throw error;
  }
}

async function credentialsOf(options: GitWriterOptions, source: GitSource, { url, secret }: SourcePlan): Promise<GitCredentials | undefined> {
  const name = source.spec.writeBack?.secretRef?.name ?? secret;
  return name === undefined ? undefined : readCredentials(name, await options.secret(source.metadata.namespace ?? 'default', name), url);
}

/** Propose, push, and begin anew when somebody else was there first. */
async function writeTo(options: GitWriterOptions, workshop: Workshop, task: RevertTask, source: GitSource): Promise<WriteBackOutcome> {
  for (let races = 0; races < MAX_RACES; races += 1) {
    const proposal = await propose(workshop, task);
    if (proposal.kind === 'found') return { state: 'Done', message: `branch ${task.branch} holds it already, as ${short(proposal.commit)}`, written: proposal.commit };
    if (proposal.kind === 'none') return skipped(proposal.why);
    options.assertLeading();
    if (task.request.kind === 'pullRequest' || proposal.kind === 'beyond' || source.spec.verify) return offer(options, workshop, task, source, proposal);
    try {
      if ((await push(workshop, proposal.commit, `refs/heads/${task.branch}`)) === 'pushed')
        return { state: 'Done', message: `pushed ${short(proposal.commit)} to branch ${task.branch}`, written: proposal.commit };
    } catch (error) {
      if (!(error instanceof PushRefused)) throw error;
      return source.spec.writeBack?.host ? offer(options, workshop, task, source, proposal) : skipped(`branch ${task.branch} takes no push: ${error.message}; allow it, or set onRollback.git to pullRequest`);
    }
    await new Promise((resolve) => setTimeout(resolve, RACE_PAUSE_MS * Math.random()));
  }
  throw new Error(`branch ${task.branch} moved ${MAX_RACES} times while the revert was being pushed; it is tried again`);
}

/** A pull request, where a push is not what is wanted or may not be. */
async function offer(options: GitWriterOptions, workshop: Workshop, task: RevertTask, source: GitSource, proposal: Offer): Promise<WriteBackOutcome> {
  const others = proposal.kind === 'beyond' ? proposal.others : [];
  const beyond = source.spec.verify && task.request.kind === 'revert' ? 'spec.verify wants signed commits, and those of Sluice are not; ' : others.length > 0 ? `a revert would change more than this canary: ${others.slice(0, MAX_NAMED).join(', ')}; ` : '';
  const place = await hostOf(options, source);
  if (!place) return skipped(`${beyond}a pull request needs spec.writeBack.host of GitSource ${task.request.source ?? ''}`);
  try {
    const { url, commit } = await openPullRequest(workshop, task, place, proposal, others);
    return { state: 'Done', message: `${beyond}opened a pull request for branch ${task.branch}`, written: commit, url };
  } catch (error) {
    if ((error instanceof HostError && !error.retryable) || error instanceof PushRefused) return skipped(`${beyond}${error.message}`);
    throw error;
  }
}
