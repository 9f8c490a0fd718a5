/** The VirtualService that Sluice makes when the Canary names none. */
import { isDeepStrictEqual } from 'node:util';
import { durationMs, type Canary } from '../../api/index.js';
import type { ObjectWrite, Problem, RoutePlan, Weights } from '../../engine/ports.js';
import { isHostOf, sameHost, type Identity } from './hosts.js';
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
    destination: { host: id.slots[slot], ...port },
    weight: weights[slot],
  }));
  return { hosts: listed ? hosts : [...hosts, id.service], gateways, http: [{ ...settings, route }] };
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

/** The write that brings the generated VirtualService to `weights`. */
export function planGenerated(
  canary: Canary,
  all: Live[],
  id: Identity,
  weights: Weights,
  apiVersion: IstioApiVersion,
): RoutePlan {
  const live = all.find(({ meta }) => meta.namespace === id.namespace && meta.name === id.service);
  const spec = desiredSpec(canary, id, weights);
  const problems = problemsOf(canary, all, live, spec, id);
  const why = `weights ${weights.blue}/${weights.green}`;
  if (!live) {
    const at = { name: id.service, namespace: id.namespace, canary: canary.metadata.name };
    return {
      problems,
      writes: [write('create', 'VirtualService', generatedObject('VirtualService', apiVersion, at, spec), why)],
    };
  }
  const writes: ObjectWrite[] = isDeepStrictEqual(live.raw.spec, spec)
    ? []
    : [write('update', 'VirtualService', { ...live.raw, spec }, why)];
  return { problems, writes };
}
