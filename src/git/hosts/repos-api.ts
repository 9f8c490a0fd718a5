import { ask, refused, segments, type Answer, type CommitStatus, type HostRepository, type PullRequest } from './types.js';

/** GitHub's way to address statuses and pull requests, which Gitea and Forgejo share; `state` in the host's own words. */
export async function postStatus(repository: HostRepository, headers: Record<string, string>, commit: string, status: Omit<CommitStatus, 'state'> & { state: string }): Promise<void> {
  const { state, context, description, link } = status;
  const body = { state, context, description, ...(link ? { target_url: link } : {}) };
  const answer = await ask(repository, 'POST', `/repos/${segments(repository.path)}/statuses/${commit}`, headers, body);
  if (answer.status !== 201) throw refused('the commit status', answer);
}

/** Asks for a new pull request; 201 answers with it, and `pulls` is where all of them are. */
export async function postPull(repository: HostRepository, headers: Record<string, string>, { from, into, title, body }: PullRequest): Promise<{ pulls: string; answer: Answer }> {
  const pulls = `/repos/${segments(repository.path)}/pulls`;
  return { pulls, answer: await ask(repository, 'POST', pulls, headers, { title, body, head: from, base: into }) };
}
