import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { Condition, GitSource, GitSourceSpec } from '../../src/api/index.js';
import { createGitSourceReconciler, type GitSourceReconciler, type Overlay, type SyncedEvent } from '../../src/git/index.js';
import { commitTree, createBareRepository, type CommitOptions, type TreeChanges } from '../../src/git/repository.js';
import { gitEnvironment } from '../../src/git/environment.js';
import { runGit } from '../../src/git/run.js';
import { systemClock } from '../../src/git/schedule.js';
import type { Tenancy } from '../../src/git/tenancy.js';
import type { EgressPolicy } from '../../src/net/egress.js';
import type { KubeObject } from '../../src/kube/types.js';
import type { WitnessView } from '../../src/git/witness.js';
import { FakeCluster } from './fake-cluster.js';
import { until as poll } from '../until.js';

/** Long enough for a machine that does much else at the same time. */
const PATIENCE_MS = 60_000;
vi.setConfig({ testTimeout: 180_000 });

export interface WorldOptions {
  overlay?: Overlay;
  secrets?: Record<string, Record<string, string>>;
  assertLeading?: () => void;
  view?: WitnessView;
  tenancy?: Tenancy;
  /** Unix milliseconds. */
  now?: () => number;
  egress?: EgressPolicy;
}

/** A repository, a cluster and a reconciler between them. */
export class World {
  readonly cluster = new FakeCluster();
  readonly log: string[] = [];
  readonly events: SyncedEvent[] = [];
  readonly secrets: Record<string, Record<string, string>>;
  url = '';
  #reconciler: GitSourceReconciler | undefined;

  private constructor(
    readonly dir: string,
    readonly options: WorldOptions,
  ) {
    this.secrets = options.secrets ?? {};
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'sluice-test-')), options);
    world.url = (await createBareRepository(world.repository)).url;
    return world;
  }

  get repository(): string {
    return join(this.dir, 'shop.git');
  }

  get data(): string {
    return join(this.dir, 'data');
  }

  commit(changes: TreeChanges, options: Partial<CommitOptions> = {}): Promise<string> {
    return commitTree(this.repository, changes, { message: 'A change', ...options });
  }

  /** A GitSource of the repository's folder deploy, twice a second. */
  source(spec: Partial<GitSourceSpec> = {}, name = 'shop'): GitSource {
    const before = this.cluster.source(name);
    const full = { url: this.url, path: 'deploy', interval: '500ms', timeout: '10s', ...spec };
    const generation = (before?.metadata.generation ?? 0) + 1;
    return this.cluster.put({
      ...before,
      apiVersion: 'sluice.dev/v1beta1',
      kind: 'GitSource',
      metadata: { ...before?.metadata, name, namespace: 'shop', generation },
      spec: full,
    }) as GitSource;
  }

  async start(): Promise<void> {
    const write = (fields: object, message: string): void => void this.log.push(`${message} ${JSON.stringify(fields)}`);
    this.#reconciler = createGitSourceReconciler({
      client: this.cluster.client,
      informers: { gitSources: this.cluster.gitSources, secret: async (_, name) => this.#secret(name), view: this.options.view },
      overlay: this.options.overlay ?? ((manifest) => manifest),
      tenancy: this.options.tenancy ?? { allowCrossNamespace: true },
      egress: this.options.egress ?? {},
      dataDir: this.data,
      logger: { debug: write, info: write, warn: write, error: write },
      clock: { ...systemClock, now: this.options.now ?? (() => Date.now()) },
      assertLeading: this.options.assertLeading ?? (() => {}),
      random: () => 0.5,
      onSynced: (event) => this.events.push(event),
    });
    await this.#reconciler.start();
  }

  /** Look at a source now, as when its target changed. */
  look(name = 'shop'): void {
    this.#reconciler?.requestSync('shop', name);
  }

  async stop(): Promise<void> {
    await this.#reconciler?.stop();
    this.#reconciler = undefined;
  }

  async destroy(): Promise<void> {
    await this.stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  async git(...args: string[]): Promise<string> {
    return (await runGit(args, { cwd: this.repository, environment: gitEnvironment(this.dir) })).trim();
  }

  condition(type = 'Ready', name = 'shop'): Condition | undefined {
    return this.cluster.source(name).status?.conditions?.find((condition) => condition.type === type);
  }

  async reason(reason: string, name = 'shop'): Promise<string> {
    await until(
      () => this.condition('Ready', name)?.reason === reason,
      () => `${reason}, but it is ${JSON.stringify(this.condition('Ready', name))}`,
    );
    return this.condition('Ready', name)?.message ?? '';
  }

  /** Waits until the commit is applied completely. */
  async applied(sha: string, name = 'shop'): Promise<void> {
    await until(
      () => this.cluster.source(name).status?.appliedCommit === sha,
      () => `${sha} applied, but the status is ${JSON.stringify(this.cluster.source(name).status)}`,
    );
  }

  #secret(name: string): KubeObject | undefined {
    const values = this.secrets[name];
    if (!values) return undefined;
    const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop' }, data };
  }
}

/** Polls until the condition holds; fails with what was expected when it does not for long. */
export async function until(holds: () => boolean, expected: () => string): Promise<void> {
  await poll(expected, holds, PATIENCE_MS);
}

export const configMap = (name: string, value = 'a'): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  value: "${value}"\n`;

export const deployment = (name: string, image: string): string =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: ${name}\nspec:\n  replicas: 2\n  template:\n    spec:\n      containers:\n        - name: app\n          image: ${image}\n`;
