/** The VirtualService that Sluice makes when the Canary names none. */
import { isDeepStrictEqual } from 'node:util';
import { durationMs, type Canary } from '../../api/index.js';
import type { Problem, RouteExtras, RoutePlan, Weights } from '../../engine/ports.js';
import { readdress } from './addresses.js';
import { isHostOf, sameHost, type Identity } from './hosts.js';
import { faultSpec, withExtras, type SlotFault } from './insertions.js';
import { namesOf, withEntry, writeMemo, type MemoEntry } from './memo.js';
import { readVirtualService, type Live } from './schema.js';
import { generatedObject, isGeneratedFor, title, write, type IstioApiVersion } from './writes.js';

const MESH = 'mesh';
const ROUTE_FIELDS = ['match', 'rewrite', 'timeout', 'retries', 'headers', 'corsPolicy'] as const;

/** `spec` of the generated VirtualService. */
function desiredSpec(canary: Canary, id: Identity, weights: Weights): Record<string, unknown> {
  const { service } = canary.spec;
  const hosts = service.hosts ?? [];
  const listed = hosts.some((host) => host === '*' || isHostOf(host, id.service, id.namespace));
  const gateways = service.gateways?.length ? service.gateways : [MESH];
  // A sidecar takes the port of the request; a gateway's port is another one than the Service's, so it must be told.
  const port = gateways.some((gateway) => gateway !== MESH) ? { port: { number: service.port } } : {};
  const settings = Object.fromEntries(
    ROUTE_FIELDS.flatMap((field) => (service[field] === undefined ? [] : [[field, service[field]]])),
  );
  const route = (['blue', 'green'] as const).map((slot) => ({
    destination: { ...readdress({ host: id.service }, '', slot, id), ...port },
    weight: weights[slot],
  }));
  const common = { hosts: listed ? hosts : [...hosts, id.service], gateways };
  if (service.appProtocol?.toLowerCase() !== 'tcp') return { ...common, http: [{ ...settings, route }] };
  return { ...common, tcp: [{ match: [{ port: service.port }], route }] };
}

/** Another VirtualService that Istio would prefer to a new one: it is older, and has a host and a gateway in common. */
function findRival(all: Live[], spec: ReturnType<typeof readVirtualService>, id: Identity): Live | undefined {
  return all.find(({ raw, meta }) => {
    const other = readVirtualService(raw);
    if (meta.namespace !== id.namespace || !other.http?.length) return false;
    const gateways = other.gateways?.length ? other.gateways : [MESH];
    if (!gateways.some((gateway) => spec.gateways?.includes(gateway))) return false;
    return (other.hosts ?? []).some((host) => spec.hosts?.some((mine) => sameHost(host, mine, id.namespace)));
  });
}

function problemsOf(canary: Canary, all: Live[], live: Live | undefined, spec: Record<string, unknown>, id: Identity): Problem[] {
  const problems: Problem[] = [];
  const name = title('VirtualService', id.namespace, id.service);
  const { timeout } = canary.spec.service;
  if (timeout !== undefined && durationMs(timeout) < 1) {
    problems.push({
      reason: 'InvalidSpec',
      message: `Canary ${id.namespace}/${canary.metadata.name}: spec.service.timeout is ${timeout}, and Istio takes 1ms or more; leave it out for no timeout.`,
    });
  }
  if (live && !isGeneratedFor(live, canary.metadata.name)) {
    problems.push({
      reason: 'NameTaken',
      message: `${name} exists and does not belong to Canary ${canary.metadata.name}. To use it, set service.virtualService.name of the Canary to ${id.service}; otherwise rename it.`,
    });
    return problems;
  }
  const rival = live ? undefined : findRival(all, readVirtualService({ spec }), id);
  if (rival) {
    problems.push({
      reason: 'InvalidRoute',
      message: `${title('VirtualService', id.namespace, rival.meta.name)} already routes a host of Canary ${canary.metadata.name} on the same gateway, and Istio would ignore a second one. Set service.virtualService.name of the Canary to ${rival.meta.name}, or take the host out of it.`,
    });
  }
  return problems;
}

interface Wanted {
  weights: Weights;
  extras?: RouteExtras;
}

/** The write that brings the generated VirtualService to `weights` and what a step adds. */
export function planGenerated(canary: Canary, all: Live[], id: Identity, { weights, extras }: Wanted, apiVersion: IstioApiVersion): RoutePlan {
  const live = all.find(({ meta }) => meta.namespace === id.namespace && meta.name === id.service);
  const { name } = canary.metadata;
  const plain = desiredSpec(canary, id, weights);
  const problems = problemsOf(canary, all, live, plain, id);
  const why = [`weights ${weights.blue}/${weights.green}`, ...Object.keys(extras ?? {}).filter((key) => key !== 'slot')].join(', ');
  const at = { name: id.service, namespace: id.namespace, canary: name };
  const base = live?.raw ?? generatedObject('VirtualService', apiVersion, at, plain);
  const subject = { canary: name, id, only: undefined, title: title('VirtualService', id.namespace, id.service) };
  const laid = withExtras({ ...base, spec: plain }, subject, weights, extras);
  const entry: MemoEntry | undefined = extras && { ...namesOf(id, extras), weights, routes: [], extras };
  const object = writeMemo(laid.object, withEntry({ v: 1, canaries: {} }, name, entry));
  problems.push(...laid.problems);
  if (!live) return { problems, writes: [write('create', 'VirtualService', object, why)] };
  return { problems, writes: isDeepStrictEqual(live.raw, object) ? [] : [write('update', 'VirtualService', object, why)] };
}

/** The write that makes a VirtualService for the fault in requests to a host that has none; `why` of it names the fault. */
export function planGeneratedFault(canary: string, all: Live[], id: Identity, fault: SlotFault, apiVersion: IstioApiVersion): { keep?: Live; plan: RoutePlan } {
  const name = faultName(canary);
  const live = all.find(({ meta }) => meta.namespace === id.namespace && meta.name === name);
  const spec = faultSpec(canary, fault);
  const why = `fault in requests of ${canary}`;
  if (!live) return { plan: { problems: [], writes: [write('create', 'VirtualService', generatedObject('VirtualService', apiVersion, { name, namespace: id.namespace, canary }, spec), why)] } };
  if (!isGeneratedFor(live, canary)) {
    const message = `${title('VirtualService', id.namespace, name)} exists and does not belong to Canary ${canary}, which needs that name for analysis.steps[].fault; rename it.`;
    return { plan: { problems: [{ reason: 'NameTaken', message }], writes: [] } };
  }
  return { keep: live, plan: { problems: [], writes: isDeepStrictEqual(live.raw['spec'], spec) ? [] : [write('update', 'VirtualService', { ...live.raw, spec }, why)] } };
}

/** Name of the VirtualService for a fault in requests to a host that has none. */
const faultName = (canary: string): string => `${canary}-fault`;
