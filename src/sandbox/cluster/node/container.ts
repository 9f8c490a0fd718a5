import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import { timestamp } from '../clock.js';
import type { Container, ContainerState, ContainerStatus, Pod, Probe } from '../types.js';
import { MissingConfig } from './environment.js';
import type { Exit, Launcher, ProcessSpec, RunningProcess } from './launcher.js';
import { LogBuffer } from './logs.js';
import type { Prober } from './probes.js';
import { checkOf, runProbe } from './probes.js';
import type { Program } from './programs.js';

/** Back-off between restarts, as the kubelet's: the first restart at once, then 10 s doubling to 5 min. */
const FIRST_BACKOFF_MS = 10_000;
const LONGEST_BACKOFF_MS = 300_000;
/** A container that ran this long has recovered. */
const RECOVERED_AFTER_MS = 600_000;
/** How long a container whose configuration is missing waits before it looks again (a change wakes it sooner). */
const CONFIG_RETRY_MS = 10_000;

export interface ContainerDeps {
  pod: Pod;
  spec: Container;
  program: Program | undefined;
  clock: Clock;
  launcher: Launcher;
  prober: Prober;
  /** Local ports by containerPort, checked to be free before each start. */
  ports: () => Promise<Map<number, number>>;
  /** @throws MissingConfig while something that the container refers to does not exist. */
  environment: (ports: Map<number, number>) => Promise<Pick<ProcessSpec, 'env' | 'cwd'>>;
  onChange: () => void;
  onLog: (line: string) => void;
  onEvent: (type: 'Normal' | 'Warning', reason: string, message: string) => void;
  /** How often the container was restarted before this node took it over. */
  restartCount: number;
}

/** One container of a pod: starts its program, restarts it, probes it and says how it is. */
export class ContainerRunner {
  readonly log = new LogBuffer();
  private state: ContainerState = { waiting: { reason: 'ContainerCreating' } };
  private lastState: ContainerState = {};
  private started = false;
  private ready = false;
  private restartCount: number;
  private backoffMs = 0;
  private process: RunningProcess | undefined;
  private containerID: string | undefined;
  private stopping = false;
  private starting = false;
  private cancelTimer: () => void = () => undefined;
  private stopProbes: (() => void)[] = [];

  constructor(private readonly deps: ContainerDeps) {
    this.restartCount = deps.restartCount;
  }

  status(): ContainerStatus {
    const { name, image } = this.deps.spec;
    return {
      name,
      state: this.state,
      lastState: this.lastState,
      ready: this.ready,
      started: this.started,
      restartCount: this.restartCount,
      image,
      imageID: this.deps.program ? imageID(image) : '',
      ...(this.containerID ? { containerID: this.containerID } : {}),
    };
  }

  /** Starts the program, or says why it waits. */
  async start(): Promise<void> {
    if (this.stopping || this.starting || this.process) return;
    const { program, spec } = this.deps;
    if (!program) {
      const failure = `failed to pull and unpack image "${spec.image}": failed to resolve reference "${spec.image}": not found`;
      const message = `Back-off pulling image "${spec.image}": ErrImagePull: rpc error: code = NotFound desc = ${failure}`;
      this.deps.onEvent('Warning', 'Failed', `Failed to pull image "${spec.image}": ${failure}`);
      return this.change({ waiting: { reason: 'ImagePullBackOff', message } });
    }
    this.starting = true;
    try {
      await this.launch(program);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const reason = error instanceof MissingConfig ? 'CreateContainerConfigError' : 'CreateContainerError';
      this.deps.onEvent('Warning', 'Failed', `Error: ${message}`);
      this.change({ waiting: { reason, message } });
      this.later(CONFIG_RETRY_MS);
    } finally {
      this.starting = false;
    }
  }

  /** Something that the container refers to has changed: one that waits for it looks again. */
  async configChanged(): Promise<void> {
    if (this.state.waiting?.reason !== 'CreateContainerConfigError') return;
    this.cancelTimer();
    await this.start();
  }

  /** Says that the container waits for what the whole pod needs first. */
  hold(message: string): void {
    this.change({ waiting: { reason: 'ContainerCreating', message } });
  }

  /** Ends the program for good: `preStop`, SIGTERM, and SIGKILL once `graceMs` are over. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    this.cancelTimer();
    this.endProbes();
    this.ready = false;
    if (!this.process) return;
    this.deps.onEvent('Normal', 'Killing', `Stopping container ${this.deps.spec.name}`);
    const preStop = (this.deps.spec.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000;
    await this.end(graceMs, Math.min(preStop, graceMs));
  }

  private async launch(program: Program): Promise<void> {
    const ports = await this.deps.ports();
    const { env, cwd } = await this.deps.environment(ports);
    if (this.stopping) return;
    const running = this.deps.launcher.launch({
      command: program.command ?? process.execPath,
      args: [...program.args, ...(this.deps.spec.args ?? [])],
      env: { ...program.env, ...env },
      cwd,
      onLine: (line) => {
        this.log.add(line);
        this.deps.onLog(line);
      },
    });
    this.process = running;
    // The kubelet counts a restart when it happens, not while it is held back.
    if (this.containerID) this.restartCount += 1;
    this.containerID = `sandbox://${randomBytes(32).toString('hex')}`;
    const startedAt = this.deps.clock.now();
    this.started = !this.deps.spec.startupProbe;
    this.deps.onEvent('Normal', 'Started', `Started container ${this.deps.spec.name}`);
    this.change({ running: { startedAt: timestamp(startedAt) } });
    void running.exited.then((exit) => this.exited(running, exit, startedAt));
    this.beginProbes(running, ports);
  }

  private beginProbes(running: RunningProcess, ports: Map<number, number>): void {
    const { startupProbe } = this.deps.spec;
    if (!startupProbe) return this.beginServing(running, ports);
    const stop = this.probe(startupProbe, ports, (passed) => {
      stop();
      if (!passed) return void this.restart(running, 'startup');
      this.started = true;
      this.beginServing(running, ports);
    });
  }

  private beginServing(running: RunningProcess, ports: Map<number, number>): void {
    const { readinessProbe, livenessProbe } = this.deps.spec;
    if (readinessProbe) this.probe(readinessProbe, ports, (passed) => this.setReady(passed));
    else this.setReady(true);
    if (!livenessProbe) return;
    const stop = this.probe(livenessProbe, ports, (passed) => {
      if (passed) return;
      stop();
      void this.restart(running, 'liveness');
    });
  }

  private probe(probe: Probe, ports: Map<number, number>, onVerdict: (passed: boolean) => void): () => void {
    const { spec, prober, clock } = this.deps;
    const stop = runProbe(probe, checkOf(probe, spec, ports, prober), clock, onVerdict);
    this.stopProbes.push(stop);
    return stop;
  }

  private endProbes(): void {
    for (const stop of this.stopProbes) stop();
    this.stopProbes = [];
  }

  private setReady(ready: boolean): void {
    if (this.ready === ready || this.stopping || !this.process) return;
    this.ready = ready;
    if (!ready) this.deps.onEvent('Warning', 'Unhealthy', `Readiness probe of container ${this.deps.spec.name} failed`);
    this.deps.onChange();
  }

  private async restart(running: RunningProcess, kind: string): Promise<void> {
    if (this.process !== running) return;
    this.deps.onEvent('Normal', 'Killing', `Container ${this.deps.spec.name} failed ${kind} probe, will be restarted`);
    this.endProbes();
    this.setReady(false);
    await this.end((this.deps.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000, 0);
  }

  private async end(graceMs: number, preStopMs: number): Promise<void> {
    const running = this.process;
    if (!running) return;
    const { clock } = this.deps;
    // Zero grace is a forced deletion: nothing is asked of the program.
    const cancelTerm = graceMs > 0 ? soon(clock, preStopMs, () => running.signal('SIGTERM')) : () => undefined;
    const cancelKill = soon(clock, graceMs, () => running.signal('SIGKILL'));
    await running.exited;
    cancelTerm();
    cancelKill();
  }

  private exited(running: RunningProcess, exit: Exit, startedAt: number): void {
    if (this.process !== running) return;
    const { clock, pod, spec } = this.deps;
    this.process = undefined;
    this.endProbes();
    this.ready = false;
    this.started = false;
    const finished: ContainerState = {
      terminated: {
        exitCode: exit.code,
        reason: exit.startError ? 'StartError' : exit.code === 0 ? 'Completed' : 'Error',
        startedAt: timestamp(startedAt),
        finishedAt: timestamp(clock.now()),
        containerID: this.containerID,
      },
    };
    if (exit.startError) this.log.add(exit.startError);
    const policy = pod.spec.restartPolicy ?? 'Always';
    const final = this.stopping || policy === 'Never' || (policy === 'OnFailure' && exit.code === 0);
    if (final) return this.change(finished);
    if (clock.now() - startedAt >= RECOVERED_AFTER_MS) this.backoffMs = 0;
    const wait = this.backoffMs;
    this.backoffMs = Math.min(LONGEST_BACKOFF_MS, wait === 0 ? FIRST_BACKOFF_MS : wait * 2);
    this.lastState = finished;
    const where = `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
    const message = `back-off ${describe(wait)} restarting failed container=${spec.name} pod=${where}`;
    if (wait > 0) this.deps.onEvent('Warning', 'BackOff', message);
    this.change(wait === 0 ? finished : { waiting: { reason: 'CrashLoopBackOff', message } });
    this.later(wait);
  }

  private later(ms: number): void {
    this.cancelTimer();
    this.cancelTimer = soon(this.deps.clock, ms, () => void this.start());
  }

  private change(state: ContainerState): void {
    this.state = state;
    this.deps.onChange();
  }
}

function soon(clock: Clock, ms: number, action: () => void): () => void {
  if (ms > 0) return clock.after(ms, action);
  action();
  return () => undefined;
}

/** A duration as Go prints it: `10s`, `1m20s`, `5m0s`. */
function describe(ms: number): string {
  const seconds = ms / 1000;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

const imageID = (image: string): string =>
  `${image.replace(/:[^:/]+$/, '')}@sha256:${createHash('sha256').update(image).digest('hex')}`;
