import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Canary, CanaryStatus, HistoryEntry, SlotName } from '../../src/api/index.js';
import { FIRST_VERSION, type ReviewsVersion } from '../../src/sandbox/bookinfo.js';
import type { ReceivedMessage } from '../../src/sandbox/receiver.js';
import { CANARY, NAMESPACE, startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.js';
import { ensureParts, startControlPlane, type ControlPlane } from '../real/index.js';
import { ControllerProcess } from './controller-process.js';
import { Recorder, type Split } from './recorder.js';
import { assertWindows, pooled, readRequests, windowsOf, type Window } from './split.js';

/** Pods of reviews in the example. */
export const REPLICAS = 2;
const PATIENCE_MS = 90_000;
const POLL_MS = 50;

/** A message as the webhook receiver gets it. */
export interface Told {
  id: string;
  event: string;
  severity: string;
  text: string;
  revision?: string;
}

export interface WorldOptions extends Partial<Omit<SandboxOptions, 'kubeconfig' | 'envoy' | 'prometheus' | 'startController' | 'keep'>> {
  /** The VirtualService whose weights are recorded; default is the generated one. */
  virtualService?: string;
}

/** A machine that is busy with other things makes answers slow; only a version that is slow by itself must fail. */
const METRICS = [
  { name: 'request-success-rate', thresholdRange: { min: 99 }, minSamples: 10 },
  { name: 'request-duration', thresholdRange: { max: 2_500 } },
];

/** Everything real: control plane, mesh proxy and Prometheus, with Sluice in a process of its own and a record of all that happens. */
export class World {
  /** Every message that its receivers got. */
  readonly messages: ReceivedMessage[] = [];
  /** Every split that was judged. */
  readonly windows: Window[] = [];
  #build = 0;

  private constructor(
    readonly dir: string,
    readonly plane: ControlPlane,
    readonly recorder: Recorder,
    readonly controller: ControllerProcess,
    readonly sandbox: Sandbox,
    readonly pushDelayMs: number,
    messages: ReceivedMessage[],
  ) {
    this.messages = messages;
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const parts = await ensureParts({ need: ['envoy', 'prometheus'] });
    const dir = await mkdtemp(join(tmpdir(), 'sluice-e2e-'));
    const plane = await startControlPlane({ dir: join(dir, 'plane') });
    let controller: ControllerProcess | undefined;
    let recorder: Recorder | undefined;
    const messages: ReceivedMessage[] = [];
    try {
      const sandbox = await startSandbox({
        rps: 100,
        ...options,
        analysis: { metrics: METRICS, ...options.analysis },
        keep: join(dir, 'sandbox'),
        kubeconfig: plane.kubeconfig,
        envoy: parts.envoy,
        prometheus: parts.prometheus,
        onMessage: (message) => messages.push(message),
        onProblem: (problem) => void appendFile(join(dir, 'problems.log'), `${new Date().toISOString()} ${problem}\n`),
        startController: async (needs) => {
          recorder = await Recorder.start(plane.client, options.virtualService);
          return (controller = await ControllerProcess.start(needs));
        },
      });
      if (!controller || !recorder) throw new Error('the sandbox started no controller');
      return new World(dir, plane, recorder, controller, sandbox, options.pushDelayMs ?? 0, messages);
    } catch (error) {
      recorder?.stop();
      await plane.stop();
      throw new Error(`the evidence is in ${dir}`, { cause: error });
    }
  }

  /** `keep` leaves the evidence where it is. */
  async stop(keep = process.env['SLUICE_E2E_KEEP'] !== undefined): Promise<void> {
    this.recorder.stop();
    await this.sandbox.stop();
    await this.plane.stop();
    if (keep) console.log(`evidence: ${this.dir}`);
    else await rm(this.dir, { recursive: true, force: true });
  }

  get canary(): Canary | undefined {
    return this.sandbox.canaries.get(NAMESPACE, CANARY);
  }
  get status(): CanaryStatus {
    const status = this.canary?.status;
    if (!status) throw new Error(`Canary ${CANARY} has no status`);
    return status;
  }
  get progressing(): { reason: string; message: string } | undefined {
    return this.canary?.status?.conditions?.find((item) => item.type === 'Progressing');
  }
  /** The slot that the next release fills. */
  get freeSlot(): SlotName {
    return this.status.stable?.slot === 'green' ? 'blue' : 'green';
  }

  /** Commit a new version; what is not named is as in the first one. Returns the commit's id. */
  async commit(change: Partial<ReviewsVersion> = {}, message = 'Another version of reviews'): Promise<string> {
    this.#build += 1;
    return this.sandbox.repository.release({ ...FIRST_VERSION, version: (this.#build % 3) + 1, build: this.#build, ...change }, message);
  }

  /** Wait until a condition holds; the error says what the Canary last said. */
  async until<T>(what: string, probe: () => T | undefined | false | Promise<T | undefined | false>, patienceMs = PATIENCE_MS): Promise<T> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      if (Date.now() > deadline) {
        const { phase, history } = this.canary?.status ?? {};
        throw new Error(`waited ${patienceMs / 1000} s for ${what}; phase ${phase}, ${JSON.stringify(this.progressing)}, last ${JSON.stringify(history?.[0])}; the evidence is in ${this.dir}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** The record of the commit's release, once it has ended. */
  async ended(commit: string): Promise<HistoryEntry> {
    return this.until(`the end of the release of ${commit}`, () => this.canary?.status?.history?.find((entry) => entry.commit === commit));
  }

  /** Wait until a slot has this weight in the cluster. */
  async weight(slot: SlotName, weight: number, since: number): Promise<Split> {
    return this.until(`weight ${weight} in slot ${slot}`, () => this.recorder.splits(since).find((split) => split[slot] === weight));
  }

  /** The weights that a slot was given since then, in the order of the writes. */
  weightsOf(slot: SlotName, since: number): number[] {
    return this.recorder.changes(since).map((split) => split[slot]);
  }

  /** Asserts that callers got the split that the routes said, at every step since then. Returns how many windows could be judged. */
  async assertSplit(slot: SlotName, since: number, until = Date.now()): Promise<number> {
    const windows = windowsOf(await this.requests(), this.recorder.changes(since), slot, until, this.pushDelayMs);
    this.windows.push(...windows);
    return assertWindows(windows);
  }

  /** Asserts the same of all steps that were judged so far, together. */
  assertPooledSplit(): void {
    assertWindows(pooled(this.windows));
  }

  requests(): ReturnType<typeof readRequests> {
    return readRequests(this.sandbox.dir);
  }

  /** Asserts that no request failed but by the doing of a version under test. */
  assertNothingLost(): void {
    expect(this.sandbox.tally.totals.total).toBeGreaterThan(0);
    expect(this.sandbox.tally.totals.failedOnStable, `failed requests that no version under test answered (evidence: ${this.dir})`).toBe(0);
  }

  /** What the webhook receiver was told of a revision, in order; a repetition with the same id is dropped, as a receiver would. */
  told(revision: string): Told[] {
    const bodies = this.messages.flatMap(({ receiver, body }) => (receiver === 'webhook' ? [body as Told] : []));
    const about = bodies.filter((told) => told.revision === revision);
    return about.filter((told, index) => about.findIndex(({ id }) => id === told.id) === index);
  }

  /** The texts that the chat was told of a revision, in order. */
  chat(revision: string): string[] {
    const texts = this.messages.flatMap(({ receiver, body }) => (receiver === 'slack' ? [(body as { text: string }).text] : []));
    return texts.filter((text) => text.includes(revision));
  }

  /** GET of reviews as a pod of productpage would, with the answer's body. */
  async call(path = '/reviews/0'): Promise<{ status: number; slot?: string; body: Record<string, unknown> }> {
    return new Promise((resolve, reject) => {
      const call = request(new URL(path, this.sandbox.productpageUrl), { headers: { host: CANARY } }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () => {
          const slot = response.headers['x-sluice-slot'];
          resolve({ status: response.statusCode ?? 0, ...(typeof slot === 'string' ? { slot } : {}), body: JSON.parse(text) as Record<string, unknown> });
        });
      });
      call.on('error', reject).end();
    });
  }
}
