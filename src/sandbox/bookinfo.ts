import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { API_VERSION } from '../api/index.js';
import { commitTree, type TreeChanges } from '../git/index.js';

/** What a commit makes of `reviews`. */
export interface ReviewsVersion {
  /** Bookinfo's version: v1 shows no stars, v2 black ones, v3 red ones. */
  version: number;
  /** Part of the image's tag, so that every commit is a version of its own. */
  build: number;
  /** Share of requests answered 500, 0 to 1. */
  errorRate: number;
  latencyMs: number;
  startupMs: number;
  /** Its pods end by themselves after so long. */
  crashAfterMs?: number;
  /** Value in the ConfigMap that the pods read. */
  config: string;
}

export const FIRST_VERSION: ReviewsVersion = { version: 1, build: 0, errorRate: 0, latencyMs: 0, startupMs: 0, config: 'plain' };

/** The analysis of the sandbox's Canary; short, because its versions show within seconds what they are. */
const SANDBOX_ANALYSIS = {
  interval: '3s',
  threshold: 2,
  stepWeights: [20, 50, 80],
  warmup: '1s',
  metrics: [
    { name: 'request-success-rate', thresholdRange: { min: 99 }, minSamples: 10 },
    { name: 'request-duration', thresholdRange: { max: 500 } },
  ],
  alerts: [
    { name: 'team', severity: 'info', providerRef: { name: 'slack' } },
    { name: 'audit', severity: 'info', providerRef: { name: 'webhook' } },
  ],
};

/** Proxies in the sandbox learn at once, so drains are short. */
const SANDBOX_REVISIONS = { drainFor: '2s', warmFor: '10s', settle: '500ms', history: 10 };

const REPO = fileURLToPath(new URL('../../examples/bookinfo/repo/', import.meta.url));
const REVIEWS_FILE = 'reviews.yaml';
const CONFIG_FILE = 'reviews-config.yaml';
const CANARY_FILE = 'canary.yaml';

interface Deployment {
  kind: string;
  spec: { template: { metadata: { labels: Record<string, string> }; spec: { containers: { image: string; env?: unknown[] }[] } } };
}

/** `reviews.yaml` of the example, turned into another version. */
function reviewsManifest(text: string, version: ReviewsVersion): string {
  const documents = parseAllDocuments(text).map((document) => document.toJS() as Deployment);
  for (const document of documents) {
    if (document.kind !== 'Deployment') continue;
    const { template } = document.spec;
    template.metadata.labels['version'] = `v${version.version}`;
    const [container] = template.spec.containers;
    if (!container) continue;
    container.image = `docker.io/istio/examples-bookinfo-reviews-v${version.version}:1.20.${version.build}`;
    container.env = [
      ...env('ERROR_RATE', version.errorRate),
      ...env('LATENCY_MS', version.latencyMs),
      ...env('STARTUP_MS', version.startupMs),
      ...env('CRASH_AFTER_MS', version.crashAfterMs ?? 0),
      { name: 'CONFIG', valueFrom: { configMapKeyRef: { name: 'reviews-config', key: 'greeting' } } },
    ];
  }
  return documents.map((document) => stringify(document)).join('---\n');
}

const env = (name: string, value: number): unknown[] => (value > 0 ? [{ name, value: String(value) }] : []);

const configManifest = (greeting: string): string =>
  stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'reviews-config' }, data: { greeting } });

function canaryManifest(analysis: Record<string, unknown>, spec: Record<string, unknown>): string {
  const base = {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
    progressDeadlineSeconds: 60,
    service: { port: 9080, targetPort: 'http' },
    revisions: SANDBOX_REVISIONS,
    analysis: overlaid(analysis),
  };
  // Whoever applies manifests reads YAML 1.1, where a bare `yes` is no text.
  return stringify({ apiVersion: API_VERSION, kind: 'Canary', metadata: { name: 'reviews' }, spec: deepOverlaid(base, spec) }, { compat: 'yaml-1.1', aliasDuplicateObjects: false });
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Objects are merged; everything else is replaced. */
function deepOverlaid(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged = Object.entries(over).map(([key, value]) => {
    const below = base[key];
    return [key, isObject(below) && isObject(value) ? deepOverlaid(below, value) : value] as const;
  });
  return { ...base, ...Object.fromEntries(merged) };
}

/** The way of stepping is replaced as a whole: a script's `stepWeight` beside our `stepWeights` would be refused. */
function overlaid(analysis: Record<string, unknown>): Record<string, unknown> {
  const base: Record<string, unknown> = { ...SANDBOX_ANALYSIS };
  if (['stepWeight', 'stepWeights', 'steps', 'iterations'].some((key) => key in analysis)) delete base['stepWeights'];
  return { ...base, ...analysis };
}

const alertManifest = (receiver: string): string =>
  ['slack', 'webhook']
    .map((type) => stringify({ apiVersion: API_VERSION, kind: 'AlertProvider', metadata: { name: type }, spec: { type, address: `${receiver}/${type}`, ...(type === 'slack' ? { channel: 'releases' } : {}) } }))
    .join('---\n');

/** What the repository holds at first, beside Bookinfo. */
export interface InitialRepository {
  /** Laid over the Canary's analysis. */
  analysis: Record<string, unknown>;
  /** Address of the receiver of messages. */
  receiver: string;
  /** Laid over the Canary's spec, deeply. */
  canary?: Record<string, unknown>;
  /** Further files, by path. */
  files?: Record<string, string>;
  /** True: the Canary comes later, with `addCanary`. */
  withoutCanary?: boolean;
}

/** The sandbox's repository: Bookinfo, a Canary for reviews, and commits that change reviews. */
export class BookinfoRepository {
  private current = FIRST_VERSION;
  private canary = '';

  constructor(
    private readonly dir: string,
    private readonly author: { name: string; email: string },
  ) {}

  get version(): ReviewsVersion {
    return this.current;
  }

  /** The first commit. Returns its id. */
  async initialise(options: InitialRepository): Promise<string> {
    const files: Record<string, string> = {};
    for (const name of await readdir(REPO)) files[name] = await readFile(join(REPO, name), 'utf8');
    files[REVIEWS_FILE] = reviewsManifest(files[REVIEWS_FILE] ?? '', this.current);
    files[CONFIG_FILE] = configManifest(this.current.config);
    this.canary = canaryManifest(options.analysis, options.canary ?? {});
    if (!options.withoutCanary) files[CANARY_FILE] = this.canary;
    files['alerts.yaml'] = alertManifest(options.receiver);
    const all = { ...files, ...options.files };
    return commitTree(this.dir, all, { message: 'Bookinfo with reviews v1, released by Sluice', author: this.author });
  }

  /** Put reviews under Sluice's care. Returns the commit's id. */
  async addCanary(): Promise<string> {
    return this.commit({ [CANARY_FILE]: this.canary }, 'reviews is released by Sluice');
  }

  /** Take reviews out of Sluice's care. Returns the commit's id. */
  async removeCanary(): Promise<string> {
    return this.commit({ [CANARY_FILE]: null }, 'reviews is not released by Sluice any more');
  }

  /** Commit changed files; null deletes one. Returns the commit's id. */
  async commit(changes: TreeChanges, message: string): Promise<string> {
    return commitTree(this.dir, changes, { message, author: this.author });
  }

  /** Commit another version of reviews. Returns the commit's id. */
  async release(version: ReviewsVersion, message: string): Promise<string> {
    const text = await readFile(join(REPO, REVIEWS_FILE), 'utf8');
    this.current = version;
    return commitTree(this.dir, { [REVIEWS_FILE]: reviewsManifest(text, version), [CONFIG_FILE]: configManifest(version.config) }, { message, author: this.author });
  }
}
