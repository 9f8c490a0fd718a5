import type { z } from 'zod';
import { shortened } from '../core/text.js';
import { TransportError, type HttpResponse } from '../net/http.js';
import { retryAfterSeconds } from '../net/retry-after.js';
import type { MetricProvider, ProviderAnswer, ProviderOptions, ProviderQuery } from './provider.js';
import { secretsOf, withoutSecrets } from './secrets.js';

/** Why there is no answer; `permanent` when asking again cannot help. No message holds credentials. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly permanent: boolean,
    /** Of the answer, where one came. */
    readonly status?: number,
  ) {
    super(shortened(message, MAX_MESSAGE));
    this.name = 'Failure';
  }
}

/** Characters of a failure: names that a server gave may be of any length and number, and people read it in a status. */
const MAX_MESSAGE = 1_000;

/** What a server said in its own form of an error. */
export interface Refusal {
  message: string;
  /** The query itself is wrong. Default: the status is 400 or 422. */
  permanent?: boolean;
  /** Not the rights, whatever the status is. */
  denied?: boolean;
  /** Asked too often, whatever the status is. */
  busy?: boolean;
}

export interface ApiRequest<T> {
  url: URL;
  /** POST with a body, else GET. */
  body?: string;
  /** Those of the user, which `own` win over, in any case of letters. */
  headers?: Record<string, string> | undefined;
  own?: Record<string, string>;
  insecureSkipVerify?: boolean;
  /** Certificates (PEM) of the server's authorities. */
  ca?: string | undefined;
  /** The Secret that the credentials came from, or undefined where they did not come from one. */
  secretName?: string | undefined;
  /** What must not appear in a message, although a server may repeat it. */
  secrets?: Iterable<string>;
  /** Of a success. */
  answer: z.ZodType<T>;
  /** Makes what `answer` is looked for in; default is JSON. Whatever it throws means that the answer is none. */
  decode?: (body: string) => unknown;
  /** Finds the words of an error in the decoded body. */
  refusal?: (body: unknown) => Refusal | undefined;
}

/** How much of a server's words is repeated, in characters. */
const MAX_QUOTE = 400;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** The APIs of metrics services, which differ in their forms and are alike in how they fail. */
export class JsonApi {
  /** @param service its name, for messages */
  constructor(
    readonly service: string,
    private readonly options: ProviderOptions,
  ) {}

  /** The provider that answers like this: a {@link Failure}, and anything unforeseen, is an answer as well. */
  provider(answer: (query: ProviderQuery) => Promise<ProviderAnswer>): MetricProvider {
    return {
      ask: async (query) => {
        try {
          const result = await answer(query);
          return result.kind === 'samples' ? result : { ...result, message: withoutSecrets(result.message, secretsOf(query)) };
        } catch (error) {
          if (error instanceof Failure) return { kind: 'failed', message: withoutSecrets(error.message, secretsOf(query)), permanent: error.permanent };
          // Nothing of an unforeseen error's text: it might hold anything.
          const name = error instanceof Error ? error.name : 'an unknown error';
          return { kind: 'failed', message: `${this.service} could not be asked (${name})`, permanent: false };
        }
      },
    };
  }

  /**
   * A question as {@link ProviderOptions.onQuery} counts it: an answer that `read` cannot use is a failed one.
   * @throws Failure
   */
  async question<T, R>(request: ApiRequest<T>, read: (answer: T) => R): Promise<R> {
    const startedAt = performance.now();
    let ok = false;
    try {
      const result = read(await this.exchange(request));
      ok = true;
      return result;
    } finally {
      this.options.onQuery?.({ server: request.url.origin, seconds: (performance.now() - startedAt) / 1000, ok });
    }
  }

  /** @throws Failure */
  async exchange<T>(request: ApiRequest<T>): Promise<T> {
    let response: HttpResponse;
    try {
      response = await this.options.http.send({
        method: request.body === undefined ? 'GET' : 'POST',
        url: request.url,
        headers: { ...lowerCase({ accept: 'application/json', ...request.headers }), ...lowerCase(request.own ?? {}) },
        body: request.body,
        timeoutMs: this.options.timeoutMs,
        read: 'whole',
        maxBytes: MAX_ANSWER_BYTES,
        insecureSkipVerify: request.insecureSkipVerify,
        ca: request.ca,
      });
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      throw new Failure(`${this.service} at ${error.message}`, error.kind === 'denied' || error.kind === 'invalid');
    }
    return this.#interpret(request, response);
  }

  #interpret<T>(request: ApiRequest<T>, response: HttpResponse): T {
    const { status } = response;
    const body = decoded(request, response.body);
    const refused = this.#refused(request, response, body);
    if (refused) throw refused;
    const parsed = status < 300 && body !== undefined ? request.answer.safeParse(body) : undefined;
    if (parsed?.success) return parsed.data;
    const where = parsed?.error.issues[0]?.path.join('.');
    throw new Failure(`${this.service} at ${request.url.host} ${this.#strange(response)}${where ? ` (look at ${where})` : ''}`, false, status);
  }

  /** What an error means, in the server's words where it has some. */
  #refused<T>(request: ApiRequest<T>, { status, headers }: HttpResponse, body: unknown): Failure | undefined {
    const place = `${this.service} at ${request.url.host}`;
    const refusal = body === undefined ? undefined : request.refusal?.(body);
    const words = refusal?.message ? `: ${shortened(withoutSecrets(refusal.message, request.secrets ?? []), MAX_QUOTE)}` : '';
    if (status === 401 || status === 403 || refusal?.denied) {
      return new Failure(`${place} answered ${status}${words}; ${remedy(request.secretName)}`, false, status);
    }
    if (status === 429 || refusal?.busy) return new Failure(`${place} is asked too often (${status})${words}${this.#wait(headers)}`, false, status);
    if (!refusal) return undefined;
    const permanent = refusal.permanent ?? (status === 400 || status === 422);
    return new Failure(`${place} ${permanent ? 'refused the query' : `failed (${status})`}${words}`, permanent, status);
  }

  #wait(headers: Record<string, string>): string {
    const now = this.options.now();
    const reset = headers['x-ratelimit-reset'];
    // Some services give the time until they answer again there, others the moment in unix seconds.
    const moment = /^\d{10}$/.test(reset ?? '') ? Math.max(0, Number(reset) - Math.floor(now / 1000)) : undefined;
    const left = retryAfterSeconds(headers['retry-after'], now) ?? moment ?? retryAfterSeconds(reset, now);
    return left === undefined ? '' : `; it wants to be left alone for ${left} s`;
  }

  #strange({ status, headers, body }: HttpResponse): string {
    if (status >= 300 && status < 400) return `answered ${status}, a redirect; write the address that it leads to`;
    const kind = /^\s*</.test(body) || headers['content-type']?.includes('html') ? 'an HTML page' : `something that is not an answer of ${this.service}`;
    return `answered ${status} with ${kind}; is provider.address that of ${this.service}?`;
  }
}

function decoded<T>(request: ApiRequest<T>, body: string): unknown {
  try {
    return (request.decode ?? (JSON.parse as (text: string) => unknown))(body);
  } catch {
    return undefined;
  }
}

const remedy = (secretName: string | undefined): string =>
  secretName === undefined ? 'give credentials with provider.secretRef, or look at the rights of the identity that the controller has' : `look at the Secret "${secretName}"`;

const lowerCase = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
