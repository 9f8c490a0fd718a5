import type { Clock } from '../clock.js';
import { timestamp } from '../clock.js';
import { conditionOf } from '../pods.js';
import type { Condition, ContainerStatus, Pod, PodStatus } from '../types.js';

/** What a runtime knows of a pod; {@link podStatus} says it the kubelet's way. */
export interface PodFindings {
  containers: ContainerStatus[];
  startTime: string;
  podIP: string;
  hostIP: string;
  /** Set while the pod is being ended: it is unready whatever its containers say. */
  stopping: boolean;
}

/** The whole status of a pod, with the transition times of the conditions that did not change. */
export function podStatus(pod: Pod, findings: PodFindings, clock: Clock): PodStatus {
  const { containers, startTime, podIP, hostIP, stopping } = findings;
  const now = timestamp(clock.now());
  const phase = phaseOf(pod, containers);
  const ended = phase === 'Succeeded' || phase === 'Failed';
  const unready = containers.filter(({ ready }) => stopping || !ready).map(({ name }) => name);
  const containersReady = unready.length === 0 && !ended;
  const why = readyReason(phase, unready);
  const gates = (pod.spec.readinessGates ?? []).filter(
    (gate) => conditionOf(pod.status?.conditions, gate.conditionType)?.status !== 'True',
  );
  const gated = {
    reason: 'ReadinessGatesNotReady',
    message: gates.map((gate) => `the status of pod readiness gate "${gate.conditionType}" is not "True", but False`).join(', '),
  };
  const ready = containersReady && gates.length === 0;
  const ours: Condition[] = [
    truth('PodReadyToStartContainers', true),
    truth('Initialized', true, phase === 'Succeeded' ? { reason: 'PodCompleted' } : {}),
    truth('Ready', ready, containersReady ? gated : why),
    truth('ContainersReady', containersReady, why),
    truth('PodScheduled', true),
  ];
  return {
    phase,
    conditions: withTimes(ours, pod.status?.conditions ?? [], now),
    containerStatuses: containers.map((container) => (stopping ? { ...container, ready: false } : container)),
    startTime,
    podIP,
    podIPs: [{ ip: podIP }],
    hostIP,
    hostIPs: [{ ip: hostIP }],
    qosClass: pod.status?.qosClass ?? qosClass(pod),
  };
}

function truth(type: string, holds: boolean, otherwise: { reason?: string; message?: string } = {}): Condition {
  if (!holds) return { type, status: 'False', ...otherwise };
  return otherwise.reason === 'PodCompleted' ? { type, status: 'True', ...otherwise } : { type, status: 'True' };
}

function readyReason(phase: PodStatus['phase'], unready: string[]): { reason: string; message?: string } {
  if (phase === 'Succeeded') return { reason: 'PodCompleted' };
  if (phase === 'Failed') return { reason: 'PodFailed' };
  return { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
}

/** Conditions of others (readiness gates) stay; ours keep their time while their status stays. */
function withTimes(ours: Condition[], before: Condition[], now: string): Condition[] {
  const types = new Set(ours.map(({ type }) => type));
  const timed = ours.map((condition) => {
    const previous = conditionOf(before, condition.type);
    const kept = previous?.status === condition.status ? previous.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: kept ?? now };
  });
  return [...timed, ...before.filter(({ type }) => !types.has(type))];
}

function phaseOf(pod: Pod, containers: ContainerStatus[]): NonNullable<PodStatus['phase']> {
  const policy = pod.spec.restartPolicy ?? 'Always';
  const finished = containers.map(({ state }) => state.terminated);
  if (policy !== 'Always' && finished.every((state) => state !== undefined)) {
    const failed = finished.some((state) => state.exitCode !== 0);
    if (!failed) return 'Succeeded';
    if (policy === 'Never') return 'Failed';
  }
  const begun = containers.every(({ state, lastState }) => state.running ?? state.terminated ?? lastState.terminated);
  return begun ? 'Running' : 'Pending';
}

/** Guaranteed: every container limits cpu and memory and asks for as much. BestEffort: none asks or limits. */
function qosClass(pod: Pod): string {
  const resources = pod.spec.containers.map((container) => container.resources ?? {});
  if (resources.every(({ requests = {}, limits = {} }) => Object.keys({ ...requests, ...limits }).length === 0))
    return 'BestEffort';
  const guaranteed = resources.every(({ requests = {}, limits = {} }) =>
    ['cpu', 'memory'].every((name) => limits[name] !== undefined && (requests[name] ?? limits[name]) === limits[name]),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
