import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { canarySpec, canaryStatus, type Canary, type GitSource, type WriteBack } from '../../../src/api/index.js';
import type { PodTemplate } from '../../../src/core/pod-template.js';
import { makeRevision, type TrackedConfig } from '../../../src/core/revision.js';
import type { GitWriter, WriteBackOutcome } from '../../../src/engine/ports.js';
import { createGitWriter, type GitWriterOptions } from '../../../src/git/index.js';
import { gitEnvironment } from '../../../src/git/environment.js';
import { commitTree, createBareRepository, type CommitOptions, type TreeChanges } from '../../../src/git/repository.js';
import { runGit } from '../../../src/git/run.js';
import { createHttp } from '../../../src/net/http.js';

// A revert is dozens of processes; a machine that does much else at the same time takes its time.
vi.setConfig({ testTimeout: 180_000 });

export const template = (name: string, image: string, config?: string): PodTemplate => ({
  metadata: { labels: { app: name } },
  spec: { containers: [{ name: 'app', image, ...(config ? { envFrom: [{ configMapRef: { name: config } }] } : {}) }] },
});

/** A Deployment as people write it. */
export function deployment(name: string, image: string, config?: string): string {
  const envFrom = config ? `          envFrom:\n            - configMapRef:\n                name: ${config}\n` : '';
  return [
    'apiVersion: apps/v1',
    'kind: Deployment',
    'metadata:',
    `  name: ${name}`,
    'spec:',
    '  template:',
    '    metadata:',
    '      labels:',
    `        app: ${name}`,
    '    spec:',
    '      containers:',
    '        - name: app',
    `          image: ${image}`,
    envFrom,
  ].join('\n');
}
export const configMap = (name: string, value: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  value: "${value}"\n`;

export const revisionOf = (name: string, image: string, config?: { name: string; value: string }): string => {
  const configs: TrackedConfig[] = config ? [{ kind: 'ConfigMap', name: config.name, content: { data: { value: config.value } } }] : [];
  return makeRevision(template(name, image, config?.name), configs).name;
};

/** A bare repository, one GitSource of its folder deploy, and writers as controllers have them. */
export class GitWorld {
  readonly sources: GitSource[] = [];
  readonly pushed: string[] = [];
  url = '';

  private constructor(readonly dir: string) {}

  static async create(): Promise<GitWorld> {
    const world = new GitWorld(await mkdtemp(join(tmpdir(), 'sluice-out-')));
    world.url = (await createBareRepository(world.repository)).url;
    world.source('shop');
    return world;
  }

  get repository(): string {
    return join(this.dir, 'shop.git');
  }

  source(name: string, spec: Partial<GitSource['spec']> = {}): GitSource {
    const source = {
      apiVersion: 'sluice.dev/v1beta1',
      kind: 'GitSource',
      metadata: { name, namespace: 'shop', uid: `uid-${name}` },
      spec: { url: this.url, path: 'deploy', interval: '1m', ref: { branch: 'main' }, ...spec },
    } as GitSource;
    const at = this.sources.findIndex((item) => item.metadata.name === name);
    if (at >= 0) this.sources[at] = source;
    else this.sources.push(source);
    return source;
  }

  commit(changes: TreeChanges, message = 'A change', options: Partial<CommitOptions> = {}): Promise<string> {
    return commitTree(this.repository, changes, { message, ...options });
  }

  /** A controller of its own, with its own copies. */
  writer(options: Partial<GitWriterOptions> = {}, life = 'one'): GitWriter {
    return createGitWriter({
      gitSources: { get: (_, name) => this.sources.find((source) => source.metadata.name === name), list: () => this.sources },
      http: createHttp(),
      secret: async () => undefined,
      live: () => 'absent',
      tenancy: { allowCrossNamespace: false },
      egress: {},
      dataDir: join(this.dir, `data-${life}`),
      assertLeading: () => {},
      signal: new AbortController().signal,
      onPushed: (namespace, name) => this.pushed.push(`${namespace}/${name}`),
      ...options,
    });
  }

  /** Undo a failed revision of a canary, as the engine asks for it. */
  async revert(wish: Wish, writer: GitWriter = this.writer()): Promise<WriteBackOutcome> {
    const { canary, request } = failedCanary(wish);
    return writer.write(canary, request);
  }

  async git(...args: string[]): Promise<string> {
    return (await runGit(args, { cwd: this.repository, environment: gitEnvironment(this.dir) })).trim();
  }
  head = (branch = 'main'): Promise<string> => this.git('rev-parse', branch);
  message = (commit = 'main'): Promise<string> => this.git('log', '-1', '--format=%B', commit);
  file = (path: string, commit = 'main'): Promise<string> => this.git('show', `${commit}:${path}`);
  count = async (branch = 'main'): Promise<number> => Number(await this.git('rev-list', '--count', branch));

  destroy(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }
}

export interface Wish {
  canary?: string;
  revision: string;
  stable: string;
  commit: string;
  stableCommit?: string;
  source?: string;
  kind?: WriteBack['kind'];
  message?: string;
}

/** A Canary whose status says that a run failed, and what is to go back. */
export function failedCanary({ canary: name = 'reviews', revision, stable, commit, stableCommit, source = 'shop/shop', kind = 'revert', message = 'request-success-rate 93.1 % < 99 % over 412 requests' }: Wish): { canary: Canary; request: WriteBack } {
  const request: WriteBack = { kind, state: 'Pending', run: `${revision}-run`, revision, stable, commit, source, at: '2026-01-02T03:04:05.000Z', ...(stableCommit ? { stableCommit } : {}) };
  const entry = { run: request.run, revision, result: 'Failed' as const, reason: 'ChecksFailed', message, weights: [10, 30], startedAt: '2026-01-02T03:00:00.000Z', endedAt: '2026-01-02T03:04:05.000Z', commit, source };
  const canary: Canary = {
    apiVersion: 'sluice.dev/v1beta1',
    kind: 'Canary',
    metadata: { name, namespace: 'shop', uid: `uid-${name}` },
    spec: canarySpec.parse({ targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name }, service: { port: 80 }, analysis: { stepWeights: [10, 30] }, ...(kind === 'revert' || kind === 'pullRequest' ? { onRollback: { git: kind } } : {}) }),
    status: canaryStatus.parse({ history: [entry], writeBacks: [request] }),
  };
  return { canary, request };
}
