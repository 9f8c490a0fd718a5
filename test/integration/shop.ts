import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { SluiceResources, type Canary, type CanaryStatus, type Condition, type GitSource, type HistoryEntry, type Verb } from '../../src/api/index.js';
import { gitEnvironment } from '../../src/git/environment.js';
import { commitTree, createBareRepository } from '../../src/git/index.js';
import { runGit } from '../../src/git/run.js';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject, Resource } from '../../src/kube/types.js';
import type { ApiServer, AuditEntry } from '../../src/sandbox/apiserver/index.js';
import { alertProvider, canary, deployment, gitSource, image, service } from './manifests.js';
import type { Health, MetricsServer } from './metrics-server.js';
import type { Received, Stub } from './stub.js';
import { weightsIn, type Truths } from './truths.js';
import { until } from '../until.js';

const PATIENCE_MS = 100_000;
const RESOURCES: Record<string, Resource> = { ...Resources, ...SluiceResources } as Record<string, Resource>;

/** What a shop needs of the cluster that it is in. */
export interface Surroundings {
  readonly server: ApiServer;
  readonly truths: Truths;
  readonly stub: Stub;
  readonly metrics: MetricsServer;
  /** A folder of the test's own. */
  readonly dir: string;
  /** Writes that Sluice made in a namespace. */
  writes(namespace: string): AuditEntry[];
  guard(namespace: string): void;
}

/** One namespace of a cluster, and what a user does and sees there. */
export class Shop {
  #actions = 0;

  constructor(
    readonly world: Surroundings,
    readonly namespace: string,
  ) {}

  async open(): Promise<void> {
    this.world.server.store.create(Resources.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } });
    this.put(alertProvider(`${this.world.stub.url}/${this.namespace}`));
    await Promise.resolve();
  }

  /** Create the object, or replace its spec (or data) by what it says. */
  put(object: KubeObject): KubeObject {
    const { store } = this.world.server;
    const resource = RESOURCES[object.kind];
    if (!resource) throw new Error(`no resource for ${object.kind}`);
    const placed = { ...object, metadata: { ...object.metadata, namespace: this.namespace } };
    const live = store.get(resource, this.namespace, object.metadata.name);
    if (!live) return store.create(resource, placed, { fieldValidation: 'Strict' });
    const metadata = { ...live.metadata, ...placed.metadata, annotations: { ...live.metadata.annotations, ...placed.metadata.annotations } };
    return store.update(resource, { ...live, ...placed, metadata }, { fieldValidation: 'Strict' });
  }

  get(resource: Resource, name = 'reviews'): KubeObject | undefined {
    return this.world.server.store.get(resource, this.namespace, name);
  }
  spec<T>(resource: Resource, name = 'reviews'): T | undefined {
    return this.get(resource, name)?.['spec'] as T | undefined;
  }
  merge(resource: Resource, name: string, patch: unknown, subresource?: 'scale' | 'status'): void {
    this.world.server.store.patch(resource, this.namespace, name, patch, 'merge', subresource ? { subresource, fieldManager: 'somebody' } : { fieldManager: 'somebody' });
  }
  remove(resource: Resource, name = 'reviews'): void {
    this.world.server.store.delete(resource, this.namespace, name, { propagationPolicy: 'Background' });
  }

  /** A running Deployment behind its Service. */
  async running(object: KubeObject = deployment()): Promise<void> {
    this.put(object);
    this.put(service());
    await this.see('the target runs', () => this.endpoints('reviews') > 0);
  }

  /** A target that a Canary has adopted. */
  async adopted(subject: KubeObject = canary(), target: KubeObject = deployment()): Promise<void> {
    await this.running(target);
    this.put(subject);
    await this.phase('Initialized');
    await this.see('the target runs no pods', () => this.replicas('reviews') === 0);
  }

  /** Its Canary appears. */
  adoptable(): void {
    this.put(canary());
  }

  /** From now on somebody must always serve callers of `reviews`. */
  guard(): void {
    this.world.guard(this.namespace);
  }

  /** Another version, as `kubectl set image` writes it. */
  release(version: string): void {
    const live = this.get(Resources.Deployment);
    const spec = structuredClone(live?.['spec']) as { template: { spec: { containers: { image: string }[] } } };
    const [container] = spec.template.spec.containers;
    if (!live || !container) throw new Error('there is no target');
    container.image = image(version);
    this.merge(Resources.Deployment, 'reviews', { spec: { template: { spec: { containers: spec.template.spec.containers } } } });
  }

  get canary(): Canary | undefined {
    return this.get(SluiceResources.Canary) as Canary | undefined;
  }
  get status(): CanaryStatus {
    return this.canary?.status ?? { canaryWeight: 0, failedChecks: 0 };
  }
  condition(type: string, name = 'reviews'): Condition | undefined {
    const object = this.get(SluiceResources.Canary, name) as Canary | undefined;
    return object?.status?.conditions?.find((item) => item.type === type);
  }
  get history(): HistoryEntry[] {
    return this.status.history ?? [];
  }
  /** Weights by slot Service, as the VirtualService says. */
  get weights(): Record<string, number> {
    return weightsIn(this.get(Resources.VirtualService));
  }
  endpoints(name: string): number {
    return this.world.truths.endpoints(this.namespace, name);
  }
  /** Images that the pods behind a Service run. */
  images(slot: string): string[] {
    const pods = this.world.server.store.list(Resources.Pod, { namespace: this.namespace, labelSelector: `sluice.dev/slot=${slot}` });
    return pods.map((pod) => (pod['spec'] as { containers: { image: string }[] }).containers[0]?.image ?? '');
  }
  replicas(name: string): number | undefined {
    return this.spec<{ replicas?: number }>(Resources.Deployment, name)?.replicas;
  }
  selector(name = 'reviews'): Record<string, string> {
    return this.spec<{ selector?: Record<string, string> }>(Resources.Service, name)?.selector ?? {};
  }

  see<T>(what: string, check: () => T | undefined | false, timeoutMs = PATIENCE_MS): Promise<T> {
    return until(() => `${what} in ${this.namespace}; weights ${JSON.stringify(this.weights)}, status ${JSON.stringify(this.status, undefined, 1)}`, check, timeoutMs);
  }
  async phase(phase: CanaryStatus['phase'], timeoutMs?: number): Promise<void> {
    await this.see(`phase ${phase}`, () => this.status.phase === phase, timeoutMs);
  }
  /** Waits for a condition with this reason; gives it. */
  reason(type: string, reason: string, timeoutMs?: number, name = 'reviews'): Promise<Condition> {
    return this.see(
      `${type} with reason ${reason} on ${name}`,
      () => {
        const found = this.condition(type, name);
        return found?.reason === reason && found;
      },
      timeoutMs,
    );
  }
  weight(percent: number): Promise<boolean> {
    return this.see(`weight ${percent}`, () => this.status.canaryWeight === percent && this.status.step?.weight === percent);
  }
  /** Waits for the next ending of a run; gives it. */
  async ended(count: number, timeoutMs?: number): Promise<HistoryEntry> {
    return this.see(`ending number ${count}`, () => this.history.length >= count && this.history[0], timeoutMs);
  }

  /** What callers of the slot under test measure. */
  health(health: Partial<Health>, slots = ['blue', 'green']): void {
    for (const slot of slots) this.world.metrics.set(`${this.namespace}/reviews-${slot}`, health);
  }

  act(verb: Verb, more: Record<string, unknown> = {}): string {
    const name = `${verb}-${(this.#actions += 1)}`;
    this.put({ apiVersion: 'sluice.dev/v1beta1', kind: 'CanaryAction', metadata: { name }, spec: { canary: 'reviews', verb, by: 'ada', ...more } });
    return name;
  }
  async answered(name: string): Promise<{ result?: string; message?: string }> {
    return this.see(`an answer to ${name}`, () => {
      const status = this.get(SluiceResources.CanaryAction, name)?.['status'] as { result?: string; message?: string } | undefined;
      return status?.result !== undefined && status;
    });
  }

  /** Percent of the traffic that the canary got, write by write, with the time of each in milliseconds. */
  weightWrites(): { weight: number; at: number }[] {
    const writes = this.world.writes(this.namespace).filter((entry) => entry.resource === 'virtualservices.networking.istio.io' && entry.code < 300 && entry.responseObject);
    return writes.map((entry) => ({ weight: weightsIn(entry.responseObject as KubeObject)['reviews-green'] ?? 0, at: Date.parse(entry.time) }));
  }

  get messages(): Received[] {
    return this.world.stub.at(`/${this.namespace}`);
  }
  told(event: string): Received[] {
    return this.messages.filter(({ body, answered }) => body['event'] === event && answered === 200);
  }

  /** A repository that a GitSource of this namespace follows, its first commit applied. */
  async repository(files: Record<string, string | KubeObject[]>, spec: Record<string, unknown> = {}): Promise<Repository> {
    const repository = await Repository.create(join(this.world.dir, `${this.namespace}.git`), this);
    await repository.commit(files);
    this.put(gitSource(repository.url, spec));
    return repository;
  }
  source(): GitSource | undefined {
    return this.get(SluiceResources.GitSource, 'shop') as GitSource | undefined;
  }
  sourceReason(reason: string): Promise<Condition> {
    return this.see(`GitSource Ready with reason ${reason}, but it is ${JSON.stringify(this.source()?.status)}`, () => {
      const found = this.source()?.status?.conditions?.find((item) => item.type === 'Ready');
      return found?.reason === reason && found;
    });
  }
}

/** A bare repository, and commits to it. */
export class Repository {
  private constructor(
    readonly dir: string,
    readonly url: string,
    private readonly shop: Shop,
  ) {}

  static async create(dir: string, shop: Shop): Promise<Repository> {
    const made = await createBareRepository(dir);
    return new Repository(made.dir, made.url, shop);
  }

  /** Commits files; objects become YAML. Gives the commit's id. */
  commit(files: Record<string, string | null | KubeObject[]>, message = 'A change'): Promise<string> {
    const changes = Object.entries(files).map(([path, content]) => [path, Array.isArray(content) ? yaml(...content) : content] as const);
    return commitTree(this.dir, Object.fromEntries(changes), { message, author: { name: 'Ada', email: 'ada@shop.invalid' } });
  }
  /** The same, as a developer does it: a commit in a clone, and `git push`. */
  async push(files: Record<string, KubeObject[]>, message: string): Promise<string> {
    const clone = await mkdtemp(join(tmpdir(), 'sluice-clone-'));
    try {
      const call = { cwd: clone, environment: gitEnvironment(clone) };
      await runGit(['clone', '--quiet', this.url, '.'], call);
      for (const [path, objects] of Object.entries(files)) await writeFile(join(clone, path), yaml(...objects));
      await runGit(['add', ...Object.keys(files)], call);
      await runGit(['-c', 'user.name=Ada', '-c', 'user.email=ada@shop.invalid', 'commit', '--quiet', `--message=${message}`], call);
      await runGit(['push', '--quiet', 'origin', 'HEAD:main'], call);
      return (await runGit(['rev-parse', 'HEAD'], call)).trim();
    } finally {
      await rm(clone, { recursive: true, force: true });
    }
  }
  async applied(sha: string): Promise<void> {
    await this.shop.see(`commit ${sha} applied; ${JSON.stringify(this.shop.source()?.status)}`, () => this.shop.source()?.status?.appliedCommit === sha);
  }
}

const yaml = (...objects: KubeObject[]): string => objects.map((object) => stringify(object)).join('---\n');
