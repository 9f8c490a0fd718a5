import { z } from 'zod';
import { shortened } from '../../core/text.js';
import { ask, refused, type Host, type HostRepository } from './types.js';

const STATES = { pending: 'pending', success: 'succeeded', failure: 'failed', cancelled: 'notApplicable' } as const;
const VERSION = 'api-version=7.1';
const MAX_BODY = 4_000;
const pullRequest = z.looseObject({ pullRequestId: z.int() });
const headers = ({ token }: HostRepository): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`:${token}`).toString('base64')}` });

function place({ path }: HostRepository): { base: string; web: string } {
  const [organisation = '', project = '', name = ''] = path.replace('/_git/', '/').split('/').map(encodeURIComponent);
  return { base: `/${organisation}/${project}/_apis/git/repositories/${name}`, web: `/${organisation}/${project}/_git/${name}` };
}

/** https://learn.microsoft.com/rest/api/azure/devops/git: statuses and pull requests. */
export const azure: Host = {
  api: (origin) => origin,
  limits: { perMinute: 120, perHour: 3_000 },
  async setStatus(repository, commit, { state, context, description, link }) {
    const slash = context.indexOf('/');
    const named = { genre: context.slice(0, slash), name: context.slice(slash + 1) };
    const body = { state: STATES[state], description: shortened(description, 255), context: named, ...(link ? { targetUrl: link } : {}) };
    const answer = await ask(repository, 'POST', `${place(repository).base}/commits/${commit}/statuses?${VERSION}`, headers(repository), body);
    if (answer.status !== 201 && answer.status !== 200) throw refused('the commit status', answer);
  },
  async openPullRequest(repository, { from, into, title, body }) {
    const { base, web } = place(repository);
    const [sourceRefName, targetRefName] = [`refs/heads/${from}`, `refs/heads/${into}`];
    const link = (pull: unknown): string => `${repository.api}${web}/pullrequest/${pullRequest.parse(pull).pullRequestId}`;
    const answer = await ask(repository, 'POST', `${base}/pullrequests?${VERSION}`, headers(repository), { sourceRefName, targetRefName, title, description: shortened(body, MAX_BODY) });
    if (answer.status === 201) return link(answer.body);
    if (answer.status === 409) {
      const query = new URLSearchParams({ 'searchCriteria.sourceRefName': sourceRefName, 'searchCriteria.targetRefName': targetRefName, 'searchCriteria.status': 'active', 'api-version': '7.1' });
      const listed = await ask(repository, 'GET', `${base}/pullrequests?${query.toString()}`, headers(repository));
      const [open] = z.looseObject({ value: z.array(pullRequest) }).parse(listed.body).value;
      if (open) return link(open);
    }
    throw refused('the pull request', answer);
  },
};
