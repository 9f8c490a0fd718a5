import type { Workshop } from '../fetch.js';
import type { SourceHost } from '../hosts/index.js';
import { fetchBranch, push } from './branch.js';
import { tableOf } from './message.js';
import type { Proposal, RevertTask } from './revert.js';

export type Offer = Extract<Proposal, { evidence: unknown }>;

/** The branch of the pull request: one per canary and revision, so that a second life finds what the first one pushed. */
const branchOf = ({ canary, request }: Pick<RevertTask, 'canary' | 'request'>): string =>
  `sluice/revert/${canary.metadata.namespace ?? 'default'}/${canary.metadata.name}/${request.revision}`;

/**
 * Pushes the change to a branch of its own and opens a pull request with the evidence.
 * @throws HostError, PushRefused
 */
export async function openPullRequest(workshop: Workshop, task: RevertTask, { host, repository }: SourceHost, proposal: Offer, others: string[]): Promise<{ url: string; commit: string }> {
  const { canary, request, branch } = task;
  const from = branchOf(task);
  const { subject } = proposal.evidence;
  const pushed = await push(workshop, proposal.commit, `refs/heads/${from}`);
  const commit = pushed === 'pushed' ? proposal.commit : ((await fetchBranch(workshop, from)) ?? proposal.commit);
  const url = await host.openPullRequest(repository, { from, into: branch, title: subject, body: tableOf(canary, request, proposal.evidence, others) });
  return { url, commit };
}
