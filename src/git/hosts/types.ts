import { z } from 'zod';
import type { Http, HttpRequest } from '../../net/http.js';
import { retryAfterSeconds } from '../../net/retry-after.js';

/** What is said of a commit. `cancelled`: the release ended without a verdict. */
export type CommitState = 'pending' | 'success' | 'failure' | 'cancelled';

export interface CommitStatus {
  state: CommitState;
  /** Tells this status from those of others: `sluice/shop/reviews`. */
  context: string;
  description: string;
  /** Where there is more to see. */
  link?: string;
}

export interface PullRequest {
  /** Branch with the change, and the one that it is for. */
  from: string;
  into: string;
  title: string;
  /** Markdown. */
  body: string;
}

/** A repository at a Git host, and how to speak to its API. The token never appears in an error. */
export interface HostRepository {
  http: Http;
  /** Without a slash at the end: `https://api.github.com`. */
  api: string;
  /** `OWNER/NAME`; GitLab has groups in groups, Azure DevOps `ORGANISATION/PROJECT/NAME`. */
  path: string;
  token: string;
  /** For hosts that take a password of an application. */
  username?: string;
}

/** Budget of writes that a host documents, or that is fair where it documents none. */
export interface WriteLimits {
  perMinute: number;
  perHour: number;
}

/** One kind of Git host. */
export interface Host {
  /** Base address of its API for a repository at this host name. */
  api: (origin: string) => string;
  limits: WriteLimits;
  /** Repeating a state is success. Rejects with {@link HostError}. */
  setStatus: (repository: HostRepository, commit: string, status: CommitStatus) => Promise<void>;
  /** Opens one, or finds the open one of the same branches; gives its address for people. Rejects with {@link HostError}. */
  openPullRequest: (repository: HostRepository, pull: PullRequest) => Promise<string>;
}

/** The host did not do what was asked. The message holds no token. */
export class HostError extends Error {
  constructor(
    message: string,
    /** False: asking again cannot help. */
    readonly retryable: boolean,
    /** Milliseconds that the host asked to wait. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
    this.name = 'HostError';
  }
}

export interface Answer {
  status: number;
  body: unknown;
  /** The host's own words, shortened. */
  words: string;
}

const TIMEOUT_MS = 15_000;
const MAX_BYTES = 1024 * 1024;
const MAX_WORDS = 300;
/** A host that says "too many" without saying how long. */
const DEFAULT_WAIT_MS = 60_000;

/**
 * Asks an API. Answers below 500 that are no refusal for rate or rights are given back, whatever their status.
 * @throws HostError
 */
export async function ask(repository: HostRepository, method: 'GET' | 'POST', path: string, headers: Record<string, string>, body?: unknown): Promise<Answer> {
  const url = new URL(`${repository.api}${path}`);
  const request: HttpRequest = {
    method,
    url,
    headers: { accept: 'application/json', 'user-agent': 'sluice', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    timeoutMs: TIMEOUT_MS,
    read: 'whole',
    maxBytes: MAX_BYTES,
  };
  const response = await repository.http.send(request).catch((error: unknown) => {
    throw new HostError(error instanceof Error ? error.message : String(error), true);
  });
  const answer = { status: response.status, body: parsed(response.body), words: '' };
  answer.words = wordsIn(answer.body).replaceAll(repository.token, '***').slice(0, MAX_WORDS);
  refuse(url.host, answer, response.headers);
  return answer;
}

function refuse(host: string, { status, words }: Answer, headers: Record<string, string>): void {
  const wait = waitOf(headers, Date.now());
  const limited = status === 429 || (status === 403 && (headers['retry-after'] !== undefined || headers['x-ratelimit-remaining'] === '0' || /rate limit/i.test(words)));
  if (limited) throw new HostError(`${host} asks to write less often (${status})`, true, wait ?? DEFAULT_WAIT_MS);
  if (status >= 500) throw new HostError(`${host} answered ${status}`, true, wait);
  if (status === 401 || status === 403) throw new HostError(`${host} refused the credentials (${status}): ${words}; check spec.writeBack.host.secretRef: its token must be valid and may write`, true, DEFAULT_WAIT_MS);
  if (status >= 300 && status < 400) throw new HostError(`${host} answered ${status}: the repository was moved; correct spec.writeBack.host`, false);
}

/** `Retry-After` in seconds or as a date, else the time at which a quota is full again. */
function waitOf(headers: Record<string, string>, now: number): number | undefined {
  const after = retryAfterSeconds(headers['retry-after'], now);
  if (after !== undefined) return after * 1000;
  const reset = Number(headers['x-ratelimit-remaining'] === '0' ? headers['x-ratelimit-reset'] : headers['ratelimit-remaining'] === '0' ? headers['ratelimit-reset'] : undefined);
  return Number.isFinite(reset) && reset > 0 ? Math.max(0, reset * 1000 - now) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

const spoken = z.looseObject({ message: z.unknown().optional(), error: z.unknown().optional(), errors: z.unknown().optional() });

function wordsIn(body: unknown): string {
  if (typeof body === 'string') return body.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim();
  const { data } = spoken.safeParse(body);
  const parts = [data?.message, data?.error, data?.errors].filter((part) => part !== undefined && part !== null);
  return parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
}

/** What was asked for was not done, and why; 404 and the like do not get better by themselves. */
export const refused = (what: string, { status, words }: Answer): HostError => new HostError(`${what} was refused (${status})${words ? `: ${words}` : ''}`, false);

/** Each part of a path, escaped. */
export const segments = (path: string): string => path.split('/').map(encodeURIComponent).join('/');
