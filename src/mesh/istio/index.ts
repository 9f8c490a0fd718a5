/** Istio: weights on the destinations of VirtualServices. Pure; the engine reads before and writes after. */
import { ownVirtualServices } from '../../core/names.js';
import type { ObjectWrite, Problem, RouteExtras, RouteInput, RoutePlan, Router, RouteState, Weights } from '../../engine/ports.js';
import { planGenerated, planGeneratedFault } from './generated.js';
import { isHostOf, sameHost, type Identity } from './hosts.js';
import { reachesOf, withoutInsertions, type SlotFault } from './insertions.js';
import { foreignRoutes } from './managers.js';
import { inOrder, readMemo } from './memo.js';
import { together, weightsInForce } from './observe.js';
import { targetsOf, type Target } from './overlay.js';
import { giveBack, giveBackOthers, overlayManifest, planFaultOn, planOwn, type Placed, type Shift } from './own.js';
import { dropRules, planRules, rulesLeftBehind, userRules, type RulesPlan } from './rules.js';
import { readAll, readVirtualService, type Live } from './schema.js';
import { subsetProblems } from './subset-problems.js';
import { giveBackRules, overlayRule, planSubsetRules, resetRules, takenSubsets } from './subset-rules.js';
import { subsetsOf } from './segments.js';
import { assertWeights, isPartition } from './shares.js';
import { isGeneratedFor, title, write, type IstioApiVersion } from './writes.js';

export type { IstioApiVersion } from './writes.js';

export interface IstioRouterOptions {
  /** Version that new objects are written in, the one that the cluster serves; live ones keep theirs. Default `networking.istio.io/v1`. */
  apiVersion?: IstioApiVersion | (() => IstioApiVersion);
}

interface Context extends Omit<Shift, 'only'> {
  input: RouteInput;
  services: Live[];
  rules: Live[];
  /** The user's VirtualServices that the Canary names. */
  named: ReturnType<typeof ownVirtualServices>;
  /** The VirtualServices that carry the weights: those of `named`, or the generated one, as far as they are there and may be used. */
  placed: Placed[];
}

function contextOf(input: RouteInput): Context {
  const { canary, names } = input;
  const rules = readAll(input.destinationRules);
  const at: Identity = { ...names, namespace: canary.metadata.namespace ?? 'default' };
  const id: Identity = names.subsets ? { ...at, taken: takenSubsets(rules, at, canary.metadata.name) } : at;
  const services = readAll(input.virtualServices);
  const named = ownVirtualServices(canary.spec);
  const find = (name: string): Live | undefined => services.find(({ meta }) => meta.namespace === id.namespace && meta.name === name);
  const place = (live: Live | undefined, routes?: string[]): Placed[] => (live ? [{ live, only: routes?.length ? routes : undefined }] : []);
  const generated = find(names.service);
  const placed = named.length > 0 ? named.flatMap(({ name, routes }) => place(find(name), routes)) : place(generated && isGeneratedFor(generated, canary.metadata.name) ? generated : undefined);
  return { input, id, canary: canary.metadata.name, named, services, rules, placed };
}

/** What of a VirtualService the Canary divides. */
const targetsIn = ({ live, only }: Placed, { id, canary }: Context): Target[] => targetsOf(withoutInsertions(live.raw, canary), id, only);

/** Subsets of the Service that routes of the user's VirtualServices name. */
function usedSubsets(context: Context): string[] {
  const { named, placed, id } = context;
  if (named.length === 0) return [];
  return [...new Set(placed.flatMap((one) => targetsIn(one, context)).flatMap(({ segments }) => subsetsOf(segments, id)))].sort();
}

function rulesOf(context: Context, apiVersion: IstioApiVersion): RulesPlan {
  const { input, rules, id } = context;
  const { subsets } = id;
  return subsets ? planSubsetRules(input.canary, rules, { ...id, subsets }, usedSubsets(context), apiVersion) : planRules(input.canary, rules, id, usedSubsets(context), apiVersion);
}

/** Deletes generated VirtualServices except those that are used. */
const dropGenerated = ({ services, id, canary }: Context, keep: Live[]): ObjectWrite[] =>
  services
    .filter((live) => !keep.includes(live) && live.meta.namespace === id.namespace && isGeneratedFor(live, canary))
    .map(({ raw }) => write('delete', 'VirtualService', raw, 'no longer needed'));

interface Wanted {
  weights: Weights;
  extras?: RouteExtras;
  fault?: SlotFault;
}

function planRoutes(context: Context, wanted: Wanted, apiVersion: IstioApiVersion): RoutePlan {
  const { input, services, id, named, placed } = context;
  if (named.length === 0) return planGenerated(input.canary, services, id, wanted, apiVersion);
  const subsets = usedSubsets(context);
  const plans = placed.map(({ live, only }) => planOwn(live, { ...context, ...wanted, ...faultHere(context, live, wanted.fault), only, subsets }));
  return { writes: plans.flatMap(({ writes }) => writes), problems: [...missing(context), ...plans.flatMap(({ problems }) => problems)] };
}

/** VirtualServices that the Canary names and that are not there. */
function missing({ services, id, named, placed, canary }: Context): Problem[] {
  const existing = services.filter(({ meta }) => meta.namespace === id.namespace).map(({ meta }) => meta.name);
  const there = existing.length > 0 ? `there are ${existing.slice(0, 20).join(', ')}` : `there is none in namespace ${id.namespace}`;
  return named
    .filter(({ name }) => !placed.some(({ live }) => live.meta.name === name))
    .map(({ name }) => ({
      reason: 'RouteNotFound',
      message: `${title('VirtualService', id.namespace, name)} does not exist; ${there}. Create it, or correct service.${named.length > 1 ? 'virtualServices' : 'virtualService.name'} of Canary ${canary}.`,
    }));
}

const serves = ({ id }: Context, live: Live, host: string): boolean => (readVirtualService(live.raw).hosts ?? []).some((one) => sameHost(one, host, id.namespace));
const faultHere = (context: Context, live: Live, fault: SlotFault | undefined): { fault: SlotFault | undefined } => ({ fault: fault && serves(context, live, fault.host) ? fault : undefined });

/** The fault goes before the routes of every VirtualService that sidecars use for the host; a host without one gets one. */
function planFault(context: Context, { weights, fault }: Wanted, apiVersion: IstioApiVersion): { keep: Live[]; plan: RoutePlan } {
  if (!fault) return { keep: [], plan: { writes: [], problems: [] } };
  const { services, id, canary, placed } = context;
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
  const plans = forSidecars.filter((one) => !placed.some(({ live }) => live === one)).map((one) => planFaultOn(one, { ...context, only: undefined, weights, fault }));
  return { keep: forSidecars, plan: { writes: plans.flatMap(({ writes }) => writes), problems: plans.flatMap(({ problems }) => problems) } };
}

/** Subsets of one Service have one name in the metrics, so that nobody could tell the control arm's requests from others. */
function unequal({ id, canary }: Context, extras: RouteExtras | undefined): Problem[] {
  if (!extras?.match?.control || !id.subsets) return [];
  return [{ reason: 'InvalidSpec', message: `Canary ${id.namespace}/${canary}: analysis.control needs service.routing: services; leave one of control and routing: subsets out.` }];
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
  const problems = [...unequal(context, extras), ...rules.problems, ...routes.problems, ...fault.plan.problems];
  if (problems.length > 0) return { writes: [], problems };
  const used = [...context.placed.map(({ live }) => live), ...fault.keep];
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
  const { services, rules, id, canary, named, placed } = context;
  const own = named.length > 0 ? placed.map(({ live }) => live) : [];
  const writes = [
    ...own.flatMap((live) => giveBack(live, canary, id)),
    ...giveBackOthers(services, own, canary, id),
    ...dropGenerated(context, own),
    ...(keepRules ? [] : [...dropRules(rules, id, canary), ...giveBackRules(rules, id, canary)]),
  ];
  return { writes, problems: [] };
}

function observe(input: RouteInput, apiVersion: IstioApiVersion): RouteState {
  const context = contextOf(input);
  const { placed, id, canary, rules } = context;
  const subsets = id.subsets ? observeSubsets(context, apiVersion) : {};
  if (placed.length === 0) return { consistent: false, ...subsets };
  const memos = placed.map(({ live }) => readMemo(live).canaries[canary]);
  const weights = together(placed.flatMap((one, index) => weightsInForce(targetsIn(one, context), memos[index]?.weights) ?? []));
  const extras = memos.find((memo) => memo?.extras !== undefined)?.extras;
  const expected = weights && isPartition(weights) ? plan(input, weights, extras, apiVersion) : undefined;
  const consistent = expected !== undefined && expected.writes.length === 0 && expected.problems.length === 0;
  const reaches = [...new Set(placed.flatMap(({ live }) => reachesOf(live.raw, id)))].sort();
  const warnings = [...rulesLeftBehind(rules, id), ...(id.subsets ? [`Service ${id.service} selects both slots (service.routing: subsets), so callers without a proxy reach both versions`] : [])];
  return {
    ...subsets,
    ...(weights ? { weights } : {}),
    ...(extras ? { extras } : {}),
    ...(reaches.some((slot) => (weights?.[slot] ?? 0) === 0) ? { reaches } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
    consistent,
    ...foreignIn(context),
  };
}

/** The last to write routes of any of the VirtualServices, when that is not Sluice. */
function foreignIn(context: Context): Pick<RouteState, 'foreignManager' | 'foreignField' | 'foreignObject'> {
  const found = context.placed.flatMap((one) => {
    const memo = readMemo(one.live).canaries[context.canary];
    const targets = targetsIn(one, context);
    const foreign = foreignRoutes(one.live, new Set([...targets, ...(memo?.routes ?? [])].map(({ protocol = 'http' }) => protocol)));
    const weights = weightsInForce(targets, memo?.weights);
    return foreign ? [{ ...foreign, foreignObject: { name: one.live.meta.name, ...(weights ? { weights } : {}) } }] : [];
  });
  // Who took routes away from the slots says so by no weight at all.
  return found.find(({ foreignObject }) => !foreignObject.weights) ?? found[0] ?? {};
}

/** Whether proxies can know the subsets of the slots, and what keeps some from it. */
function observeSubsets(context: Context, apiVersion: IstioApiVersion): Pick<RouteState, 'prepared' | 'problems' | 'resets'> {
  const { id, rules, canary, placed, services } = context;
  const [rule] = userRules(rules, id, canary);
  const problems = subsetProblems({ canary, id, placed, services, rules, rule });
  const before = prepare(context.input, apiVersion);
  const resets = resetRules(rules, id, canary);
  return {
    prepared: before.writes.length === 0 && before.problems.length === 0,
    ...(problems.length > 0 ? { problems } : {}),
    ...(resets.length > 0 ? { resets } : {}),
  };
}

/** What was read last for one spec. Most decisions are about pods, and find the routes as they were. */
interface Seen {
  objects: RouteInput['virtualServices'];
  state: RouteState;
}

/** The router for Istio. */
export function createIstioRouter({ apiVersion = 'networking.istio.io/v1' }: IstioRouterOptions = {}): Router {
  const served = (): IstioApiVersion => (typeof apiVersion === 'function' ? apiVersion() : apiVersion);
  const seen = new WeakMap<object, Seen>();
  return {
    observe(input) {
      const objects = [...input.virtualServices, ...input.destinationRules];
      const known = seen.get(input.canary.spec);
      if (known && known.objects.length === objects.length && known.objects.every((object, index) => object === objects[index])) return known.state;
      const state = observe(input, served());
      seen.set(input.canary.spec, { objects, state });
      return state;
    },
    plan: (input, weights, extras) => plan(input, weights, extras, served()),
    prepare: (input) => prepare(input, served()),
    release: (input, keepRules = false) => release(input, keepRules),
    overlay(manifest, live) {
      const [read] = readAll([live]);
      if (!read) return manifest;
      if (live.kind === 'DestinationRule') return overlayRule(manifest, read);
      return live.kind === 'VirtualService' ? overlayManifest(manifest, read) : manifest;
    },
  };
}
