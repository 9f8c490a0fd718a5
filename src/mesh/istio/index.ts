/** Istio: weights on the destinations of VirtualServices. Pure; the engine reads before and writes after. */
import type { ObjectWrite, RouteInput, RoutePlan, Router, RouteState, Weights } from '../../engine/ports.js';
import { planGenerated } from './generated.js';
import type { Identity } from './hosts.js';
import { foreignManagerOf } from './managers.js';
import { readMemo } from './memo.js';
import { weightsInForce } from './observe.js';
import { targetsOf } from './overlay.js';
import { giveBack, giveBackOthers, overlayManifest, planOwn, type Shift } from './own.js';
import { dropRules, planRules, rulesLeftBehind } from './rules.js';
import { readAll, type Live } from './schema.js';
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
  const id: Identity = { ...names, namespace: canary.metadata.namespace ?? 'default' };
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
    rules: readAll(input.destinationRules),
    live: usable ? found : undefined,
  };
}

/** Deletes generated VirtualServices except the one that carries the weights. */
const dropGenerated = ({ services, id, canary }: Context, keep: Live | undefined): ObjectWrite[] =>
  services
    .filter((live) => live !== keep && live.meta.namespace === id.namespace && isGeneratedFor(live, canary))
    .map(({ raw }) => write('delete', 'VirtualService', raw, 'no longer needed'));

function planRoutes(context: Context, weights: Weights, apiVersion: IstioApiVersion): RoutePlan {
  const { input, services, id, named, live } = context;
  if (named === undefined) return planGenerated(input.canary, services, id, weights, apiVersion);
  if (live) return planOwn(live, context, weights);
  const existing = services.filter(({ meta }) => meta.namespace === id.namespace).map(({ meta }) => meta.name);
  const message = `${title('VirtualService', id.namespace, named)} does not exist; ${existing.length > 0 ? `there are ${existing.slice(0, 20).join(', ')}` : `there is none in namespace ${id.namespace}`}. Create it, or correct service.virtualService.name of Canary ${context.canary}.`;
  return { writes: [], problems: [{ reason: 'RouteNotFound', message }] };
}

function plan(input: RouteInput, weights: Weights, apiVersion: IstioApiVersion): RoutePlan {
  assertWeights(weights);
  const context = contextOf(input);
  const rules = planRules(input.canary, context.rules, context.id, apiVersion);
  const routes = planRoutes(context, weights, apiVersion);
  const problems = [...rules.problems, ...routes.problems];
  if (problems.length > 0) return { writes: [], problems };
  const others = giveBackOthers(context.services, context.live, context.canary, context.id);
  return {
    problems,
    writes: [...rules.before, ...routes.writes, ...others, ...dropGenerated(context, context.live), ...rules.after],
  };
}

function release(input: RouteInput): RoutePlan {
  const context = contextOf(input);
  const { services, rules, id, canary, named, live } = context;
  const own = named === undefined ? undefined : live;
  const writes = [
    ...(own ? giveBack(own, canary, id) : []),
    ...giveBackOthers(services, own, canary, id),
    ...dropGenerated(context, own),
    ...dropRules(rules, id, canary),
  ];
  return { writes, problems: [] };
}

function observe(input: RouteInput, apiVersion: IstioApiVersion): RouteState {
  const { live, id, only, canary } = contextOf(input);
  if (!live) return { consistent: false };
  const weights = weightsInForce(targetsOf(live.raw, id, only), readMemo(live).canaries[canary]?.weights);
  const foreignManager = foreignManagerOf(live);
  const expected = weights && isPartition(weights) ? plan(input, weights, apiVersion) : undefined;
  const consistent = expected !== undefined && expected.writes.length === 0 && expected.problems.length === 0;
  return { ...(weights ? { weights } : {}), consistent, ...(foreignManager === undefined ? {} : { foreignManager }) };
}

/** DestinationRules whose policy callers lose while the slots serve, in words; for a warning. */
export function istioRuleWarnings(input: RouteInput): string[] {
  const { rules, id } = contextOf(input);
  return rulesLeftBehind(rules, id);
}

/** The router for Istio. */
export function createIstioRouter({ apiVersion = 'networking.istio.io/v1' }: IstioRouterOptions = {}): Router {
  return {
    observe: (input) => observe(input, apiVersion),
    plan: (input, weights) => plan(input, weights, apiVersion),
    release,
    overlay(manifest, live) {
      const [read] = readAll([live]);
      return read && live.kind === 'VirtualService' ? overlayManifest(manifest, read) : manifest;
    },
  };
}
