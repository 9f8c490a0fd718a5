/**
 * DestinationRules of the slots. A rule on the Service's host does not follow a route to the slots' hosts, so what the user has
 * said there is said again for each slot; the user's own rule is only read.
 */
import { isDeepStrictEqual } from 'node:util';
import { Labels, type Canary } from '../../api/index.js';
import { ownVirtualServices } from '../../core/names.js';
import type { ObjectWrite, Problem } from '../../engine/ports.js';
import { isHostOf, type Identity } from './hosts.js';
import { readDestinationRule, type Live } from './schema.js';
import { generatedObject, isGeneratedFor, title, write, type IstioApiVersion } from './writes.js';

type Rule = ReturnType<typeof readDestinationRule>;

/**
 * The user's rules on the Service's host that count for all clients, oldest first. Rules with a workloadSelector are for some
 * clients only; repeating them would bind all.
 */
export function userRules(all: Live[], id: Identity, canary: string): Live[] {
  return all
    .filter((live) => live.meta.namespace === id.namespace && !isGeneratedFor(live, canary))
    .sort((a, b) => a.meta.creationTimestamp.localeCompare(b.meta.creationTimestamp) || a.meta.name.localeCompare(b.meta.name))
    .filter(({ raw }) => {
      const { host, workloadSelector } = readDestinationRule(raw);
      return host !== undefined && isHostOf(host, id.service, id.namespace) && workloadSelector === undefined;
    });
}

/** `service.trafficPolicy`. */
export const ownPolicy = (canary: Canary): Record<string, unknown> | undefined => canary.spec.service.trafficPolicy;

/** What the user gave the subset of that name, without the pods that it is about: a slot's subset is about all of its own. */
export function slotSettings(rules: Rule[], name: string): Record<string, unknown> | undefined {
  const found = rules.flatMap(({ subsets }) => subsets ?? []).find((subset) => subset.name === name);
  if (!found) return undefined;
  const { labels: _labels, ...rest } = found;
  return rest;
}

/**
 * `spec` of a slot's rule without its host, or undefined when no policy has to follow.
 * @param used subsets that the routes name
 */
function effectivePolicy(canary: Canary, rules: Rule[], used: string[]): Record<string, unknown> | undefined {
  // Istio takes the policy of the oldest rule, and the subsets of all.
  const rule = rules.find(({ trafficPolicy }) => trafficPolicy !== undefined);
  const own = ownPolicy(canary);
  const subsets = used.flatMap((name) => slotSettings(rules, name) ?? []);
  if (!rule && !own && subsets.length === 0) return undefined;
  const exportTo = (rule ?? rules[0])?.exportTo;
  return {
    // Field by field at the top, as Istio itself lays a subset's policy over its rule's.
    ...(rule || own ? { trafficPolicy: { ...rule?.trafficPolicy, ...own } } : {}),
    ...(exportTo ? { exportTo } : {}),
    ...(subsets.length > 0 ? { subsets } : {}),
  };
}

const carriers = (canary: Canary, id: Identity): string =>
  (ownVirtualServices(canary.spec).map(({ name }) => title('VirtualService', id.namespace, name)).join(' or ') || title('VirtualService', id.namespace, id.service));

/** Subsets that the routes name and no rule of the user's has. */
export function missingSubsets(canary: Canary, rules: Live[], id: Identity, used: string[]): Problem[] {
  const known = rules.flatMap(({ raw }) => (readDestinationRule(raw).subsets ?? []).flatMap(({ name, labels = {} }) => (Labels.slot in labels ? [] : [name])));
  return used
    .filter((name) => !known.includes(name))
    .map((name) => ({
      reason: 'InvalidRoute',
      message: `${carriers(canary, id)}: a route sends to subset "${name}" of ${id.service}, and no DestinationRule on that host in namespace ${id.namespace} has it${known.length > 0 ? `; there are ${known.join(', ')}` : ''}. Add it there, or take the subset out of the route.`,
    }));
}

const whyOf = (slot: string, id: Identity): string => `traffic policy of ${id.service} for its slot ${slot}`;

export interface RulesPlan {
  /** Before any route: a proxy must know the policy of a host when the first request goes there. */
  before: ObjectWrite[];
  /** After the routes: rules that nothing needs any more. */
  after: ObjectWrite[];
  problems: Problem[];
}

/**
 * The writes that give each slot's host the policy of the Service's host, and the subsets of it that routes name.
 * @param used names of those subsets
 */
export function planRules(canary: Canary, all: Live[], id: Identity, used: string[], apiVersion: IstioApiVersion): RulesPlan {
  const rules = userRules(all, id, canary.metadata.name);
  const policy = effectivePolicy(
    canary,
    rules.map(({ raw }) => readDestinationRule(raw)),
    used,
  );
  const wanted = policy ? [id.slots, ...(id.control ? [id.control] : [])].flatMap(({ blue, green }) => [blue, green]) : [];
  const plan: RulesPlan = { before: [], problems: missingSubsets(canary, rules, id, used), after: dropRules(all, id, canary.metadata.name, wanted) };
  for (const name of wanted) {
    const live = all.find(({ meta }) => meta.namespace === id.namespace && meta.name === name);
    const spec = { host: name, ...policy };
    if (!live) {
      const at = { name, namespace: id.namespace, canary: canary.metadata.name };
      plan.before.push(
        write('create', 'DestinationRule', generatedObject('DestinationRule', apiVersion, at, spec), whyOf(name, id)),
      );
    } else if (!isGeneratedFor(live, canary.metadata.name)) {
      plan.problems.push({
        reason: 'NameTaken',
        message: `${title('DestinationRule', id.namespace, name)} exists and does not belong to Canary ${canary.metadata.name}, which needs that name for the traffic policy of a slot. Rename the rule, or set other suffixes in service.slots of the Canary.`,
      });
    } else if (!isDeepStrictEqual(live.raw.spec, spec)) {
      plan.before.push(write('update', 'DestinationRule', { ...live.raw, spec }, whyOf(name, id)));
    }
  }
  return plan;
}

/** Deletes the generated rules of a Canary except those named in `keep`. */
export const dropRules = (all: Live[], id: Identity, canary: string, keep: string[] = []): ObjectWrite[] =>
  all
    .filter((live) => live.meta.namespace === id.namespace && isGeneratedFor(live, canary) && !keep.includes(live.meta.name))
    .map(({ raw }) => write('delete', 'DestinationRule', raw, 'no longer needed'));

/**
 * Rules that do not reach the slots and that Sluice does not copy: those on wildcard hosts that cover the Service, and those of
 * other namespaces (Istio prefers the client namespace's rule). For a person to read; nothing is held for them.
 */
export function rulesLeftBehind(all: Live[], id: Identity): string[] {
  const fqdn = `${id.service}.${id.namespace}.svc.cluster.local`;
  return all.flatMap(({ raw, meta }) => {
    const { host, trafficPolicy } = readDestinationRule(raw);
    if (host === undefined || trafficPolicy === undefined) return [];
    const name = title('DestinationRule', meta.namespace, meta.name);
    if (host.startsWith('*') && fqdn.endsWith(host.slice(1)))
      return [id.subsets ? `${name} has the wildcard host ${host}; it does not count for ${id.service}, whose own rule has the subsets of the slots` : `${name} has the wildcard host ${host}; it counts for a slot only where the slot has no rule of its own`];
    const foreign = meta.namespace !== id.namespace && isHostOf(host, id.service, id.namespace, meta.namespace);
    // With subsets it is a problem, not a warning.
    return foreign && !id.subsets
      ? [`${name} is on host ${host} in another namespace; its policy does not reach the slots of ${id.service}`]
      : [];
  });
}
