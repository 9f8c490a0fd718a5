import { z } from 'zod';
import { shortened } from '../../core/text.js';
import { postPull, postStatus } from './repos-api.js';
import { ask, refused, type Host, type HostRepository } from './types.js';

const STATES = { pending: 'pending', success: 'success', failure: 'failure', cancelled: 'error' } as const;
const pullRequest = z.looseObject({ html_url: z.string() });
const headers = ({ token }: HostRepository): Record<string, string> => ({ authorization: `Bearer ${token}`, accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' });

/** https://docs.github.com/en/rest: commit statuses, pulls, and the limits of writes (80 a minute, 500 an hour). */
export const github: Host = {
  api: (origin) => (new URL(origin).hostname === 'github.com' ? 'https://api.github.com' : `${origin}/api/v3`),
  limits: { perMinute: 60, perHour: 450 },
  setStatus: (repository, commit, status) => postStatus(repository, headers(repository), commit, { ...status, state: STATES[status.state], description: shortened(status.description, 140) }),
  async openPullRequest(repository, pull) {
    const { from, into } = pull;
    const { pulls, answer } = await postPull(repository, headers(repository), pull);
    if (answer.status === 201) return pullRequest.parse(answer.body).html_url;
    if (answer.status === 422 && /already exists/i.test(answer.words)) {
      const owner = repository.path.split('/')[0] ?? '';
      const query = new URLSearchParams({ head: `${owner}:${from}`, base: into, state: 'open' });
      const [open] = z.array(pullRequest).parse((await ask(repository, 'GET', `${pulls}?${query.toString()}`, headers(repository))).body);
      if (open) return open.html_url;
    }
    throw refused('the pull request', answer);
  },
};
