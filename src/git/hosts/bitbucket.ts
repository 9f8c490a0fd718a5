import { createHash } from 'node:crypto';
import { z } from 'zod';
import { shortened } from '../../core/text.js';
import { ask, refused, segments, type Host, type HostRepository } from './types.js';

const STATES = { pending: 'INPROGRESS', success: 'SUCCESSFUL', failure: 'FAILED', cancelled: 'STOPPED' } as const;
const pullRequest = z.looseObject({ links: z.looseObject({ html: z.looseObject({ href: z.string() }) }) });
const MAX_KEY = 40;

const headers = ({ token, username }: HostRepository): Record<string, string> => ({
  authorization: username ? `Basic ${Buffer.from(`${username}:${token}`).toString('base64')}` : `Bearer ${token}`,
});

/** Keys of statuses are short; a long context keeps its end different by a hash. */
const keyOf = (context: string): string => (context.length <= MAX_KEY ? context : `${context.slice(0, MAX_KEY - 9)}-${createHash('sha256').update(context).digest('hex').slice(0, 8)}`);

/** https://developer.atlassian.com/cloud/bitbucket/rest: commit statuses and pull requests of Bitbucket Cloud. A status needs a link. */
export const bitbucket: Host = {
  api: () => 'https://api.bitbucket.org/2.0',
  limits: { perMinute: 60, perHour: 900 },
  async setStatus(repository, commit, { state, context, description, link }) {
    const url = link ?? `https://bitbucket.org/${repository.path}/commits/${commit}`;
    const body = { state: STATES[state], key: keyOf(context), name: shortened(context, 255), description: shortened(description, 255), url };
    const answer = await ask(repository, 'POST', `/repositories/${segments(repository.path)}/commit/${commit}/statuses/build`, headers(repository), body);
    if (answer.status !== 200 && answer.status !== 201) throw refused('the commit status', answer);
  },
  async openPullRequest(repository, { from, into, title, body }) {
    const pulls = `/repositories/${segments(repository.path)}/pullrequests`;
    const query = new URLSearchParams({ q: `state="OPEN" AND source.branch.name="${from}" AND destination.branch.name="${into}"` });
    const listed = await ask(repository, 'GET', `${pulls}?${query.toString()}`, headers(repository));
    const [open] = z.looseObject({ values: z.array(pullRequest) }).safeParse(listed.body).data?.values ?? [];
    if (open) return open.links.html.href;
    const wanted = { title, description: body, source: { branch: { name: from } }, destination: { branch: { name: into } }, close_source_branch: true };
    const answer = await ask(repository, 'POST', pulls, headers(repository), wanted);
    if (answer.status !== 201) throw refused('the pull request', answer);
    return pullRequest.parse(answer.body).links.html.href;
  },
};
