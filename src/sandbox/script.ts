import { parse } from 'yaml';
import { z } from 'zod';
import { DURATION_PATTERN, durationMs } from '../api/index.js';

const commit = z.strictObject({
  /** Of the commit. */
  message: z.string().min(1),
  /** Share of requests that the version answers 500, 0 to 1. */
  errorRate: z.number().min(0).max(1).optional(),
  /** Added to every answer. */
  latencyMs: z.number().min(0).max(60_000).optional(),
  /** Until a pod is ready. */
  startupMs: z.number().min(0).max(600_000).optional(),
  /** Value of a ConfigMap that the pods read. A commit with nothing else changes only the ConfigMap. */
  config: z.string().max(1000).optional(),
  /** Bookinfo's version (v1 no stars, v2 black, v3 red) of the commit; by default each commit is a new one. */
  version: z.int().min(1).max(3).optional(),
  /** When the following commit comes: after this release ended so, or so long after this commit. */
  next: z.union([z.enum(['Succeeded', 'Failed']), z.string().regex(DURATION_PATTERN)]).optional(),
});
export type ScriptCommit = z.infer<typeof commit>;

const callers = z.strictObject({
  /** For people, in what was seen. */
  name: z.string().min(1).max(60),
  /** Requests per second. */
  rps: z.number().min(0).max(2000).default(20),
  headers: z.record(z.string(), z.string()).default({}),
  /** So many users take turns, each with a browser that keeps cookies. */
  users: z.int().min(1).max(1000).optional(),
  /** Enter by this Gateway (`NAMESPACE/NAME`) instead of a sidecar. */
  gateway: z.string().optional(),
  /** Host that is called. */
  host: z.string().default('reviews'),
  path: z.string().startsWith('/').default('/reviews/0'),
});
export type CallerGroup = z.infer<typeof callers>;

const script = z.strictObject({
  /** Requests per second from callers. */
  rps: z.number().min(0).max(2000).default(30),
  /** Laid over `spec.analysis` of the example Canary. */
  analysis: z.record(z.string(), z.unknown()).default({}),
  /** Laid over `spec` of the example Canary, deeply. */
  canary: z.record(z.string(), z.unknown()).optional(),
  /** A small Git host beside the repository takes commit statuses and pull requests. */
  gitHost: z.boolean().optional(),
  /** Who calls; by default one group of callers at `rps`. */
  callers: z.array(callers).min(1).max(10).optional(),
  commits: z.array(commit).min(1).max(100),
});
export type Script = z.infer<typeof script> & {
  /** Further files of the repository, by path; an example has them beside its script. */
  files?: Record<string, string>;
};

/**
 * Reads a script.
 * @throws Error that names the field and what was expected.
 */
export function parseScript(text: string, name: string): Script {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    throw new Error(`${name}: not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = script.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the script'}: ${issue.message}`);
  throw new Error(`${name}: ${issues.join('; ')}. See docs/sandbox.md for the fields of a script`);
}

/** How long after a commit the next one comes, in milliseconds; undefined when it waits for a result. */
export const delayAfter = (item: ScriptCommit): number | undefined =>
  item.next === undefined || item.next === 'Succeeded' || item.next === 'Failed' ? undefined : durationMs(item.next);

/**
 * What demos judge by. A machine that is busy with other things makes every answer slow, and a good version must be promoted there too;
 * their bad versions fail by errors.
 */
export const DEMO_METRICS = [
  { name: 'request-success-rate', thresholdRange: { min: 99 }, minSamples: 10 },
  { name: 'request-duration', thresholdRange: { max: 5_000 } },
];

/** What the demo plays: a good version, then a bad one. */
export const DEMO_SCRIPT: Script = {
  rps: 40,
  analysis: { metrics: DEMO_METRICS },
  commits: [
    { message: 'reviews v2: black stars', version: 2, next: 'Succeeded' },
    { message: 'reviews v3: red stars', errorRate: 0.25, version: 3, next: 'Failed' },
  ],
};
