import { z } from 'zod';
import { shortened } from '../../core/text.js';
import { postPull, postStatus } from './repos-api.js';
import { ask, refused, type Host, type HostRepository } from './types.js';

const STATES = { pending: 'pending', success: 'success', failure: 'failure', cancelled: 'warning' } as const;
const pullRequest = z.looseObject({ html_url: z.string(), head: z.looseObject({ ref: z.string() }).optional(), base: z.looseObject({ ref: z.string() }).optional() });
const headers = ({ token }: HostRepository): Record<string, string> => ({ authorization: `token ${token}` });

/** https://docs.gitea.com/api: statuses and pulls; Forgejo answers the same. */
export const gitea: Host = {
  api: (origin) => `${origin}/api/v1`,
  limits: { perMinute: 240, perHour: 6_000 },
  setStatus: (repository, commit, status) => postStatus(repository, headers(repository), commit, { ...status, state: STATES[status.state], description: shortened(status.description, 255) }),
  async openPullRequest(repository, pull) {
    const { from, into } = pull;
    const { pulls, answer } = await postPull(repository, headers(repository), pull);
    if (answer.status === 201) return pullRequest.parse(answer.body).html_url;
    if (answer.status === 409) {
      const all = z.array(pullRequest).parse((await ask(repository, 'GET', `${pulls}?state=open&limit=50`, headers(repository))).body);
      const open = all.find(({ head, base }) => head?.ref === from && base?.ref === into);
      if (open) return open.html_url;
    }
    throw refused('the pull request', answer);
  },
};
