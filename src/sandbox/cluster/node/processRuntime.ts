import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.js';
import { timestamp } from '../clock.js';
import type { EventSink } from '../events.js';
import type { Container, Pod, PodStatus } from '../types.js';
import type { LocalPorts, PodAddresses } from './addresses.js';
import { isFree } from './addresses.js';
import type { ConfigSource } from './config.js';
import { ContainerRunner } from './container.js';
import { resolveEnv } from './environment.js';
import type { Launcher, ProcessSpec } from './launcher.js';
import { podStatus } from './podStatus.js';
import type { Prober } from './probes.js';
import type { Programs } from './programs.js';
import type { PodRuntime } from './runtime.js';
import { mountVolumes, writeVolumes } from './volumes.js';

/** How long a pod whose volumes cannot be written waits before the next attempt (a change wakes it sooner). */
const VOLUME_RETRY_MS = 10_000;

export interface ProcessRuntimeDeps {
  clock: Clock;
  launcher: Launcher;
  prober: Prober;
  programs: Programs;
  addresses: PodAddresses;
  localPorts: LocalPorts;
  source: ConfigSource;
  hostIP: string;
  /** Where volumes are written, one directory per pod. */
  directory: string;
  /** Environment that every program gets beneath its own, such as MESH_URL. */
  baseEnv: (pod: Pod) => Promise<Record<string, string>>;
  onLog: (pod: Pod, container: string, line: string) => void;
  events: EventSink;
}

/** A pod whose containers run as local processes. */
export class ProcessRuntime implements PodRuntime {
  readonly podIP: string;
  private readonly containers: ContainerRunner[];
  private readonly startTime: string;
  private readonly directory: string;
  private readonly byContainerPort = new Map<number, number>();
  private mounted = false;
  private preparing: Promise<void> | undefined;
  private stopping = false;
  private cancelRetry: () => void = () => undefined;

  constructor(
    private readonly pod: Pod,
    private readonly deps: ProcessRuntimeDeps,
    private readonly onChange: () => void,
  ) {
    this.podIP = deps.addresses.allocate();
    this.startTime = timestamp(deps.clock.now());
    this.directory = join(deps.directory, pod.metadata.uid ?? `${pod.metadata.namespace}-${pod.metadata.name}`);
    this.containers = pod.spec.containers.map((spec) => this.runner(spec));
  }

  begin(): void {
    this.prepare();
  }

  status(pod: Pod): PodStatus {
    const containers = this.containers.map((container) => container.status());
    const { startTime, podIP, stopping } = this;
    return podStatus(pod, { containers, startTime, podIP, hostIP: this.deps.hostIP, stopping }, this.deps.clock);
  }

  ports(): string | undefined {
    if (this.byContainerPort.size === 0) return undefined;
    return JSON.stringify(Object.fromEntries([...this.byContainerPort].map(([port, local]) => [port, `127.0.0.1:${local}`])));
  }

  configChanged(): void {
    this.prepare();
    for (const container of this.containers) void container.configChanged();
  }

  logs(container?: string): string[] {
    const index = container === undefined ? 0 : this.pod.spec.containers.findIndex(({ name }) => name === container);
    return this.containers[index]?.log.lines() ?? [];
  }

  async stop(graceSeconds: number): Promise<void> {
    this.stopping = true;
    this.cancelRetry();
    this.onChange();
    await Promise.all(this.containers.map((container) => container.stop(graceSeconds * 1000)));
    await this.preparing;
    for (const port of this.byContainerPort.values()) this.deps.localPorts.release(port);
    this.deps.addresses.release(this.podIP);
    // Whatever stays is removed with the node's directory; a pod must not fail to end because of it.
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }

  private runner(spec: Container): ContainerRunner {
    const { clock, launcher, prober, programs, onLog } = this.deps;
    const before = this.pod.status?.containerStatuses?.find(({ name }) => name === spec.name);
    return new ContainerRunner({
      pod: this.pod,
      spec,
      program: programs(spec.image),
      clock,
      launcher,
      prober,
      ports: () => this.freePorts(),
      environment: (ports) => this.environment(spec, ports),
      onChange: this.onChange,
      onLog: (line) => onLog(this.pod, spec.name, line),
      onEvent: (type, reason, message) => this.deps.events.event(this.pod, type, reason, message),
      restartCount: before?.containerID ? before.restartCount + 1 : 0,
    });
  }

  /** Writes the volumes and, the first time that they are complete, starts the containers. One attempt at a time. */
  private prepare(): void {
    const next = (this.preparing ?? Promise.resolve()).then(() => this.mount());
    this.preparing = next;
  }

  private async mount(): Promise<void> {
    if (this.stopping) return;
    this.cancelRetry();
    try {
      await mkdir(this.directory, { recursive: true });
      await writeVolumes(this.pod, this.directory, this.deps.source);
    } catch (error) {
      this.cancelRetry = this.deps.clock.after(VOLUME_RETRY_MS, () => this.prepare());
      const message = error instanceof Error ? error.message : String(error);
      if (!this.mounted) for (const container of this.containers) container.hold(message);
      return;
    }
    if (this.mounted) return;
    this.mounted = true;
    for (const container of this.containers) await container.start();
  }

  /** The pod's local ports. One that something else took while the program was down is replaced. */
  private async freePorts(): Promise<Map<number, number>> {
    const declared = this.pod.spec.containers.flatMap((container) => container.ports ?? []);
    for (const { containerPort } of declared) {
      const local = this.byContainerPort.get(containerPort);
      if (local !== undefined && (this.isServing() || (await isFree(local)))) continue;
      if (local !== undefined) this.deps.localPorts.release(local);
      this.byContainerPort.set(containerPort, await this.deps.localPorts.allocate());
    }
    return this.byContainerPort;
  }

  /** While another container of the pod runs, its ports are taken because it listens on them. */
  private isServing(): boolean {
    return this.containers.some((container) => container.status().state.running);
  }

  private async environment(spec: Container, ports: Map<number, number>): Promise<Pick<ProcessSpec, 'env' | 'cwd'>> {
    const { source, hostIP, baseEnv } = this.deps;
    const own = await resolveEnv(spec, { pod: this.pod, podIP: this.podIP, hostIP }, source);
    const mounts = await mountVolumes(spec, this.directory);
    return {
      env: { ...systemEnv(), ...this.identity(), ...(await baseEnv(this.pod)), ...portEnv(spec, ports), ...mounts, ...own },
      cwd: this.directory,
    };
  }

  private identity(): Record<string, string> {
    const { name, namespace = '' } = this.pod.metadata;
    return { HOSTNAME: name, POD_NAME: name, POD_NAMESPACE: namespace, SLUICE_LIFELINE: 'stdin' };
  }
}

/** Only what a program needs to run at all: a user's proxies, NODE_OPTIONS and credentials stay outside. */
function systemEnv(): Record<string, string> {
  const names = ['PATH', 'TMPDIR', 'LANG', 'SystemRoot'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])) as [string, string][],
  );
}

function portEnv(spec: Container, ports: Map<number, number>): Record<string, string> {
  const own = (spec.ports ?? []).flatMap(({ containerPort }) => {
    const local = ports.get(containerPort);
    return local === undefined ? [] : [[containerPort, String(local)] as const];
  });
  const env: Record<string, string> = Object.fromEntries(own.map(([port, local]) => [`PORT_${port}`, local]));
  if (own[0]) env['PORT'] = own[0][1];
  return env;
}
