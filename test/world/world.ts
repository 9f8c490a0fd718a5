import { SluiceResources, type CanarySpec, type SlotName, type Verb } from '../../src/api/index.js';
import type { Measurement } from '../../src/core/evidence.js';
import type { HookAnswer, MeasureRequest, Notification, Windows } from '../../src/engine/ports.js';
import type { KubeObject } from '../../src/kube/types.js';
import { Api, Resources } from './api.js';
import { Auditor, type View } from './auditor.js';
import { DEADLINE_S, type Fault, type MetricsState, type Setting } from './settings.js';
import { Cluster, NAMESPACE } from './cluster.js';
import { callerService, configMap, deployment, destinationRule, Git, virtualService, type Tree } from './git.js';
import { hostOf, Mesh, SERVICE } from './mesh.js';
import { Process } from './process.js';
import { Chance, T0, Timeline } from './time.js';
import { VERSIONS, type Version } from '../versions.js';
import { windowsOf } from './windows.js';

const HOOKS = ['confirm-rollout', 'pre-rollout', 'rollout', 'confirm-traffic-increase', 'confirm-promotion', 'post-rollout'] as const;
const CANARY = 'reviews';
/** More than any schedule can need. */
const MAX_STEPS = 200_000;
const drained = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A cluster, its Git, its mesh and its controllers under one clock and one seed. */
export class World {
  readonly timeline = new Timeline();
  readonly latency: Chance;
  readonly api: Api;
  readonly cluster: Cluster;
  readonly mesh: Mesh;
  readonly git: Git;
  readonly auditor: Auditor;
  readonly processes: Process[] = [];
  readonly log: string[] = [];
  /** Set when a controller may have something to go on with. */
  busy = false;
  broken: Error | undefined;
  metrics: MetricsState = 'up';
  hooksOk = true;
  receiverDownUntil = 0;
  apiDownUntil = 0;
  routeWritesFailUntil = 0;
  watchesStallUntil = 0;
  /** Milliseconds by which wall clocks may have made time seem shorter or longer, all in all. */
  clockError = 0;
  /** When something last kept the controllers from their work. */
  troubleUntil = T0;
  /** When no controller may have been able to write anything. */
  awayUntil = T0;
  faultsInjected = 0;
  /** What the controller saw when it sent the write that is being carried out. */
  view: View | undefined;
  plan = [20, 50];
  /** How each image behaves; a test may change it. */
  readonly versions: Record<string, Version> = structuredClone(VERSIONS);
  readonly #faults: Map<number, Fault>;
  #faultsEnd = false;
  #writes = 0;
  #scales = 0;
  /** The number of pods before somebody asked for fewer. */
  #pods: number | undefined;
  #lastWriteAt = T0;
  #names = 0;
  #steps = 0;
  readonly #watches = new Set<{ plural: string; end: () => void }>();

  constructor(readonly setting: Setting) {
    this.latency = new Chance(setting.seed, 'latency');
    this.#faults = new Map(setting.faults);
    const versions = (image: string): Version => this.versions[image] ?? { startup: 1_000, errors: 0, latency: 20 };
    this.api = new Api(() => this.now);
    this.cluster = new Cluster(this.api, this.timeline, new Chance(setting.seed, 'cluster'), versions);
    this.mesh = new Mesh(this.api, this.cluster, this.timeline, new Chance(setting.seed, 'mesh'), setting.proxyLag, versions, this.subsets, setting.control === true);
    const first: Tree = { image: 'a1', config: '5', replicas: setting.replicas, timeout: '3s' };
    this.git = new Git(this, setting.tool, first);
    this.auditor = new Auditor(this);
    for (const [resource, object] of [
      [Resources.ConfigMap, configMap(first)],
      [Resources.Deployment, deployment(first)],
      [Resources.Service, callerService],
      ...(setting.ownRoutes ? [[Resources.VirtualService, virtualService(first)] as const] : []),
      ...(setting.ownRoutes && this.subsets ? [[Resources.DestinationRule, destinationRule] as const] : []),
    ] as const)
      this.api.create('git', resource, object);
    this.api.create('ada', SluiceResources.AlertProvider, { apiVersion: 'sluice.dev/v1beta1', kind: 'AlertProvider', metadata: { name: 'chat', namespace: NAMESPACE }, spec: { type: 'webhook', address: 'http://chat.example', username: 'sluice', timeout: '10s' } });
  }

  get now(): number {
    return this.timeline.now;
  }
  get election(): boolean {
    return this.setting.election;
  }
  get ownRoutes(): boolean {
    return this.setting.ownRoutes;
  }
  /** What a leader sent just before it was stopped arrives when another one leads (trap K11). Drawn from the seed, as the subsets are. */
  get late(): boolean {
    return this.election && this.setting.seed % 7 === 0;
  }
  get subsets(): boolean {
    return this.setting.subsets === true;
  }
  get canary(): KubeObject | undefined {
    return this.api.find(SluiceResources.Canary, NAMESPACE, CANARY);
  }
  get spec(): CanarySpec | undefined {
    return this.canary?.['spec'] as CanarySpec | undefined;
  }

  /** Let time go by until the controllers have had nothing to write for a while, or for ever when they never stop. */
  async settle(withinMs: number): Promise<void> {
    const end = this.now + withinMs;
    do await this.pass(20_000);
    while (this.now < end && (this.now < this.#lastWriteAt + 70_000 || this.now < this.troubleUntil));
  }

  note(line: string): void {
    this.log.push(`${((this.now - T0) / 1_000).toFixed(3).padStart(9)}  ${line}`);
  }
  fail(truth: string, what: string): void {
    this.broken ??= new Error(`${truth} is broken at ${((this.now - T0) / 1_000).toFixed(3)} s: ${what}\n${this.log.slice(-60).join('\n')}`);
  }

  /** Let time go by. Rejects as soon as one of the truths breaks. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    while (this.timeline.step(end)) {
      if (this.busy) {
        this.busy = false;
        await drained();
      }
      this.auditor.look();
      this.#steps += 1;
      if (this.#steps > MAX_STEPS) this.fail('liveness', 'the world never comes to rest');
      if (this.broken) throw this.broken;
    }
    this.timeline.now = end;
  }
  /** Let time go by until something is so; undefined when it never was. */
  async until(what: () => boolean, withinMs: number): Promise<number | undefined> {
    const end = this.now + withinMs;
    while (this.now < end) {
      if (what()) return this.now;
      await this.pass(100);
    }
    return what() ? this.now : undefined;
  }

  /** The target runs; then somebody creates the Canary, and the controllers start. */
  async begin(more: Record<string, unknown> = {}): Promise<void> {
    await this.pass(4_000);
    this.mesh.unanswered = 0;
    const hooks = this.setting.webhooks ? { webhooks: HOOKS.map((type) => ({ name: type, type, url: 'http://gate.example/', timeout: '10s', retries: 0 })) } : {};
    const virtual = this.ownRoutes ? { virtualService: { name: SERVICE, routes: [SERVICE] } } : {};
    const spec = {
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: SERVICE },
      service: { port: 9080, ...virtual, ...(this.subsets ? { routing: 'subsets' } : {}) },
      progressDeadlineSeconds: DEADLINE_S,
      analysis: {
        interval: '10s',
        threshold: 2,
        ...this.#planned(),
        warmup: '5s',
        // Drawn from the seed, as the subsets are.
        ...(this.setting.seed % 5 === 0 ? { canaryReplicas: 'proportional' } : {}),
        ...(this.#compared ? { evaluate: '5s', verdict: { minSamples: 20, fast: this.setting.seed % 8 === 3 } } : {}),
        metrics: [
          { name: 'request-success-rate', thresholdRange: { min: 99 } },
          { name: 'request-duration', thresholdRange: { max: 500 } },
        ],
        alerts: [{ name: 'all', providerRef: { name: 'chat' } }],
        ...hooks,
      },
      revisions: { drainFor: '10s', warmFor: '20s', settle: '1s' },
      ...more,
    };
    this.api.create('ada', SluiceResources.Canary, { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { name: CANARY, namespace: NAMESPACE }, spec } as unknown as KubeObject as never);
    this.startProcess();
    if (this.election) this.startProcess();
  }

  startProcess(): Process {
    const skew = this.election ? this.latency.between(-400, 400) : 0;
    const process = new Process(this, `sluice-${this.processes.length + 1}`, skew);
    this.clockError += Math.abs(skew);
    this.processes.push(process);
    this.note(`${process.id} starts`);
    process.start();
    return process;
  }
  /** Writes of controllers so far, renewals of the lease left out. */
  get writes(): number {
    return this.#writes;
  }
  /** Who leads, as the Lease says, or the only one there is. */
  get leader(): Process | undefined {
    const living = this.processes.filter((process) => !process.dead);
    if (!this.election) return living.at(-1);
    const lease = this.api.find(Resources.Lease, 'sluice-system', 'sluice-controller');
    const holder = (lease?.['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity;
    return living.find((process) => process.id === holder);
  }

  #away(what: string, forMs: number): void {
    this.#trouble(what, forMs);
    this.awayUntil = Math.max(this.awayUntil, this.now + forMs);
  }
  #trouble(what: string, forMs: number): void {
    this.faultsInjected += 1;
    this.troubleUntil = Math.max(this.troubleUntil, this.now + forMs);
    this.note(`!! ${what}`);
  }
  /** The fault that the schedule has for the next write of a controller. */
  nextFault(process: Process, what: string): Fault | undefined {
    this.#lastWriteAt = this.now;
    const drawn = this.#faultsEnd ? undefined : this.#faults.get(this.#writes);
    const fault = this.late && (drawn || this.#scalesLate(what)) ? 'pauseBefore' : drawn;
    if (fault) this.#trouble(`${fault} at write ${this.#writes} of ${process.id}: ${what}`, 12_000);
    this.#writes += 1;
    return fault;
  }
  /** Taking pods away is what does most harm when it comes late; few schedules would hit it. */
  #scalesLate(what: string): boolean {
    if (what !== 'Deployment/scale' || !this.#faultsEnd || !this.auditor.initialized) return false;
    this.#scales += 1;
    return this.#scales === 1;
  }
  strike(process: Process, fault: Fault): void {
    if (fault === 'killBefore' || fault === 'killAfter') this.kill(process);
    else this.stop(process, this.late ? 40_000 : this.election ? 25_000 : 4_000);
    if (this.late) this.timeline.after(this.latency.between(500, 3_000), () => this.#anotherWish());
  }
  #fewer(): void {
    this.#pods = this.spec?.replicas;
    this.scale(1);
  }
  /** The successor has something else to decide: a late write may not find what it was meant for. */
  #anotherWish(): void {
    if (this.#faultsEnd && this.#pods !== undefined) this.scale(this.#pods);
    else this.git.commit(this.git.commits.at(-2)?.tree ?? this.git.head);
    if (this.#faultsEnd) this.mendHead();
  }
  kill(process: Process): void {
    if (process.dead) return;
    process.kill();
    this.#away(`${process.id} is killed`, 45_000);
    this.timeline.after(this.latency.between(200, 3_000), () => this.startProcess());
  }
  /** SIGSTOP, and SIGCONT later. */
  stop(process: Process, forMs: number): void {
    process.pausedUntil = Math.max(process.pausedUntil, this.now + forMs);
    this.#away(`${process.id} is stopped for ${forMs} ms`, forMs + 45_000);
  }
  jumpClock(process: Process, ms: number): void {
    process.skew += ms;
    this.clockError += Math.abs(ms);
    this.#trouble(`the clock of ${process.id} jumps by ${ms} ms`, 5_000);
  }
  apiDown(forMs: number): void {
    this.apiDownUntil = this.now + forMs;
    for (const watch of Array.from(this.#watches)) watch.end();
    this.#away(`the API server is away for ${forMs} ms`, forMs + 70_000);
  }
  routeWritesFail(forMs: number): void {
    this.routeWritesFailUntil = this.now + forMs;
    this.#trouble(`routing writes fail for ${forMs} ms`, forMs + 20_000);
  }
  watchesStall(forMs: number): void {
    this.watchesStallUntil = this.now + forMs;
    this.#trouble(`watches stall for ${forMs} ms`, forMs + 1_000);
  }
  watchesBreak(forget: boolean): void {
    if (forget) this.api.compact();
    for (const watch of Array.from(this.#watches)) watch.end();
    this.#trouble(`watches break${forget ? ', and the past is forgotten' : ''}`, 40_000);
  }
  watchOpened(_process: Process, plural: string, end: () => void): () => void {
    const watch = { plural, end };
    this.#watches.add(watch);
    return () => this.#watches.delete(watch);
  }
  watchLag(_plural: string): number {
    return this.setting.watchLag > 0 && this.latency.number() < 0.15 ? this.latency.between(1, this.setting.watchLag) : this.latency.between(1, 12);
  }
  metricsAre(state: MetricsState): void {
    this.metrics = state;
    if (state !== 'up') this.#trouble(`metrics are ${state}`, 0);
  }
  receiverDown(forMs: number): void {
    this.receiverDownUntil = this.now + forMs;
    this.#trouble(`the receiver is away for ${forMs} ms`, 0);
  }
  outage(of: SlotName | 'target', pods: number, forMs: number): void {
    this.cluster.outage(of === 'target' ? SERVICE : `${SERVICE}-${of}`, pods, forMs);
    this.auditor.outage(forMs);
    this.#trouble(`${pods} pods of ${of} are not ready for ${forMs} ms`, 0);
  }
  evict(of: SlotName | 'target', pods: number): void {
    this.cluster.evict(of === 'target' ? SERVICE : `${SERVICE}-${of}`, pods);
    this.auditor.outage(0);
    this.#trouble(`${pods} pods of ${of} are evicted`, 0);
  }

  act(verb: Verb, by = 'ada'): string {
    const name = `${verb}-${(this.#names += 1)}`;
    this.api.create(by, SluiceResources.CanaryAction, { apiVersion: 'sluice.dev/v1beta1', kind: 'CanaryAction', metadata: { name, namespace: NAMESPACE }, spec: { canary: CANARY, verb, by } });
    this.auditor.acted(verb);
    return name;
  }
  /** Somebody edits the Canary. */
  edit(patch: Record<string, unknown>): void {
    if (this.canary) this.api.patch('ada', SluiceResources.Canary, NAMESPACE, CANARY, { spec: patch });
  }
  scale(replicas: number): void {
    this.auditor.scaled();
    this.edit({ replicas });
  }
  replan(weights: number[]): void {
    this.plan = weights;
    this.auditor.replanned();
    this.edit({ analysis: this.#planned() });
  }
  /** Canary and stable are compared as well. */
  get #compared(): boolean {
    return this.setting.seed % 4 === 3 || (this.setting.control === true && this.setting.seed % 5 < 2);
  }
  /** A plan of one weight wants no control arm any more; without one, what matches cannot be compared. */
  #planned(): Record<string, unknown> {
    if (!this.setting.control) return { stepWeights: this.plan };
    const match = [{ headers: { 'end-user': { exact: 'jason' } } }];
    const control = this.plan.length > 1;
    return { steps: [...(control || !this.#compared ? [{ weight: 0, match }] : []), ...this.plan.map((weight) => ({ weight }))], control };
  }
  /** Somebody deletes a Service of Sluice's that nobody may miss. */
  removeControl(slot: SlotName): void {
    const name = `${SERVICE}-${slot}-control`;
    if (!this.api.find(Resources.Service, NAMESPACE, name)) return;
    this.auditor.removed();
    this.#trouble(`somebody deletes Service ${name}`, 5_000);
    this.api.delete('bob', Resources.Service, NAMESPACE, name);
  }
  /** Somebody else writes weights. */
  outsider(blue: number): void {
    const live = this.api.find(Resources.VirtualService, NAMESPACE, SERVICE);
    if (!live) return;
    const changed = structuredClone(live) as KubeObject & { spec: { http: { name?: string; route?: { destination: { host: string; subset?: string }; weight?: number }[] }[] } };
    const pair = changed.spec.http.filter(({ name }) => !name?.startsWith('sluice.dev/')).flatMap(({ route }) => route ?? []).filter(({ destination }) => hostOf(destination) !== SERVICE);
    if (pair.length !== 2) return;
    for (const item of pair) item.weight = hostOf(item.destination).endsWith('-blue') ? blue : 100 - blue;
    this.auditor.outsider();
    this.faultsInjected += 1;
    this.note(`!! somebody else sets the weights to ${blue}/${100 - blue}`);
    this.api.update('bob', Resources.VirtualService, changed);
  }
  deleteCanary(): void {
    if (this.canary && !this.canary.metadata.deletionTimestamp) this.api.delete('ada', SluiceResources.Canary, NAMESPACE, CANARY);
  }
  configMissing(missing: boolean): void {
    const live = this.api.find(Resources.ConfigMap, NAMESPACE, 'reviews-config');
    if (missing && live) this.api.delete('bob', Resources.ConfigMap, NAMESPACE, 'reviews-config');
    if (!missing && !live) this.api.create('bob', Resources.ConfigMap, configMap(this.git.head));
    if (missing) this.#trouble('the configuration cannot be read', 0);
  }
  /** Everything that stood in the way is mended; from here on only time passes. */
  heal(): void {
    this.#faultsEnd = true;
    this.metrics = 'up';
    this.hooksOk = true;
    this.receiverDownUntil = 0;
    this.apiDownUntil = 0;
    this.routeWritesFailUntil = 0;
    this.watchesStallUntil = 0;
    this.configMissing(false);
    this.cluster.heal();
    if (this.spec?.suspend) this.edit({ suspend: false });
    if (this.spec?.replicas === 0) this.scale(2);
    this.act('resume');
    this.mendHead();
    // Somebody asks for fewer pods, and at once for more again: the first of the two comes late.
    if (this.late && this.canary && !this.canary.metadata.deletionTimestamp) this.timeline.after(30_000, () => this.#fewer());
  }
  /** A template that can never start keeps no Canary from going: somebody mends it. */
  mendHead(): void {
    if (this.canary?.metadata.deletionTimestamp && this.versions[this.git.head.image]?.startup === undefined) this.git.commit({ image: 'c3' });
  }

  measure(process: Process, request: MeasureRequest): Measurement {
    const measurement = this.#measurement(request, process.skew);
    this.auditor.handed(request.metric, request.service, request.from - process.skew, measurement);
    return measurement;
  }
  #measurement({ metric, service, from, to }: MeasureRequest, skew: number): Measurement {
    const query = `${metric}{${service}}`;
    if (this.metrics === 'down') return { kind: 'Error', query, message: 'connection refused', permanent: false };
    const { requests, success, latency } = this.mesh.evidence(service, from - skew, to - skew);
    if (this.metrics === 'empty' || requests < 1) return { kind: 'NoData', query, message: 'no data' };
    const value = this.metrics === 'nan' ? NaN : metric === 'request-duration' ? latency : success;
    return { kind: 'Value', value, samples: Math.floor(requests), query, from, to };
  }
  windows(request: MeasureRequest, skew: number): Windows {
    const windows = windowsOf(this.mesh, this.metrics, request, { now: this.now, skew });
    this.auditor.compared(windows);
    return windows;
  }
  hook(webhook: { name: string }): HookAnswer {
    if (!this.hooksOk) this.auditor.hookRefused();
    return { ok: this.hooksOk || webhook.name === 'post-rollout', message: this.hooksOk ? '200' : '403' };
  }
  /** False when the receiver refuses. */
  receive(process: Process, notification: Notification): boolean {
    if (this.now < this.receiverDownUntil) return false;
    this.auditor.received(process, notification);
    return true;
  }
}
