import { z } from 'zod';
import { shortened } from '../../core/text.js';
import { ask, refused, type Host, type HostRepository } from './types.js';

const STATES = { pending: 'running', success: 'success', failure: 'failed', cancelled: 'canceled' } as const;
const mergeRequest = z.looseObject({ web_url: z.string() });
const headers = ({ token }: HostRepository): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** https://docs.gitlab.com/api/commits and /api/merge_requests. A state that a commit has already is refused with 400: that is what was wanted. */
export const gitlab: Host = {
  api: (origin) => `${origin}/api/v4`,
  limits: { perMinute: 240, perHour: 6_000 },
  async setStatus(repository, commit, { state, context, description, link }) {
    const body = { state: STATES[state], name: context, description: shortened(description, 255), ...(link ? { target_url: link } : {}) };
    const answer = await ask(repository, 'POST', `/projects/${encodeURIComponent(repository.path)}/statuses/${commit}`, headers(repository), body);
    if (answer.status === 201 || answer.status === 200 || repeats(answer.status, answer.words, STATES[state])) return;
    throw refused('the commit status', answer);
  },
  async openPullRequest(repository, { from, into, title, body }) {
    const requests = `/projects/${encodeURIComponent(repository.path)}/merge_requests`;
    const answer = await ask(repository, 'POST', requests, headers(repository), { source_branch: from, target_branch: into, title, description: body, remove_source_branch: true });
    if (answer.status === 201) return mergeRequest.parse(answer.body).web_url;
    if (answer.status === 409) {
      const query = new URLSearchParams({ source_branch: from, target_branch: into, state: 'opened' });
      const [open] = z.array(mergeRequest).parse((await ask(repository, 'GET', `${requests}?${query.toString()}`, headers(repository))).body);
      if (open) return open.web_url;
    }
    throw refused('the merge request', answer);
  },
};

/** Its words for "this is so already": `Cannot transition status via :run from :running`. */
function repeats(status: number, words: string, wanted: string): boolean {
  const [, from] = /Cannot transition status via :\w+ from :(\w+)/.exec(words) ?? [];
  return status === 400 && from !== undefined && (from === wanted || (from === 'pending' && wanted === 'running'));
}
