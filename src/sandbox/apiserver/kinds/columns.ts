import type { KubeObject } from '../../../kube/types.js';
import { asArray, asObject, asString, at } from '../json.js';
import type { Column } from '../types.js';

type Cell = Column['cell'];

/** Go's `duration.HumanDuration`: two units while the larger one is small, as in kubectl's AGE. @param ms milliseconds */
function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 && days % 365 !== 0 ? `${years}y${days % 365}d` : `${years}y`;
}

export function age(timestamp: unknown, now: number): string {
  if (typeof timestamp !== 'string') return '<unknown>';
  return humanDuration(now - Date.parse(timestamp));
}

export const text = (name: string, cell: Cell, priority = 0): Column => ({ name, type: 'string', cell, priority });
/** A number; the real server declares such columns of built-in kinds as strings. */
export const count = (name: string, cell: Cell, priority = 0): Column => ({ name, type: 'string', cell, priority });

export const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  cell: (object) => asString(at(object, 'metadata', 'name')),
};
export const AGE: Column = text('Age', (object, now) => age(object.metadata.creationTimestamp, now));

/** Columns of kinds that have none of their own. */
export const DEFAULT_COLUMNS: Column[] = [
  NAME,
  { name: 'Created At', type: 'date', cell: (object, now) => age(object.metadata.creationTimestamp, now) },
];

const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
export const num =
  (...path: string[]): Cell =>
  (object) =>
    number(at(object, ...path));
export const str =
  (...path: string[]): Cell =>
  (object) =>
    asString(at(object, ...path));

const names = (items: unknown): string =>
  asArray(items)
    .map((item) => asString(at(item, 'name')))
    .join(',');
const images = (items: unknown): string =>
  asArray(items)
    .map((item) => asString(at(item, 'image')))
    .join(',');

function formatLabels(labels: unknown): string {
  const pairs = Object.entries(asObject(labels)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? '<none>' : pairs.map(([key, value]) => `${key}=${String(value)}`).join(',');
}

export function formatSelector(selector: unknown): string {
  const parts = Object.entries(asObject(at(selector, 'matchLabels')))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${String(value)}`);
  for (const expression of asArray(at(selector, 'matchExpressions'))) {
    const key = String(at(expression, 'key'));
    const values = asArray(at(expression, 'values')).map(String).toSorted().join(',');
    const operator = at(expression, 'operator');
    if (operator === 'Exists') parts.push(key);
    else if (operator === 'DoesNotExist') parts.push(`!${key}`);
    else parts.push(`${key} ${operator === 'In' ? 'in' : 'notin'} (${values})`);
  }
  return parts.length === 0 ? '<none>' : parts.join(',');
}

const CONTAINERS = text('Containers', (object) => names(at(object, 'spec', 'template', 'spec', 'containers')), 1);
const IMAGES = text('Images', (object) => images(at(object, 'spec', 'template', 'spec', 'containers')), 1);
const SELECTOR = text('Selector', (object) => formatSelector(at(object, 'spec', 'selector')), 1);

export const DEPLOYMENT: Column[] = [
  NAME,
  text('Ready', (object) => `${number(at(object, 'status', 'readyReplicas'))}/${number(at(object, 'spec', 'replicas'))}`),
  count('Up-to-date', num('status', 'updatedReplicas')),
  count('Available', num('status', 'availableReplicas')),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
];

export const REPLICA_SET: Column[] = [
  NAME,
  count('Desired', num('spec', 'replicas')),
  count('Current', num('status', 'replicas')),
  count('Ready', num('status', 'readyReplicas')),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
];

export const STATEFUL_SET: Column[] = [
  NAME,
  text('Ready', (object) => `${number(at(object, 'status', 'readyReplicas'))}/${number(at(object, 'spec', 'replicas'))}`),
  AGE,
  CONTAINERS,
  IMAGES,
];

export const DAEMON_SET: Column[] = [
  NAME,
  count('Desired', num('status', 'desiredNumberScheduled')),
  count('Current', num('status', 'currentNumberScheduled')),
  count('Ready', num('status', 'numberReady')),
  count('Up-to-date', num('status', 'updatedNumberScheduled')),
  count('Available', num('status', 'numberAvailable')),
  text('Node Selector', (object) => formatLabels(at(object, 'spec', 'template', 'spec', 'nodeSelector'))),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
];

/** The STATUS of a pod: the phase, unless a container or the deletion says more. */
function podStatus(pod: KubeObject): string {
  let reason = asString(at(pod, 'status', 'reason')) || asString(at(pod, 'status', 'phase'));
  let hasRunning = false;
  for (const status of asArray(at(pod, 'status', 'containerStatuses')).toReversed()) {
    const waiting = asString(at(status, 'state', 'waiting', 'reason'));
    const terminated = at(status, 'state', 'terminated');
    if (waiting !== '') reason = waiting;
    else if (terminated !== undefined)
      reason = asString(at(terminated, 'reason')) || `ExitCode:${number(at(terminated, 'exitCode'))}`;
    else if (at(status, 'ready') === true && at(status, 'state', 'running') !== undefined) hasRunning = true;
  }
  if (reason === 'Completed' && hasRunning) reason = isReady(pod) ? 'Running' : 'NotReady';
  if (pod.metadata.deletionTimestamp !== undefined)
    return asString(at(pod, 'status', 'reason')) === 'NodeLost' ? 'Unknown' : 'Terminating';
  return reason;
}

const isReady = (pod: KubeObject): boolean =>
  asArray(at(pod, 'status', 'conditions')).some(
    (condition) => at(condition, 'type') === 'Ready' && at(condition, 'status') === 'True',
  );

function restarts(pod: KubeObject, now: number): string {
  const statuses = asArray(at(pod, 'status', 'containerStatuses'));
  const total = statuses.reduce<number>((sum, status) => sum + number(at(status, 'restartCount')), 0);
  const finished = statuses
    .map((status) => asString(at(status, 'lastState', 'terminated', 'finishedAt')))
    .filter((time) => time !== '');
  const latest = finished.toSorted().at(-1);
  return total === 0 || latest === undefined ? String(total) : `${total} (${age(latest, now)} ago)`;
}

const orNone = (value: string): string => (value === '' ? '<none>' : value);

export const POD: Column[] = [
  NAME,
  text('Ready', (pod) => {
    const ready = asArray(at(pod, 'status', 'containerStatuses')).filter((status) => at(status, 'ready') === true).length;
    return `${ready}/${asArray(at(pod, 'spec', 'containers')).length}`;
  }),
  text('Status', podStatus),
  text('Restarts', restarts),
  AGE,
  text('IP', (pod) => orNone(asString(at(pod, 'status', 'podIP'))), 1),
  text('Node', (pod) => orNone(asString(at(pod, 'spec', 'nodeName'))), 1),
  text('Nominated Node', (pod) => orNone(asString(at(pod, 'status', 'nominatedNodeName'))), 1),
  text(
    'Readiness Gates',
    (pod) => {
      const gates = asArray(at(pod, 'spec', 'readinessGates')).map((gate) => at(gate, 'conditionType'));
      const conditions = asArray(at(pod, 'status', 'conditions'));
      const met = gates.filter((gate) =>
        conditions.some((item) => at(item, 'type') === gate && at(item, 'status') === 'True'),
      ).length;
      return gates.length === 0 ? '<none>' : `${met}/${gates.length}`;
    },
    1,
  ),
];

export const SERVICE: Column[] = [
  NAME,
  text('Type', str('spec', 'type')),
  text('Cluster-IP', (service) => orNone(asString(at(service, 'spec', 'clusterIP')))),
  text('External-IP', (service) => {
    if (at(service, 'spec', 'type') === 'ExternalName') return asString(at(service, 'spec', 'externalName'));
    const ingress = asArray(at(service, 'status', 'loadBalancer', 'ingress')).map(
      (item) => asString(at(item, 'ip')) || asString(at(item, 'hostname')),
    );
    const addresses = [...ingress, ...asArray(at(service, 'spec', 'externalIPs')).map(String)];
    if (addresses.length > 0) return addresses.join(',');
    return at(service, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : '<none>';
  }),
  text('Port(s)', (service) => {
    const ports = asArray(at(service, 'spec', 'ports')).map((port) => {
      const node = number(at(port, 'nodePort'));
      return `${number(at(port, 'port'))}${node === 0 ? '' : `:${node}`}/${asString(at(port, 'protocol'))}`;
    });
    return orNone(ports.join(','));
  }),
  AGE,
  text('Selector', (service) => formatLabels(at(service, 'spec', 'selector')), 1),
];

export const NODE: Column[] = [
  NAME,
  text('Status', (node) => {
    const ready = asArray(at(node, 'status', 'conditions')).find((condition) => at(condition, 'type') === 'Ready');
    const status = ready === undefined ? 'Unknown' : at(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
    return at(node, 'spec', 'unschedulable') === true ? `${status},SchedulingDisabled` : status;
  }),
  text('Roles', (node) => {
    const prefix = 'node-role.kubernetes.io/';
    const roles = Object.keys(node.metadata.labels ?? {}).filter((key) => key.startsWith(prefix));
    return orNone(
      roles
        .map((key) => key.slice(prefix.length))
        .toSorted()
        .join(','),
    );
  }),
  AGE,
  text('Version', str('status', 'nodeInfo', 'kubeletVersion')),
  ...(['InternalIP', 'ExternalIP'] as const).map((type) =>
    text(
      type === 'InternalIP' ? 'Internal-IP' : 'External-IP',
      (node) =>
        orNone(
          asString(
            at(
              asArray(at(node, 'status', 'addresses')).find((address) => at(address, 'type') === type),
              'address',
            ),
          ),
        ),
      1,
    ),
  ),
  text('OS-Image', (node) => asString(at(node, 'status', 'nodeInfo', 'osImage')) || '<unknown>', 1),
  text('Kernel-Version', (node) => asString(at(node, 'status', 'nodeInfo', 'kernelVersion')) || '<unknown>', 1),
  text('Container-Runtime', (node) => asString(at(node, 'status', 'nodeInfo', 'containerRuntimeVersion')) || '<unknown>', 1),
];

function lastSeen(event: KubeObject, now: number): string {
  const times = ['lastTimestamp', 'firstTimestamp', 'eventTime'].map((key) => asString(at(event, key)));
  const series = asString(at(event, 'series', 'lastObservedTime'));
  const total = number(at(event, 'series', 'count')) || number(at(event, 'count'));
  const [last = '', first = '', time = ''] = times;
  const latest = series || last || time || first;
  const seen = age(latest === '' ? undefined : latest, now);
  const since = first || time;
  return total > 1 && since !== '' ? `${seen} (x${total} over ${age(since, now)})` : seen;
}

export const EVENT: Column[] = [
  text('Last Seen', lastSeen),
  text('Type', str('type')),
  text('Reason', str('reason')),
  text('Object', (event) => {
    const kind = asString(at(event, 'involvedObject', 'kind')).toLowerCase();
    return `${kind}/${asString(at(event, 'involvedObject', 'name'))}`;
  }),
  text('Subobject', str('involvedObject', 'fieldPath'), 1),
  text('Source', (event) => asString(at(event, 'source', 'component')) || asString(at(event, 'reportingComponent')), 1),
  text('Message', (event) => asString(at(event, 'message')).trim()),
  text('First Seen', (event, now) => age(at(event, 'firstTimestamp') ?? at(event, 'eventTime') ?? undefined, now), 1),
  count('Count', (event) => number(at(event, 'series', 'count')) || number(at(event, 'count')) || 1, 1),
  text('Name', (event) => event.metadata.name, 1),
];
