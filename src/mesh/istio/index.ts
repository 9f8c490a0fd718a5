/** Istio: weights on the destinations of VirtualServices. Pure; the engine reads before and writes after. */
import type { ObjectWrite, RouteExtras, RouteInput, RoutePlan, Router, RouteState, Weights } from '../../engine/ports.js';
import { planGenerated, planGeneratedFault } from './generated.js';
import { isHostOf, sameHost, type Identity } from './hosts.js';
import { reachesOf, withoutInsertions, type SlotFault } from './insertions.js';
import { foreignManagerOf } from './managers.js';
import { inOrder, readMemo } from './memo.js';
import { weightsInForce } from './observe.js';
import { targetsOf } from './overlay.js';
import { giveBack, giveBackOthers, overlayManifest, planFaultOn, planOwn, type Shift } from './own.js';
import { dropRules, planRules, rulesLeftBehind, userRules, type RulesPlan } from './rules.js';
import { readAll, readVirtualService, type Live } from './schema.js';
import { subsetProblems } from './subset-problems.js';
import { giveBackRules, overlayRule, planSubsetRules, takenSubsets } from './subset-rules.js';
import { subsetsOf } from './segments.js';
import { assertWeights, isPartition } from './shares.js';
import { isGeneratedFor, title, write, type IstioApiVersion } from './writes.js';

export type { IstioApiVersion } from './writes.js';

export interface IstioRouterOptions {
  /** Version that new objects are written in; live ones keep theirs. Default `networking.istio.io/v1`. */
  apiVersion?: IstioApiVersion;
}

interface Context extends Shift {
  input: RouteInput;
  services: Live[];
  rules: Live[];
  /** The user's VirtualService of `service.virtualService`, when the Canary names one. */
  named?: string;
  /** The VirtualService that carries the weights, when it is there and may be used. */
  live?: Live;
}

function contextOf(input: RouteInput): Context {
  const { canary, names } = input;
  const rules = readAll(input.destinationRules);
  const at: Identity = { ...names, namespace: canary.metadata.namespace ?? 'default' };
  const id: Identity = names.subsets ? { ...at, taken: takenSubsets(rules, at, canary.metadata.name) } : at;
  const services = readAll(input.virtualServices);
  const wanted = canary.spec.service.virtualService;
  const found = services.find(({ meta }) => meta.namespace === id.namespace && meta.name === (wanted?.name ?? names.service));
  const usable = found && (wanted || isGeneratedFor(found, canary.metadata.name));
  return {
    input,
    id,
    canary: canary.metadata.name,
    only: wanted?.routes?.length ? wanted.routes : undefined,
    named: wanted?.name,
    services,
    rules,
    live: usable ? found : undefined,
  };
}

/** Subsets of the Service that routes of the user's VirtualService name. */
function usedSubsets({ named, live, id, only, canary }: Context): string[] {
  if (named === undefined || !live) return [];
  return [...new Set(targetsOf(withoutInsertions(live.raw, canary), id, only).flatMap(({ segments }) => subsetsOf(segments, id)))].sort();
}

function rulesOf(context: Context, apiVersion: IstioApiVersion): RulesPlan {
  const { input, rules, id } = context;
  const { subsets } = id;
  return subsets ? planSubsetRules(input.canary, rules, { ...id, subsets }, usedSubsets(context), apiVersion) : planRules(input.canary, rules, id, usedSubsets(context), apiVersion);
}

/** Deletes generated VirtualServices except those that are used. */
const dropGenerated = ({ services, id, canary }: Context, keep: (Live | undefined)[]): ObjectWrite[] =>
  services
    .filter((live) => !keep.includes(live) && live.meta.namespace === id.namespace && isGeneratedFor(live, canary))
    .map(({ raw }) => write('delete', 'VirtualService', raw, 'no longer needed'));

interface Wanted {
  weights: Weights;
  extras?: RouteExtras;
  fault?: SlotFault;
}

function planRoutes(context: Context, wanted: Wanted, apiVersion: IstioApiVersion): RoutePlan {
  const { input, services, id, named, live } = context;
  if (named === undefined) return planGenerated(input.canary, services, id, wanted, apiVersion);
  if (live) return planOwn(live, { ...context, ...wanted, ...faultHere(context, live, wanted.fault), subsets: usedSubsets(context) });
  const existing = services.filter(({ meta }) => meta.namespace === id.namespace).map(({ meta }) => meta.name);
  const message = `${title('VirtualService', id.namespace, named)} does not exist; ${existing.length > 0 ? `there are ${existing.slice(0, 20).join(', ')}` : `there is none in namespace ${id.namespace}`}. Create it, or correct service.virtualService.name of Canary ${context.canary}.`;
  return { writes: [], problems: [{ reason: 'RouteNotFound', message }] };
}

const serves = ({ id }: Context, live: Live, host: string): boolean => (readVirtualService(live.raw).hosts ?? []).some((one) => sameHost(one, host, id.namespace));
const faultHere = (context: Context, live: Live, fault: SlotFault | undefined): { fault: SlotFault | undefined } => ({ fault: fault && serves(context, live, fault.host) ? fault : undefined });

/** The fault goes before the routes of every VirtualService that sidecars use for the host; a host without one gets one. */
function planFault(context: Context, { weights, fault }: Wanted, apiVersion: IstioApiVersion): { keep: Live[]; plan: RoutePlan } {
  if (!fault) return { keep: [], plan: { writes: [], problems: [] } };
  const { services, id, canary, live } = context;
  if (isHostOf(fault.host, id.service, id.namespace)) {
    const message = `Canary ${id.namespace}/${canary}: analysis.steps[].fault.host is ${fault.host}, the Canary's own Service; name one that its pods call.`;
    return { keep: [], plan: { writes: [], problems: [{ reason: 'InvalidSpec', message }] } };
  }
  const hosting = services.filter((one) => one.meta.namespace === id.namespace && !isGeneratedFor(one, canary) && serves(context, one, fault.host));
  const forSidecars = hosting.filter(({ raw }) => (readVirtualService(raw).gateways ?? ['mesh']).includes('mesh'));
  if (forSidecars.length === 0) {
    const { keep, plan: made } = planGeneratedFault(canary, services, id, fault, apiVersion);
    return { keep: keep ? [keep] : [], plan: made };
  }
  const plans = forSidecars.filter((one) => one !== live).map((one) => planFaultOn(one, { ...context, weights, fault }));
  return { keep: forSidecars, plan: { writes: plans.flatMap(({ writes }) => writes), problems: plans.flatMap(({ problems }) => problems) } };
}

function plan(input: RouteInput, { blue, green }: Weights, asked: RouteExtras | undefined, apiVersion: IstioApiVersion): RoutePlan {
  const weights = { blue, green };
  assertWeights(weights);
  const extras = asked && inOrder(asked);
  const context = contextOf(input);
  const wanted: Wanted = { weights, ...(extras ? { extras } : {}), ...(extras?.fault ? { fault: { ...extras.fault, slot: extras.slot } } : {}) };
  const rules = rulesOf(context, apiVersion);
  const routes = planRoutes(context, wanted, apiVersion);
  const fault = planFault(context, wanted, apiVersion);
  const problems = [...rules.problems, ...routes.problems, ...fault.plan.problems];
  if (problems.length > 0) return { writes: [], problems };
  const used = [context.live, ...fault.keep];
  const others = giveBackOthers(context.services, used, context.canary, context.id);
  return {
    problems,
    writes: [...rules.before, ...routes.writes, ...others, ...dropGenerated(context, used), ...fault.plan.writes, ...rules.after],
  };
}

/** A route to a subset that proxies do not know yet is answered 503, so those come first. */
function prepare(input: RouteInput, apiVersion: IstioApiVersion): RoutePlan {
  const context = contextOf(input);
  if (!context.id.subsets) return { writes: [], problems: [] };
  const { before, problems } = rulesOf(context, apiVersion);
  return { writes: problems.length > 0 ? [] : before, problems };
}

function release(input: RouteInput, keepRules: boolean): RoutePlan {
  const context = contextOf(input);
  const { services, rules, id, canary, named, live } = context;
  const own = named === undefined ? undefined : live;
  const writes = [
    ...(own ? giveBack(own, canary, id) : []),
    ...giveBackOthers(services, [own], canary, id),
    ...dropGenerated(context, [own]),
    ...(keepRules ? [] : [...dropRules(rules, id, canary), ...giveBackRules(rules, id, canary)]),
  ];
  return { writes, problems: [] };
}

function observe(input: RouteInput, apiVersion: IstioApiVersion): RouteState {
  const context = contextOf(input);
  const { live, id, only, canary, rules } = context;
  const subsets = id.subsets ? observeSubsets(context, apiVersion) : {};
  if (!live) return { consistent: false, ...subsets };
  const { weights: remembered, extras } = readMemo(live).canaries[canary] ?? {};
  const weights = weightsInForce(targetsOf(withoutInsertions(live.raw, canary), id, only), remembered);
  const foreignManager = foreignManagerOf(live);
  const expected = weights && isPartition(weights) ? plan(input, weights, extras, apiVersion) : undefined;
  const consistent = expected !== undefined && expected.writes.length === 0 && expected.problems.length === 0;
  const reaches = reachesOf(live.raw, id);
  const warnings = [...rulesLeftBehind(rules, id), ...(id.subsets ? [`Service ${id.service} selects both slots (service.routing: subsets), so callers without a proxy reach both versions`] : [])];
  return {
    ...subsets,
    ...(weights ? { weights } : {}),
    ...(extras ? { extras } : {}),
    ...(reaches.some((slot) => (weights?.[slot] ?? 0) === 0) ? { reaches } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
    consistent,
    ...(foreignManager === undefined ? {} : { foreignManager }),
  };
}

/** Whether proxies can know the subsets of the slots, and what keeps some from it. */
function observeSubsets(context: Context, apiVersion: IstioApiVersion): Pick<RouteState, 'prepared' | 'problems'> {
  const { id, rules, canary, live, services, only } = context;
  const [rule] = userRules(rules, id, canary);
  const problems = subsetProblems({ canary, id, only, services, rules, live, rule });
  const before = prepare(context.input, apiVersion);
  return { prepared: before.writes.length === 0 && before.problems.length === 0, ...(problems.length > 0 ? { problems } : {}) };
}

/** What was read last for one spec. Most decisions are about pods, and find the routes as they were. */
interface Seen {
  objects: RouteInput['virtualServices'];
  state: RouteState;
}

/** The router for Istio. */
export function createIstioRouter({ apiVersion = 'networking.istio.io/v1' }: IstioRouterOptions = {}): Router {
  const seen = new WeakMap<object, Seen>();
  return {
    observe(input) {
      const objects = [...input.virtualServices, ...input.destinationRules];
      const known = seen.get(input.canary.spec);
      if (known && known.objects.length === objects.length && known.objects.every((object, index) => object === objects[index])) return known.state;
      const state = observe(input, apiVersion);
      seen.set(input.canary.spec, { objects, state });
      return state;
    },
    plan: (input, weights, extras) => plan(input, weights, extras, apiVersion),
    prepare: (input) => prepare(input, apiVersion),
    release: (input, keepRules = false) => release(input, keepRules),
    overlay(manifest, live) {
      const [read] = readAll([live]);
      if (!read) return manifest;
      if (live.kind === 'DestinationRule') return overlayRule(manifest, read);
      return live.kind === 'VirtualService' ? overlayManifest(manifest, read) : manifest;
    },
  };
}
