import type { IncomingMessage } from 'node:http';
import type { GitSource } from '../api/index.js';
import { isAuthentic, readAnnouncement, type Announcement, type Delivery } from '../git/announcement.js';

/** Below it, the namespace and name of a GitSource: `/git-hooks/shop/main`. */
const GIT_HOOKS = '/git-hooks/';
/** Hosts send at most a few megabytes; more is not read. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_SEEN = 1_000;
const PATIENCE_MS = 10_000;

export interface GitHooksOptions {
  gitSources: { get(namespace: string | undefined, name: string): GitSource | undefined; list(): GitSource[] };
  /** The value of `token` in a Secret; undefined when there is none. */
  token: (namespace: string, secret: string) => Promise<string | undefined>;
  /** Look at the repository of this source now, and until the commit is there. */
  hint: (source: GitSource, commit: string | undefined) => Promise<void>;
}

interface Answer {
  code: number;
  text: string;
}

/**
 * Receives what Git hosts post about pushes. Whoever does not know the token of the source learns nothing, not even whether it
 * exists. A redelivery, or a replay, does no more than one more look at the repository.
 */
export function createGitHooks(options: GitHooksOptions): (path: string, request: IncomingMessage) => Promise<Answer | undefined> {
  const seen = new Set<string>();
  return async (path, request) => {
    if (!path.startsWith(GIT_HOOKS)) return undefined;
    const [namespace = '', name = '', ...more] = path.slice(GIT_HOOKS.length).split('/');
    const source = more.length === 0 ? options.gitSources.get(namespace, name) : undefined;
    const body = await bodyOf(request);
    if (!body) return { code: 413, text: `expected at most ${MAX_BYTES} bytes\n` };
    const { webhook } = source?.spec ?? {};
    const token = webhook && (await options.token(namespace, webhook.secretRef.name));
    const delivery: Delivery = { headers: headersOf(request), body };
    if (!source || !webhook || !token || !isAuthentic(webhook.type, delivery, token)) return { code: 401, text: 'unknown source, or wrong token\n' };
    const announcement = readAnnouncement(webhook.type, delivery);
    if (!announcement.push) return { code: 200, text: 'no push\n' };
    if (announcement.id !== undefined && !remember(seen, `${path} ${announcement.id}`)) return { code: 200, text: 'known already\n' };
    const followers = sameRepository(options, source).flatMap((one) => following(one, announcement));
    await Promise.all(followers.map(({ one, commit }) => options.hint(one, commit)));
    return { code: 202, text: `${followers.length} sources look at it\n` };
  };
}

/** One hook of a repository serves all of its sources in the namespace. */
const sameRepository = ({ gitSources }: GitHooksOptions, source: GitSource): GitSource[] =>
  gitSources.list().filter(({ metadata, spec }) => metadata.namespace === source.metadata.namespace && spec.url === source.spec.url);

function following(one: GitSource, { refs }: Announcement): { one: GitSource; commit: string | undefined }[] {
  const { branch, tag, semver, commit } = one.spec.ref ?? {};
  if (refs.length === 0) return [{ one, commit: undefined }];
  if (commit !== undefined) return [];
  if (semver !== undefined) return refs.some(({ name }) => name.startsWith('refs/tags/')) ? [{ one, commit: undefined }] : [];
  const wanted = tag === undefined ? `refs/heads/${branch ?? 'main'}` : `refs/tags/${tag}`;
  const found = refs.find(({ name }) => name === wanted);
  // A tag's object may be another than its commit, and a deleted branch has none.
  const announced = found && tag === undefined && !/^0+$/.test(found.commit) ? found.commit : undefined;
  return found ? [{ one, commit: announced }] : [];
}

function remember(seen: Set<string>, id: string): boolean {
  if (seen.has(id)) return false;
  seen.add(id);
  if (seen.size > MAX_SEEN) seen.delete(seen.values().next().value ?? '');
  return true;
}

function headersOf({ headers }: IncomingMessage): Delivery['headers'] {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]));
}

/** Undefined when it is too long, or does not come. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  request.setTimeout(PATIENCE_MS, () => request.destroy());
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
