/** What would make callers miss the slots' subsets, or pass them by, with `service.routing: subsets` (trap I2). */
import type { Problem } from '../../engine/ports.js';
import { slotOf } from './addresses.js';
import { hostSuffix, isHostOf, type Identity } from './hosts.js';
import { mirrorsOf, withoutInsertions } from './insertions.js';
import { placeOf, routeTitle, targetsOf } from './overlay.js';
import type { Placed } from './own.js';
import { PROTOCOLS, readDestination, readDestinationRule, readHttpRoute, readVirtualService, type Live } from './schema.js';
import { title } from './writes.js';

/** Istio's root namespace: its rules count only where neither the caller's namespace nor the Service's has one. */
const ROOT_NAMESPACE = 'istio-system';

export interface Surveyed {
  canary: string;
  id: Identity;
  services: Live[];
  rules: Live[];
  /** The VirtualServices that carry the weights. */
  placed: Placed[];
  /** The rule that has the subsets. */
  rule?: Live | undefined;
}

/** A rule that some callers use instead of the one with the subsets: to them the subsets do not exist, and they get 503. */
function isHiding({ raw, meta }: Live, id: Identity): boolean {
  const { host, workloadSelector, exportTo } = readDestinationRule(raw);
  if (host === undefined) return false;
  const exact = isHostOf(host, id.service, id.namespace, meta.namespace);
  if (meta.namespace === id.namespace) return exact && workloadSelector !== undefined;
  const covers = exact || (host.startsWith('*') && `${id.service}.${id.namespace}.svc.cluster.local`.endsWith(host.slice(1)));
  if (!covers) return false;
  return meta.namespace !== ROOT_NAMESPACE || (exportTo?.length === 1 && exportTo[0] === '.');
}

const hidden = ({ id, rules, canary }: Surveyed): Problem[] =>
  rules
    .filter((live) => isHiding(live, id))
    .map((live) => {
      const { host } = readDestinationRule(live.raw);
      const who = live.meta.namespace === id.namespace ? 'the workloads that it selects' : `callers in namespace ${live.meta.namespace}`;
      const message = `${title('DestinationRule', live.meta.namespace, live.meta.name)} on host ${host} hides the subsets of the slots from ${who}, whose requests to ${id.service} would fail (503). Move its policy to a rule on ${id.service} in namespace ${id.namespace} and delete it, or leave service.routing: subsets out of Canary ${canary} (delete and create it).`;
      return { reason: 'SubsetsHidden', message };
    });

/** Routes that send to the Service and that nobody divides: their requests, or copies of them, reach the pods of both slots. */
function strays({ canary, id, placed, services }: Surveyed): Problem[] {
  return services.flatMap((one) => {
    const bare = withoutInsertions(one.raw, canary);
    const ours = placed.find(({ live }) => live === one);
    const divided = new Set(ours ? targetsOf(bare, id, ours.only).map(placeOf) : []);
    const isStray = (item: unknown): boolean => {
      const read = readDestination(item);
      const here = read && hostSuffix(read.destination.host, id.service, id.namespace, one.meta.namespace) !== undefined;
      return here === true && slotOf(read.destination, id) === undefined;
    };
    const spec = readVirtualService(bare);
    return PROTOCOLS.flatMap((protocol) =>
      (spec[protocol] ?? []).flatMap((element, index) => {
        const { name, route = [] } = readHttpRoute(element);
        const copies = mirrorsOf(element).map((destination) => ({ destination }));
        const free = [...(divided.has(placeOf({ protocol, index })) ? [] : route), ...copies];
        return free.some(isStray) ? [strayProblem(one, routeTitle({ ...(protocol === 'http' && name !== undefined ? { name } : {}), index, protocol }), { canary, id })] : [];
      }),
    );
  });
}

function strayProblem({ meta }: Live, where: string, { canary, id }: { canary: string; id: Identity }): Problem {
  const message = `${title('VirtualService', meta.namespace, meta.name)}: ${where} sends to ${id.service}, and not by a slot, so with service.routing: subsets its requests would reach both versions. Let service.virtualServices of Canary ${canary} name this VirtualService and all its routes to ${id.service}, take the route out, or leave service.routing out (delete and create the Canary).`;
  return { reason: 'InvalidRoute', message };
}

const everywhere = (exportTo: string[] | undefined): boolean => !exportTo?.length || exportTo.includes('*');

/** Callers that see the routes and not the rule would be sent to subsets that they do not know. */
function narrow({ id, canary, placed, rule }: Surveyed): Problem[] {
  const { exportTo: seen } = rule ? readDestinationRule(rule.raw) : {};
  // Without any object, one is generated that everybody sees.
  const routed = placed.length > 0 ? placed.map(({ live }) => readVirtualService(live.raw).exportTo) : [undefined];
  const namespace = (name: string): string => (name === '.' ? id.namespace : name);
  const known = new Set(seen?.map(namespace));
  if (!rule || everywhere(seen) || routed.every((seers) => !everywhere(seers) && seers?.every((name) => known.has(namespace(name))))) return [];
  const message = `${title('DestinationRule', rule.meta.namespace, rule.meta.name)}: exportTo is ${seen?.join(', ')}, so callers elsewhere that see the routes of Canary ${canary} would not know the subsets of its slots (503). Widen exportTo, or give the VirtualService the same one.`;
  return [{ reason: 'SubsetsHidden', message }];
}

export const subsetProblems = (surveyed: Surveyed): Problem[] => [...hidden(surveyed), ...strays(surveyed), ...narrow(surveyed)];
