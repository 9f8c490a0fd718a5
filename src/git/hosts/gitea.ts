import { z } from 'zod';
import { ask, clip, refused, segments, type Host, type HostRepository } from './types.js';

const STATES = { pending: 'pending', success: 'success', failure: 'failure', cancelled: 'warning' } as const;
const pullRequest = z.looseObject({ html_url: z.string(), head: z.looseObject({ ref: z.string() }).optional(), base: z.looseObject({ ref: z.string() }).optional() });
const headers = ({ token }: HostRepository): Record<string, string> => ({ authorization: `token ${token}` });

/** https://docs.gitea.com/api: statuses and pulls; Forgejo answers the same. */
export const gitea: Host = {
  api: (origin) => `${origin}/api/v1`,
  limits: { perMinute: 240, perHour: 6_000 },
  async setStatus(repository, commit, { state, context, description, link }) {
    const body = { state: STATES[state], context, description: clip(description, 255), ...(link ? { target_url: link } : {}) };
    const answer = await ask(repository, 'POST', `/repos/${segments(repository.path)}/statuses/${commit}`, headers(repository), body);
    if (answer.status !== 201) throw refused('the commit status', answer);
  },
  async openPullRequest(repository, { from, into, title, body }) {
    const pulls = `/repos/${segments(repository.path)}/pulls`;
    const answer = await ask(repository, 'POST', pulls, headers(repository), { title, body, head: from, base: into });
    if (answer.status === 201) return pullRequest.parse(answer.body).html_url;
    if (answer.status === 409) {
      const all = z.array(pullRequest).parse((await ask(repository, 'GET', `${pulls}?state=open&limit=50`, headers(repository))).body);
      const open = all.find(({ head, base }) => head?.ref === from && base?.ref === into);
      if (open) return open.html_url;
    }
    throw refused('the pull request', answer);
  },
};
