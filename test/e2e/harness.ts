import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Annotations, type Canary, type CanaryStatus, type HistoryEntry, type SlotName } from '../../src/api/index.js';
import { Resources } from '../../src/kube/index.js';
import { FIRST_VERSION, type ReviewsVersion } from '../../src/sandbox/bookinfo.js';
import type { ReceivedMessage } from '../../src/sandbox/receiver.js';
import {
  CANARY,
  NAMESPACE,
  startSandbox,
  type ControllerNeeds,
  type Sandbox,
  type SandboxOptions,
} from '../../src/sandbox/sandbox.js';
import { ensureParts, startControlPlane, type ControlPlane } from '../real/index.js';
import { ControllerProcess } from './controller-process.js';
import { Recorder, type Split } from './recorder.js';
import { assertWindows, pooled, readRequests, windowsOf, type Window } from './split.js';
import { until } from '../until.js';

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

export interface WorldOptions extends Partial<
  Omit<SandboxOptions, 'kubeconfig' | 'envoy' | 'prometheus' | 'startController' | 'keep'>
> {
  /** The VirtualService whose weights are recorded; default is the generated one. */
  virtualService?: string;
  /** Users of the API server besides `admin`, who may do everything too. */
  users?: string[];
  /** How Sluice is started; by default one process without leader election. */
  controller?: (needs: ControllerNeeds, plane: ControlPlane) => Promise<ControllerProcess>;
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
    const { users = [], controller: startController = (needs) => ControllerProcess.start(needs), ...rest } = options;
    const plane = await startControlPlane({
      dir: join(dir, 'plane'),
      users: users.map((name) => ({ name, groups: ['system:masters'] })),
    });
    let controller: ControllerProcess | undefined;
    let recorder: Recorder | undefined;
    const messages: ReceivedMessage[] = [];
    try {
      const sandbox = await startSandbox({
        rps: 100,
        ...rest,
        analysis: { metrics: METRICS, ...options.analysis },
        keep: join(dir, 'sandbox'),
        kubeconfig: plane.kubeconfig,
        envoy: parts.envoy,
        prometheus: parts.prometheus,
        onMessage: (message) => messages.push(message),
        onProblem: (problem) => void appendFile(join(dir, 'problems.log'), `${new Date().toISOString()} ${problem}\n`),
        startController: async (needs) => {
          const { routing } = (options.canary?.['service'] ?? {}) as { routing?: string };
          recorder = await Recorder.start(plane.client, options.virtualService, routing === 'subsets');
          return (controller = await startController(needs, plane));
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
    return this.sandbox.repository.release(
      { ...FIRST_VERSION, version: (this.#build % 3) + 1, build: this.#build, ...change },
      message,
    );
  }

  /** Wait until a condition holds; the error says what the Canary last said. */
  async until<T>(
    what: string,
    probe: () => T | undefined | false | Promise<T | undefined | false>,
    patienceMs = PATIENCE_MS,
  ): Promise<T> {
    const story = (): string => {
      const { phase, history } = this.canary?.status ?? {};
      return `${what}; phase ${phase}, ${JSON.stringify(this.progressing)}, last ${JSON.stringify(history?.[0])}; the evidence is in ${this.dir}`;
    };
    return until(story, probe, patienceMs, POLL_MS);
  }

  /** Wait until the target is as this commit has it. */
  async synced(commit: string): Promise<void> {
    await this.until(
      `commit ${commit} to be applied`,
      async () =>
        (await this.plane.client.get(Resources.Deployment, NAMESPACE, CANARY)).metadata.annotations?.[Annotations.commit] ===
        commit,
    );
  }

  /** The record of the commit's release, once it has ended. */
  async ended(commit: string, patienceMs = PATIENCE_MS): Promise<HistoryEntry> {
    return this.until(
      `the end of the release of ${commit}`,
      () => this.canary?.status?.history?.find((entry) => entry.commit === commit),
      patienceMs,
    );
  }

  /** Wait until no release is under way: one that an earlier test left behind would mix with the next. */
  async idle(): Promise<void> {
    await this.until('the end of what is under way', () => this.canary?.status?.run === undefined);
  }

  /** Wait until a slot has this weight in the cluster. */
  async weight(slot: SlotName, weight: number, since: number): Promise<Split> {
    return this.until(`weight ${weight} in slot ${slot}`, () =>
      this.recorder.splits(since).find((split) => split[slot] === weight),
    );
  }

  /** The weights that a slot was given since then, in the order of the writes. */
  weightsOf(slot: SlotName, since: number): number[] {
    return this.recorder.changes(since).map((split) => split[slot]);
  }

  /** Asserts that callers got the split that the routes said, at every step since then. Returns how many windows could be judged. */
  async assertSplit(slot: SlotName, since: number, until = Date.now()): Promise<number> {
    await this.answered();
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

  /** Wait for the answers to all that callers sent so far: those of a slow version come last, and must be counted like the others. */
  async answered(): Promise<void> {
    const { sent } = this.sandbox.callers.stats();
    await this.until(
      `the answers to the first ${sent} requests`,
      async () => (await this.requests()).filter(({ n }) => n < sent).length === sent,
    );
  }

  /** Asserts that no request failed but by the doing of a version under test. */
  assertNothingLost(): void {
    expect(this.sandbox.tally.totals.total).toBeGreaterThan(0);
    expect(
      this.sandbox.tally.totals.failedOnStable,
      `failed requests that no version under test answered (evidence: ${this.dir})`,
    ).toBe(0);
  }

  /** What the webhook receiver was told of a revision, in order; a repetition with the same id is dropped, as a receiver would. */
  told(revision: string): Told[] {
    const bodies = this.messages.flatMap(({ receiver, body }) => (receiver === 'webhook' ? [body as Told] : []));
    const about = bodies.filter((told) => told.revision === revision);
    return about.filter((told, index) => about.findIndex(({ id }) => id === told.id) === index);
  }

  /** Asserts that its receivers were told exactly this of a revision, each once. The last message may still be under way. */
  async assertTold(revision: string, events: string[]): Promise<void> {
    await this.until(`${events.length} messages about ${revision}`, () => this.told(revision).length >= events.length);
    const severities: Record<string, string> = { Failed: 'error' };
    expect(this.told(revision).map(({ event, severity }) => [event, severity])).toEqual(
      events.map((event) => [event, severities[event] ?? 'info']),
    );
  }

  /** Asserts that no receiver got a message twice. */
  assertNoRepetition(): void {
    const all = this.messages.filter(({ receiver }) => receiver === 'webhook').map(({ body }) => (body as Told).id);
    expect(
      all.filter((id, index) => all.indexOf(id) !== index),
      'messages that came twice',
    ).toEqual([]);
  }

  /** What callers and an auditor could see agrees with the nine truths: endings told once, no request lost, no write that could lose one. */
  async assertTruths(drainMs?: number): Promise<void> {
    await this.assertEndingsToldOnce();
    this.assertNothingLost();
    this.recorder.assertInvariants(REPLICAS, drainMs);
  }

  /** Asserts that every run that ended so far was told of once at its start and once at its end, as it ended. */
  async assertEndingsToldOnce(): Promise<void> {
    // The end of a run is in the status a moment before its message is with the receiver.
    await this.until('messages that are still on their way', () => (this.status.messages ?? []).length === 0);
    for (const { revision, run, result } of this.status.history ?? []) {
      const ofRun = this.told(revision).filter(({ id }) => id.includes(`/${run}/`));
      expect(
        ofRun.map(({ event }) => event),
        `messages about the run of ${revision}`,
      ).toEqual(['Started', result]);
    }
  }

  /** The texts that the chat was told of a revision, in order. */
  chat(revision: string): string[] {
    const texts = this.messages.flatMap(({ receiver, body }) => (receiver === 'slack' ? [(body as { text: string }).text] : []));
    return texts.filter((text) => text.includes(revision));
  }

  /** GET of reviews as a pod of productpage would, with the answer's body. */
  async call(path = '/reviews/0', headers: Record<string, string> = {}): Promise<{ status: number; slot?: string; body: Record<string, unknown> }> {
    return new Promise((resolve, reject) => {
      const call = request(new URL(path, this.sandbox.productpageUrl), { headers: { ...headers, host: CANARY } }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () => {
          const slot = response.headers['x-sluice-slot'];
          resolve({
            status: response.statusCode ?? 0,
            ...(typeof slot === 'string' ? { slot } : {}),
            body: JSON.parse(text) as Record<string, unknown>,
          });
        });
      });
      call.on('error', reject).end();
    });
  }
}
