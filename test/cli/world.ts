import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { crds } from '../../src/api/crd.js';
import { SluiceResources, type Canary, type CanarySpec, type CanaryStatus, type GitSource } from '../../src/api/index.js';
import type { Io } from '../../src/cli/io.js';
import { run } from '../../src/cli/program.js';
import { istioCrds } from '../../src/sandbox/istio-crds.js';
import { startApiServer, type ApiServer } from '../../src/sandbox/apiserver/index.js';

/** Noon of a day that every golden file speaks of. */
const NOON = Date.parse('2026-03-02T12:00:00.000Z');
/** RFC 3339 of so many seconds from noon. */
export const at = (seconds: number): string => new Date(NOON + seconds * 1000).toISOString();

/** Time that only a test moves. */
class Clock {
  now = NOON;
  #sleepers: { until: number; wake: () => void }[] = [];

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      this.#sleepers.push({ until: this.now + ms, wake: resolve });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  advance(ms: number): void {
    this.now += ms;
    const due = this.#sleepers.filter(({ until }) => until <= this.now);
    this.#sleepers = this.#sleepers.filter(({ until }) => until > this.now);
    for (const { wake } of due) wake();
  }
}

/** A command that runs, and what it has printed so far. */
export class Running {
  out = '';
  err = '';
  readonly clock = new Clock();
  readonly #ending = new AbortController();
  readonly code: Promise<number>;

  constructor(argv: string[], terminal: boolean, env: NodeJS.ProcessEnv) {
    const io: Io = {
      out: (text) => void (this.out += text),
      err: (text) => void (this.err += text),
      now: () => this.clock.now,
      sleep: (ms, signal) => this.clock.sleep(ms, signal),
      isTTY: terminal,
      color: terminal,
      env,
      signal: this.#ending.signal,
    };
    this.code = run(argv, io);
  }

  interrupt(): void {
    this.#ending.abort();
  }

  /** Until standard output or error holds the text. */
  async says(text: string): Promise<void> {
    await expect.poll(() => this.out + this.err, { timeout: 8_000, interval: 5 }).toContain(text);
  }
}

/** A TCP proxy: what the API server looks like while it restarts, with its objects kept. */
class Proxy {
  port = 0;
  #server: net.Server | undefined;
  readonly #sockets = new Set<net.Socket>();

  constructor(private readonly target: number) {}

  async mend(): Promise<void> {
    const server = net.createServer((incoming) => {
      const outgoing = net.connect(this.target, '127.0.0.1');
      for (const socket of [incoming, outgoing]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => this.#sockets.delete(socket));
      }
      incoming.pipe(outgoing).pipe(incoming);
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as net.AddressInfo).port;
    this.#server = server;
  }

  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
  }
}

export interface World {
  server: ApiServer;
  /** Path of a kubeconfig for the server. */
  kubeconfig: string;
  start(...argv: string[]): Running;
  run(...argv: string[]): Promise<{ code: number; out: string; err: string }>;
  put(canary: Canary): void;
  setStatus(name: string, status: Partial<CanaryStatus>): void;
  /** As `start`, through a connection that the test can break and mend. */
  startThroughProxy(...argv: string[]): Promise<{ running: Running; cut: () => Promise<void>; mend: () => Promise<void> }>;
  close(): Promise<void>;
}

/** An API server with Sluice's kinds, and the command line before it. */
export async function createWorld(options: { installed?: boolean; istio?: boolean } = {}): Promise<World> {
  const kinds = [...(options.installed === false ? [] : crds()), ...(options.istio === false ? [] : istioCrds())];
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const server = await startApiServer({ crds: kinds });
  writeFileSync(kubeconfig, server.kubeconfig());
  const start = (...argv: string[]): Running => new Running([...argv, '--kubeconfig', kubeconfig], false, {});
  return {
    server,
    kubeconfig,
    start,
    run: async (...argv) => {
      const running = start(...argv);
      const code = await running.code;
      return { code, out: running.out, err: running.err };
    },
    put: (canary) => putCanary(server, canary),
    setStatus: (name, status) => {
      const live = server.store.get(SluiceResources.Canary, 'default', name);
      if (!live) throw new Error(`there is no Canary ${name}`);
      server.store.update<Canary>(SluiceResources.Canary, { ...live, status: status as CanaryStatus }, { subresource: 'status' });
    },
    startThroughProxy: async (...argv) => {
      const proxy = new Proxy(server.port);
      await proxy.mend();
      const file = join(folder, `kubeconfig-${proxy.port}`);
      writeFileSync(file, server.kubeconfig().replaceAll(server.url, `http://127.0.0.1:${proxy.port}`));
      const running = new Running([...argv, '--kubeconfig', file], false, {});
      void running.code.then(() => proxy.cut());
      return { running, cut: () => proxy.cut(), mend: () => proxy.mend() };
    },
    close: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function putCanary(server: ApiServer, canary: Canary): void {
  const created = server.store.create<Canary>(SluiceResources.Canary, canary);
  if (canary.status)
    server.store.update<Canary>(SluiceResources.Canary, { ...created, status: canary.status }, { subresource: 'status' });
}

export function canary(
  name: string,
  status?: Partial<CanaryStatus>,
  more: { namespace?: string; spec?: Partial<CanarySpec> } = {},
): Canary {
  const spec = {
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
    service: { port: 9080 },
    analysis: { interval: '30s', threshold: 3, stepWeights: [10, 25, 50] },
    ...more.spec,
  } as CanarySpec;
  const object: Canary = {
    apiVersion: 'sluice.dev/v1beta1',
    kind: 'Canary',
    metadata: { name, namespace: more.namespace ?? 'default' },
    spec,
  };
  return status ? { ...object, status: { canaryWeight: 0, failedChecks: 0, ...status } } : object;
}

export function gitSource(name: string, status: NonNullable<GitSource['status']>): GitSource {
  return {
    apiVersion: 'sluice.dev/v1beta1',
    kind: 'GitSource',
    metadata: { name, namespace: 'default' },
    spec: { url: 'https://reader:hunter2@git.example.com/shop.git' } as GitSource['spec'],
    status,
  };
}

export function putSource(world: World, source: GitSource): void {
  const { store } = world.server;
  const live =
    store.get<GitSource>(SluiceResources.GitSource, 'default', source.metadata.name) ??
    store.create<GitSource>(SluiceResources.GitSource, source);
  store.update<GitSource>(SluiceResources.GitSource, { ...live, status: source.status }, { subresource: 'status' });
}

export const COMMIT_1 = '1111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
export const COMMIT_2 = '2222222bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb';
export const COMMIT_3 = '3333333ccccccccccccccccccccccccccccccccc';

const stable = {
  revision: 'a1stable00',
  slot: 'blue' as const,
  commit: COMMIT_1,
  author: 'Ada',
  subject: 'Reviews v1',
  source: 'default/shop',
  replicas: 2,
  readyReplicas: 2,
  endpoints: 2,
};

/** Nothing is being released. */
export const idle: Partial<CanaryStatus> = {
  phase: 'Initialized',
  adoptedAt: at(-7200),
  stable,
  knownGood: ['a1stable00'],
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Serving',
      message: 'revision a1stable00 serves from slot blue',
      lastTransitionTime: at(-7200),
    },
    {
      type: 'Progressing',
      status: 'False',
      reason: 'Idle',
      message: 'revision a1stable00 serves; no release is under way',
      lastTransitionTime: at(-7200),
    },
    {
      type: 'Stalled',
      status: 'False',
      reason: 'Configured',
      message: 'nothing that a person must fix',
      lastTransitionTime: at(-7200),
    },
  ],
};

/** Step 2 of 3 of the release of revision a2canary00. */
export const running: Partial<CanaryStatus> = {
  ...idle,
  phase: 'Progressing',
  canaryWeight: 25,
  failedChecks: 1,
  canary: {
    revision: 'a2canary00',
    slot: 'green',
    commit: COMMIT_2,
    commits: [COMMIT_3],
    author: 'Grace',
    subject: 'Red stars',
    source: 'default/shop',
    replicas: 2,
    readyReplicas: 1,
    endpoints: 1,
  },
  run: { id: 'a2canary00-1', startedAt: at(-90), firstWeightAt: at(-50), weights: [10, 25] },
  step: { index: 1, of: 3, weight: 25, startedAt: at(-18) },
  nextStepTime: at(12),
  deadline: at(612),
  checks: [
    {
      metric: 'request-success-rate',
      verdict: 'Fail',
      value: 98.2,
      min: 99,
      samples: 412,
      message: 'success rate 98.2 % < 99 % over 412 requests',
      weight: 25,
      at: at(-8),
    },
    {
      metric: 'request-duration',
      verdict: 'Pass',
      value: 31,
      max: 500,
      samples: 412,
      message: 'p99 latency 31 ms <= 500 ms over 412 requests',
      weight: 25,
      at: at(-8),
    },
    {
      metric: 'request-success-rate',
      verdict: 'Pass',
      value: 100,
      min: 99,
      samples: 80,
      message: 'success rate 100 % >= 99 % over 80 requests',
      weight: 10,
      at: at(-38),
    },
  ],
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Serving',
      message: 'revision a1stable00 serves from slot blue',
      lastTransitionTime: at(-7200),
    },
    {
      type: 'Progressing',
      status: 'True',
      reason: 'ChecksFailing',
      message: '1 of 3 checks failed; last: success rate 98.2 % < 99 % over 412 requests',
      lastTransitionTime: at(-90),
    },
    {
      type: 'Stalled',
      status: 'False',
      reason: 'Configured',
      message: 'nothing that a person must fix',
      lastTransitionTime: at(-7200),
    },
  ],
};

/** A status as it is without some of its fields. */
export function without(status: Partial<CanaryStatus>, ...fields: (keyof CanaryStatus)[]): Partial<CanaryStatus> {
  return Object.fromEntries(Object.entries(status).filter(([field]) => !fields.includes(field as keyof CanaryStatus)));
}

/** A closed run. */
export const past = (
  revision: string,
  commit: string,
  result: 'Succeeded' | 'Failed' | 'Superseded' | 'Cancelled',
  seconds: number,
): NonNullable<CanaryStatus['history']>[number] => ({
  run: `${revision}-${Math.abs(seconds)}`,
  revision,
  commit,
  result,
  reason: { Succeeded: 'Promoted', Failed: 'ChecksFailed', Superseded: 'NewRevision', Cancelled: 'BackToStable' }[result],
  message: {
    Succeeded: 'Last checks: success rate 100 %',
    Failed: 'success rate 93.1 % < 99 % over 412 requests',
    Superseded: 'revision a9newer000 took its place',
    Cancelled: 'Git went back to the stable revision',
  }[result],
  weights: [10, 25],
  startedAt: at(seconds - 60),
  endedAt: at(seconds),
});

/** Compare with test/cli/testdata/NAME; UPDATE_GOLDEN=1 writes it instead. */
export function golden(name: string, text: string): void {
  const file = new URL(`./testdata/${name}`, import.meta.url);
  if (process.env['UPDATE_GOLDEN']) writeFileSync(file, text);
  if (!existsSync(file))
    throw new Error(`${file.pathname} does not exist; run the test with UPDATE_GOLDEN=1 and read what it wrote`);
  expect(text).toBe(readFileSync(file, 'utf8'));
}
