import type { Answers, Json } from './types.js';

/** One place where two servers' answers to a request are not the same. */
export interface Disagreement {
  request: string;
  /** Path in the answer, `body/metadata/name`; a slash inside a key is written `~1`. */
  at: string;
  real: unknown;
  embedded: unknown;
}

/** A difference that is known and has a reason. */
export interface Difference {
  /** Names of requests; `any` for what may show in every answer. */
  requests: readonly string[] | 'any';
  /** Paths that begin like this differ; `*` stands for one part of a path. */
  at: readonly string[];
  reason: string;
}

/** Where the answers differ, part by part. */
function compare(real: Answers, embedded: Answers): Disagreement[] {
  const names = new Set([...Object.keys(real), ...Object.keys(embedded)]);
  return [...names].flatMap((request) => compareParts(request, real[request], embedded[request], ''));
}

const isParts = (value: unknown): value is Json | unknown[] => typeof value === 'object' && value !== null;

function compareParts(request: string, real: unknown, embedded: unknown, at: string): Disagreement[] {
  if (JSON.stringify(real) === JSON.stringify(embedded)) return [];
  if (!isParts(real) || !isParts(embedded) || Array.isArray(real) !== Array.isArray(embedded))
    return [{ request, at, real, embedded }];
  const keys = new Set([...Object.keys(real), ...Object.keys(embedded)]);
  return [...keys].flatMap((key) => {
    const path = (at === '' ? '' : `${at}/`) + key.replaceAll('/', '~1');
    return compareParts(request, (real as Json)[key], (embedded as Json)[key], path);
  });
}

function begins(path: string, pattern: string): boolean {
  const parts = path.split('/');
  return pattern.split('/').every((part, index) => part === '*' || part === parts[index]);
}

const covers = (known: Difference, found: Disagreement): boolean =>
  (known.requests === 'any' || known.requests.includes(found.request)) && known.at.some((at) => begins(found.at, at));

export interface Judgement {
  /** Differences that nobody has listed, one line each. */
  unlisted: string[];
  /** Listed differences that are none any more. */
  stale: string[];
  /** Requests that are answered alike in every part. */
  agreements: number;
}

/** Holds what differs against what is known to differ. */
export function judge(real: Answers, embedded: Answers, known: readonly Difference[]): Judgement {
  const found = compare(real, embedded);
  const unlisted = found.filter((one) => !known.some((difference) => covers(difference, one)));
  const stale = known.flatMap(({ requests, at, reason }) =>
    (requests === 'any' ? ['any request'] : requests).flatMap((request) =>
      at
        .filter((path) => !found.some((one) => (requests === 'any' || one.request === request) && begins(one.at, path)))
        .map((path) => `${request}: ${path} (${reason})`),
    ),
  );
  const differing = new Set(found.map(({ request }) => request));
  return {
    unlisted: unlisted.map(
      ({ request, at, real: theirs, embedded: ours }) => `${request}: ${at}: real ${show(theirs)}, embedded ${show(ours)}`,
    ),
    stale,
    agreements: Object.keys(real).filter((request) => !differing.has(request)).length,
  };
}

const MAX_SHOWN = 300;
const show = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, MAX_SHOWN);
