import type { SessionAffinity } from '../api/index.js';
import { needed, refusal, towards } from './capacity.js';
import type { Draft } from './draft.js';
import { close } from './endings.js';
import type { AffinityCookie, RouteExtras, Weights } from './evidence.js';
import { intervalMs } from './gates.js';
import { comparedService, hasSubsets, otherSlot } from './names.js';
import { compilePlan, findStep, type PlanStep, type StepExtras, type StepPlace } from './plan.js';
import { canonicalJson, digest } from './revision.js';
import { iso, ms } from './time.js';
import { countedToTheEnd } from './verdict/evaluate.js';

const MAX_WEIGHTS = 60;

/** What the canary has, from the routes as they are. */
export function noteWeight(draft: Draft): void {
  const { canary } = draft.status;
  if (!canary) return;
  const weight = draft.weights?.[canary.slot] ?? 0;
  forgetUnwritten(draft, weight);
  recordWeight(draft, { weight, ...(draft.extras ? { extras: draft.extras } : {}) }, true);
}

/** A weight is written down with the intent. One whose write was refused was never given: it is no part of the story. */
function forgetUnwritten(draft: Draft, inForceNow: number): void {
  const { run } = draft.status;
  if (!run || run.ending || !draft.writesFail) return;
  if ((run.weights.at(-1) ?? 0) > inForceNow) run.weights = run.weights.slice(0, -1);
}

/** @param seen false: it is about to be written. */
function recordWeight(draft: Draft, { weight, extras }: Goal, seen: boolean): void {
  const { run, canary } = draft.status;
  if (!run || !canary) return;
  if (weight > 0 || extras?.match || extras?.mirror !== undefined) {
    run.firstWeightAt ??= iso(draft.now);
    // With the intent, not with the next look: a drain must never be counted from before this weight.
    delete draft.record(canary.slot).unroutedSince;
  }
  if (weight > (run.weights.at(-1) ?? 0) && (seen || !draft.writesFail)) run.weights = [...run.weights, weight].slice(-MAX_WEIGHTS);
  draft.status.canaryWeight = weight;
}

/** What the routes have to say. */
export interface Goal {
  /** Percent of the traffic for the canary. */
  weight: number;
  extras?: RouteExtras;
}

/** What a step wants of the routes. With no ready endpoint behind stable, all that may be written is that everything goes to the canary. */
export function goalOf(draft: Draft, step: StepExtras & { weight: number }): Goal {
  const { canary } = draft.status;
  if (!canary || draft.slot(otherSlot(canary.slot)).endpoints === 0) return { weight: 100 };
  const { weight, mirror, fault } = step;
  const match = step.match && reachable(draft, step.match);
  const affinity = weight > 0 && weight < 100 ? affinityOf(draft) : undefined;
  if (!match && mirror === undefined && !fault && !affinity) return { weight };
  const extras = { slot: canary.slot, ...(match ? { match } : {}), ...(mirror === undefined ? {} : { mirror }), ...(fault ? { fault } : {}), ...(affinity ? { affinity } : {}) };
  return { weight, extras };
}

/** A control arm that lost its Service takes no requests: those go to the stable version as all others do, until it has been back for a while. */
function reachable(draft: Draft, match: NonNullable<StepExtras['match']>): NonNullable<StepExtras['match']> {
  if (!match.control || !draft.extras?.match?.control || draft.slot(draft.stableSlot).control?.endpoints) return match;
  const { control: _control, ...rest } = match;
  return rest;
}

/** Why no route may name the control arm yet: a proxy that does not know its host answers 503. */
function controlUnknown(draft: Draft): string | undefined {
  const since = ms(draft.record(draft.stableSlot).controlSince);
  const name = comparedService(draft.spec, draft.stableSlot, { control: true });
  if (since === undefined) return `Service ${name} of the control arm has no ready endpoint`;
  draft.wakeAt(since + draft.drainMs);
  return draft.now < since + draft.drainMs ? `proxies are given time to learn of Service ${name} of the control arm` : undefined;
}

/** The cookies of a run. Their value is the run's own, so that they mean nothing to the next one. */
function affinityOf(draft: Draft): RouteExtras['affinity'] {
  const { sessionAffinity } = draft.spec.analysis;
  const { run } = draft.status;
  if (!sessionAffinity || !run) return undefined;
  const { cookieName, primaryCookieName, ...rest } = sessionAffinity;
  const cookie = (name: string): AffinityCookie => ({ name, value: digest(run.id).slice(0, 10), attributes: cookieAttributes(rest) });
  return { canary: cookie(cookieName), ...(primaryCookieName === undefined ? {} : { stable: cookie(primaryCookieName) }) };
}

function cookieAttributes({ maxAge, domain, path, httpOnly, secure, partitioned, sameSite }: Omit<SessionAffinity, 'cookieName' | 'primaryCookieName'>): string {
  const valued = Object.entries({ 'Max-Age': maxAge, Domain: domain, Path: path, SameSite: sameSite });
  const flags = Object.entries({ HttpOnly: httpOnly, Secure: secure, Partitioned: partitioned });
  return [...valued.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])), ...flags.flatMap(([name, set]) => (set ? [name] : []))].join('; ');
}

/** What the plan says of the step in force; of one that an edited plan holds no more, only the weight is known. */
export function rulesOf(draft: Draft, current: StepPlace, plan: PlanStep[] = compilePlan(draft.spec.analysis)): PlanStep {
  const found = plan[findStep(plan, current) ?? -1];
  return found ?? { weight: current.weight, holdMs: intervalMs(draft), approve: false, passes: 1 };
}

const sameExtras = (one: RouteExtras | undefined, other: RouteExtras | undefined): boolean => canonicalJson(one ?? null) === canonicalJson(other ?? null);

export const inForce = (draft: Draft, { weight, extras }: Goal): boolean =>
  draft.weights?.[draft.status.canary?.slot ?? 'green'] === weight && draft.observed.routes.consistent && sameExtras(draft.extras, extras);

/** Everything a goal needs that is not there yet, or undefined. */
function hindrance(draft: Draft, { weight, extras }: Goal, weights: Weights): string | undefined {
  const { canary } = draft.status;
  const why = refusal(draft, weights);
  if (why !== undefined || !extras || !canary) return why;
  const { endpoints, ready } = draft.slot(canary.slot);
  if (endpoints === 0) return `slot ${canary.slot} has no ready endpoint`;
  const unknown = extras.match?.control && !draft.extras?.match?.control ? controlUnknown(draft) : undefined;
  if (unknown !== undefined) return unknown;
  // Nobody knows what share of the requests match.
  const need = needed(draft.replicas, Math.max(weight, extras.match?.weight ?? 0));
  // What was asked for is remembered although somebody led the routes past the slots: then nobody has it.
  const had = draft.weights === undefined ? 0 : (draft.extras?.match?.weight ?? 0);
  const grows = extras.match !== undefined && extras.match.weight > had;
  return grows && ready < need ? `slot ${canary.slot} has ${ready} of ${need} ready pods that the matching requests may need` : undefined;
}

/** Write routes when the ready pods cover them; true when they are on their way. */
export function shiftTo(draft: Draft, goal: Goal): boolean {
  const { canary } = draft.status;
  if (!canary) return false;
  const { weight, extras } = goal;
  const weights = { [canary.slot]: weight, [otherSlot(canary.slot)]: 100 - weight } as Weights;
  const why = hindrance(draft, goal, weights);
  if (why !== undefined) {
    const need = needed(draft.replicas, weight);
    draft.wait('ScalingUp', `weight ${weight} % waits: ${why} (${need} of ${draft.replicas} pods)`);
    return false;
  }
  draft.do({ type: 'setWeights', weights, ...(extras ? { extras } : {}) });
  recordWeight(draft, goal, false);
  return true;
}

export const shift = (draft: Draft, weight: number): boolean => shiftTo(draft, { weight });

/** Without a run, everything goes to the stable slot, as far as its pods can carry it. */
export function leadToStable(draft: Draft): void {
  const { stable } = draft.status;
  if (!stable) return;
  if (draft.slot(stable.slot).endpoints === 0) return leadToWhoeverAnswers(draft);
  const weights = towards(draft, stable.slot);
  if (weights && !draft.plainly(stable.slot, 100) && !draft.plainly(stable.slot, weights[stable.slot])) draft.do({ type: 'setWeights', weights });
  leadServicesToStable(draft);
}

/** Somebody else gave the other slot a part, and the stable version has no ready pod: whoever is sent there reaches nobody. */
function leadToWhoeverAnswers(draft: Draft): void {
  const { freeSlot, stableSlot } = draft;
  const { replicas, endpoints } = draft.slot(freeSlot);
  const weight = draft.weights?.[freeSlot] ?? 0;
  if (weight > 0 && weight < 100 && replicas > 0 && endpoints > 0) draft.do({ type: 'setWeights', weights: { [freeSlot]: 100, [stableSlot]: 0 } as Weights });
}

/** Routes become the user's again; with subsets, the rules that late proxies still send by stay. */
export function giveRoutesBack(draft: Draft): void {
  draft.do({ type: 'releaseRoutes', ...(hasSubsets(draft.spec) ? { keepRules: true as const } : {}) });
}

/** Callers outside the mesh, and all callers where the routes were taken away, go to the stable slot. */
export function leadServicesToStable(draft: Draft): void {
  const { stableSlot } = draft;
  if (draft.slot(stableSlot).endpoints > 0 && !draft.serviceSelects(stableSlot)) draft.do({ type: 'selectService', slots: [stableSlot] });
}

/** Traffic returns to stable, as far as stable can carry it; then the run is closed and told. */
export function takeBack(draft: Draft): void {
  const { status } = draft;
  const { canary, run } = status;
  if (!canary || !run?.ending) return;
  if (status.phase === 'Finalising') status.phase = 'Progressing';
  const stable = otherSlot(canary.slot);
  const words = `traffic returns to the stable revision: ${run.ending.message}`;
  noteWeight(draft);
  if (draft.plainly(stable, 100)) {
    if (draft.serviceSelects(stable)) {
      recordReturn(draft, canary.slot);
      const { step } = status;
      if (!step || countedToTheEnd(draft, rulesOf(draft, step))) close(draft);
      return;
    }
    if (draft.slot(stable).endpoints === 0) return draft.wait('StableNotReady', `${words}; no pod of the stable revision is ready, so the Service stays as it is`);
    draft.do({ type: 'selectService', slots: [stable] });
    return draft.wait('TakingBack', words);
  }
  const weights = towards(draft, stable);
  if (!weights) calmDown(draft);
  if (!weights) return draft.wait('StableNotReady', `${words}; no pod of the stable revision is ready, so the weights stay as they are`);
  if (!draft.plainly(stable, weights[stable])) draft.do({ type: 'setWeights', weights });
  // Callers outside the mesh need not wait for the routes.
  if (weights[stable] === 100 && !draft.serviceSelects(stable)) draft.do({ type: 'selectService', slots: [stable] });
  draft.wait('TakingBack', weights[stable] < 100 ? `${words}; ${weights[stable]} % until more of its pods are ready` : words);
}

/** Traffic cannot leave the canary, but at least nothing is done to it on purpose any more. */
function calmDown(draft: Draft): void {
  const { extras, weights } = draft;
  if (!weights || !extras || (extras.mirror === undefined && !extras.fault)) return;
  const { mirror: _mirror, fault: _fault, ...kept } = extras;
  const empty = !kept.match && !kept.affinity;
  draft.do({ type: 'setWeights', weights, ...(empty ? {} : { extras: kept }) });
}

function recordReturn(draft: Draft, slot: 'blue' | 'green'): void {
  draft.record(slot).unroutedSince ??= iso(draft.now);
  delete draft.record(slot).warmUntil;
}
