import type { Measurement } from '../../src/core/evidence.js';
import type { Notification, Windows } from '../../src/engine/ports.js';
import { SluiceResources, type CanaryAction, type CanaryStatus, type SlotName, type Verb } from '../../src/api/index.js';
import type { KubeObject } from '../../src/kube/types.js';
import { Resources, type Write } from './api.js';
import { isReady, NAMESPACE, selectorOf, specOf } from './cluster.js';
import { destinationRule, slotOf, wantedVersion } from './git.js';
import { destinationsOf, matchedOf, SERVICE, slotServed, type Caller, type Destination } from './mesh.js';
import type { Process } from './process.js';
import { Runs } from './runs.js';
import { checkOwned } from './owned.js';
import { DRAIN_MS } from './settings.js';
import type { World } from './world.js';

const SLOTS: readonly SlotName[] = ['blue', 'green'];
const other = (slot: SlotName): SlotName => (slot === 'blue' ? 'green' : 'blue');
const nameOf = (slot: SlotName): string => `${SERVICE}-${slot}`;
/** A copy that cannot serve is left within this time, when nothing keeps the controllers from it. */
const REACT_MS = 30_000;
/** What an event of a watch that is not late takes, and then a write, at most. */
const ON_THE_WAY_MS = 20;
/** Longer than callers outside the mesh take to learn of an endpoint. */
const OUTSIDE_MS = 2_000;

/** What a controller's caches said when it sent a write. */
export interface View {
  endpoints: Record<SlotName, number>;
  ready: Record<SlotName, number>;
  /** The number of pods that was asked for then. */
  asked: number;
}

const asked = ({ spec }: World): number => spec?.replicas ?? Infinity;

function viewOf(process: Process, subsets: boolean): View {
  const view: View = { endpoints: { blue: 0, green: 0 }, ready: { blue: 0, green: 0 }, asked: asked(process.world) };
  for (const slot of SLOTS) {
    const pods = process.cache.pods.list(NAMESPACE).filter((pod) => pod.metadata.labels?.['sluice.dev/slot'] === slot);
    const own = new Set(pods.map((pod) => pod.metadata.name));
    const slice = process.cache.endpointSlices.get(NAMESPACE, `${subsets ? SERVICE : nameOf(slot)}-1`);
    const all = ((slice?.['endpoints'] ?? []) as { conditions: { ready: boolean }; targetRef: { name: string } }[]).filter(({ conditions }) => conditions.ready).map(({ targetRef }) => targetRef.name);
    const endpoints = subsets ? all.filter((name) => own.has(name)) : all;
    view.endpoints[slot] = endpoints.length;
    view.ready[slot] = pods.filter((pod) => isReady(pod) && endpoints.includes(pod.metadata.name)).length;
  }
  return view;
}

const shared = (destinations: Destination[]): Record<SlotName, number> => {
  const weights = { blue: 0, green: 0 };
  for (const { host, weight } of destinations) for (const slot of SLOTS) if (slotServed(host) === slot) weights[slot] += weight;
  return weights;
};
export const weightsOf = (route: KubeObject | undefined): Record<SlotName, number> => shared(destinationsOf(route));

/** Sees what a caller and somebody with all logs can see: writes, requests, measurements, messages. Never Sluice's status. */
export class Auditor {
  readonly runs: Runs;
  /** Since when callers reach nobody at a place although somebody else is healthy. */
  readonly #lost = new Map<string, number>();
  /** Slots whose pods have been ready since they were filled. */
  readonly #wasReady = new Set<SlotName>();
  /** Slots whose pods went because nobody wanted any, and that have had none since. */
  readonly #unwanted = new Set<SlotName>();
  /** Since when there has been a ready pod without a break. */
  #healthySince: number | undefined;
  #before = { replicas: Infinity, at: -Infinity };
  #lastOutage = -Infinity;
  /** Since when the Service has had a ready endpoint without a break. */
  #servedSince: number | undefined;
  #lastOutsider = -Infinity;
  /** When somebody else last wrote the weights, a tool that knows nothing of overlays, say. */
  #lastReset = -Infinity;
  /** When somebody deleted a Service that routes may name. */
  #lastRemoval = -Infinity;
  /** The controller that last changed what callers reach. */
  #rules = '';
  /** Slot that serves by all that was promoted so far; undefined before adoption. */
  stable: SlotName | undefined;
  adopted = false;

  constructor(private readonly world: World) {
    this.runs = new Runs(world);
    world.api.onWrite((write) => this.#wrote(write));
  }

  /** Called when a controller sends a write. */
  sending(process: Process): View {
    const { world } = this;
    const lease = world.election && world.api.find(Resources.Lease, 'sluice-system', 'sluice-controller');
    const holder = lease && (lease['spec'] as { holderIdentity?: string }).holderIdentity;
    if (holder && holder !== process.id) world.fail('fencing', `${process.id} writes although ${holder} leads`);
    return viewOf(process, world.subsets);
  }
  handed(metric: string, service: string, from: number, measurement: Measurement): void {
    this.runs.handed(metric, service, from, measurement);
  }
  compared(windows: Windows): void {
    if (windows.kind === 'Windows') this.runs.compared(windows);
  }
  /** Until this is told, adoption may begin again. */
  get initialized(): boolean {
    return this.runs.messages.some(({ event }) => event === 'Initialized');
  }
  received(process: Process, notification: Notification): void {
    this.runs.received(process, notification);
  }
  acted(verb: Verb): void {
    this.world.note(`-- ${verb}`);
    this.runs.acted(verb);
  }
  replanned(): void {
    this.runs.edited = true;
  }
  scaled(): void {
    this.#lastOutage = this.world.now;
    this.runs.disturbed();
  }
  /** Pods are taken down by nobody's fault, for so many milliseconds. */
  outage(forMs: number): void {
    this.#lastOutage = Math.max(this.#lastOutage, this.world.now + forMs);
    this.runs.disturbed();
  }
  outsider(): void {
    this.#lastOutsider = this.world.now;
    this.runs.outsider = true;
    this.runs.disturbed();
  }
  removed(): void {
    this.#lastRemoval = this.world.now;
    this.runs.disturbed();
  }
  hookRefused(): void {
    this.runs.disturbed();
  }

  #wrote(write: Write): void {
    const { by, resource, subresource } = write;
    const object = write.after ?? write.before;
    if (!object || object.metadata.namespace !== NAMESPACE) return;
    if (resource.kind === 'Deployment' || resource.kind === 'ConfigMap') this.#versions();
    if (resource.kind === 'Canary') this.runs.stored(write);
    if (resource.kind === 'Canary') this.#asked(write);
    if (resource.kind === 'Canary' && this.world.subsets) this.#named(write);
    if (subresource === 'status') return;
    this.#ruled(write);
    if (resource.kind === 'VirtualService' && object.metadata.name === SERVICE) this.#routes(write);
    if (!by.startsWith('sluice-')) return;
    if (resource.kind === 'Deployment') this.#deployment(write);
    if (resource.kind === 'Service' && object.metadata.name === SERVICE) this.#selection(write);
    const broken = checkOwned(write);
    if (broken) this.world.fail('truth 8', broken);
  }

  /** A mark of the leader changes no spec. */
  #ruled({ by, resource, before, after }: Write): void {
    if (resource.kind !== 'Canary' && by === this.world.leader?.id && JSON.stringify(before?.['spec']) !== JSON.stringify(after?.['spec'])) this.#rules = by;
  }

  /** No selector tells of a promotion with subsets: what is called stable must have had everything for as long as a drain. */
  #named({ after }: Write): void {
    const slot = (after?.['status'] as CanaryStatus | undefined)?.stable?.slot;
    if (!slot || slot === this.stable || !this.adopted) return;
    const weights = weightsOf(this.world.api.find(Resources.VirtualService, NAMESPACE, SERVICE));
    if (weights[slot] !== 100 && !this.#unseen() && this.#lastOutsider < this.world.now - 120_000) this.world.fail('truth 4', `slot ${slot} is called stable with ${weights[slot]} %`);
    this.stable = slot;
    this.runs.promoted(slot);
  }

  /** Somebody wrote the weights, and no controller may know it yet. */
  #unseen(): boolean {
    const since = this.world.now - this.#lastReset;
    return since <= this.world.setting.watchLag + ON_THE_WAY_MS || (since < REACT_MS && this.world.now < this.world.awayUntil);
  }

  /** The number that was asked for until a moment ago counts too: a decision may carry out both. */
  #asked({ before, after }: Write): void {
    const of = (object: KubeObject | undefined): number | undefined => (object?.['spec'] as { replicas?: number } | undefined)?.replicas;
    if (of(before) !== of(after)) this.#before = { replicas: of(before) ?? Infinity, at: this.world.now };
  }

  #versions(): void {
    const wanted = wantedVersion(this.world);
    if (wanted) this.runs.appeared(wanted);
  }

  /** Truth 2. */
  #partition({ by, after }: Write): void {
    const routes = (after?.['spec'] as { http?: { route?: { weight?: number }[] }[] } | undefined)?.http ?? [];
    for (const { route } of routes) {
      if (!route) continue;
      const weights = route.map(({ weight }) => weight ?? (route.length === 1 ? 100 : 0));
      if (weights.some((weight) => !Number.isInteger(weight) || weight < 0 || weight > 100) || weights.reduce((a, b) => a + b, 0) !== 100)
        this.world.fail('truth 2', `${by} writes the weights ${weights.join(', ')}`);
    }
  }

  #routes(write: Write): void {
    const { by, before, after } = write;
    this.#partition(write);
    const [was, is] = [weightsOf(before), weightsOf(after)];
    this.#matched(by, shared(matchedOf(before)), after);
    if (JSON.stringify(was) === JSON.stringify(is)) return;
    this.world.note(`${by} sets weights ${is.blue}/${is.green}`);
    if (!by.startsWith('sluice-')) {
      this.#lastReset = this.world.now;
      return;
    }
    const late = !this.initialized && this.#isLate(by);
    if (late) this.outsider();
    // Routes that were reset lead to the Service, and that leads to a slot already.
    const reset = was.blue + was.green === 0;
    const through = reset ? this.world.mesh.selected()['sluice.dev/slot'] : undefined;
    // With subsets, to all that is there.
    const all = reset && this.adopted && this.world.subsets;
    for (const slot of SLOTS) if (is[slot] > 0 && !late) this.#given(slot, through === slot || all ? 100 : was[slot], is[slot]);
    this.runs.weights(was, is, this.#alone());
    if (!this.adopted && (is.blue === 100 || is.green === 100)) {
      this.stable = is.blue === 100 ? 'blue' : 'green';
      this.adopted = true;
      this.runs.adoptedAt(this.stable);
    }
  }
  /** Truths 1 and 3 for the requests that match; those that do not are never led to a canary by a match, and nobody else to a control arm. */
  #matched(by: string, was: Record<SlotName, number>, after: KubeObject | undefined): void {
    const is = shared(matchedOf(after));
    if (!by.startsWith('sluice-') || JSON.stringify(was) === JSON.stringify(is)) return;
    const arm = matchedOf(after).some(({ host }) => host.endsWith('-control'));
    if (JSON.stringify(is) !== JSON.stringify(weightsOf(after))) this.world.note(`${by} divides what matches ${is.blue}/${is.green}${arm ? ' with a control arm' : ''}`);
    if (destinationsOf(after).some(({ host }) => host.endsWith('-control'))) this.world.fail('truth 2', `${by} leads everybody to the control arm`);
    for (const { host, weight } of matchedOf(after)) if (host.endsWith('-control') && weight > 0 && slotServed(host) !== this.stable) this.world.fail('truth 4', `${by} leads to ${host}, and ${this.stable} is stable`);
    if (arm) for (const slot of SLOTS) if (is[slot] > 0) this.#given(slot, was[slot], is[slot]);
  }
  /** Before adoption routes carry no mark of a leader: then nothing refuses the first write of one that was stopped. It has to be put right. */
  #isLate(by: string): boolean {
    return this.world.election && this.world.leader !== undefined && this.world.leader.id !== by;
  }
  /** The slot that alone has ready endpoints, as the controller saw it. */
  #alone(): SlotName | undefined {
    const { view } = this.world;
    return view && SLOTS.find((slot) => view.endpoints[slot] > 0 && view.endpoints[other(slot)] === 0);
  }

  /** Truths 1 and 3 at a write that gives a slot traffic. */
  #given(slot: SlotName, was: number, is: number): void {
    const { view, cluster, api, spec } = this.world;
    if (!view) return;
    if (view.endpoints[slot] === 0) this.world.fail('truth 1', `slot ${slot} is given ${is} % and has no ready endpoint`);
    const held = api.find(Resources.Deployment, NAMESPACE, nameOf(slot));
    if (!held || (specOf(held).replicas === 0 && spec?.replicas !== 0)) this.world.fail('truth 1', `slot ${slot} is given ${is} % although it was scaled away`);
    if (!this.#wasReady.has(slot)) this.world.fail('truth 1', `slot ${slot} is given ${is} % and no pod of its revision was ever ready`);
    // What was asked for while the write was on its way could not be known.
    const asked = Math.min(spec?.replicas ?? cluster.podsOf(nameOf(slot)).length, view.asked);
    const need = Math.ceil(((this.world.now - this.#before.at < 1_000 ? Math.min(asked, this.#before.replicas) : asked) * is) / 100);
    if (is > was && view.ready[slot] < need && view.endpoints[other(slot)] > 0) this.world.fail('truth 3', `slot ${slot} rises to ${is} % with ${view.ready[slot]} of ${need} ready pods`);
  }

  /** Callers that may send to the slot now, by what they know. */
  #routedBy(slot: SlotName): string | undefined {
    const route = this.world.api.find(Resources.VirtualService, NAMESPACE, SERVICE);
    if (weightsOf(route)[slot] > 0 || shared(matchedOf(route))[slot] > 0) return 'the routes';
    for (const { name, destinations, pods } of this.world.mesh.callers) {
      if (!pods && destinations.some(({ host, weight }) => slotServed(host) === slot && weight > 0)) return name;
      const here = pods?.some((pod) => pod.startsWith(`${nameOf(slot)}-`) && this.world.cluster.serves(pod));
      if (here && !this.#shared(slot)) return name;
    }
    return undefined;
  }

  /** A Service that selects by the user's labels alone (before adoption, and when it was given back) leads to others too. */
  #shared(slot: SlotName): boolean {
    const { cluster, mesh, now } = this.world;
    if (mesh.selected()['sluice.dev/canary'] !== undefined) return false;
    return now - this.#lastOutage < 5_000 || cluster.endpoints(SERVICE).some((pod) => !pod.startsWith(`${nameOf(slot)}-`) && cluster.serves(pod));
  }

  #deployment({ by, before, after }: Write): void {
    const object = (after ?? before) as KubeObject;
    const slot = slotOf(object);
    if (!slot) return this.#target(before, after);
    const [was, is] = [before && specOf(before), after && specOf(after)];
    this.world.note(`${by} sets ${object.metadata.name} to ${object.metadata.labels?.['sluice.dev/revision']} × ${is?.replicas ?? 'gone'}`);
    const pods = before ? this.world.cluster.podsOf(object.metadata.name).filter((pod) => !pod.metadata.deletionTimestamp) : [];
    if (JSON.stringify(was?.template) !== JSON.stringify(is?.template)) {
      this.#wasReady.delete(slot);
      if (pods.length > 0 && is) this.world.fail('truth 4', `slot ${slot} takes another revision while it runs ${pods.length} pods`);
      if (is) this.runs.filled(slot, object);
    }
    if (is?.replicas === 0 && this.world.spec?.replicas === 0) this.#unwanted.add(slot);
    // A mark of the leader takes nothing.
    if (JSON.stringify(was) !== JSON.stringify(is)) this.#taken(by, slot, is?.replicas ?? 0, pods);
  }
  /** No pod that receives traffic is taken away, unless somebody asked for fewer. */
  #taken(by: string, slot: SlotName, left: number, pods: KubeObject[]): void {
    // Who still leads could not know what was asked for while its write was on its way; once another one rules, it must not write at all.
    const fewest = this.#isLate(by) && this.#rules === this.world.leader?.id ? asked(this.world) : Math.min(asked(this.world), this.world.view?.asked ?? Infinity);
    // What somebody else did a moment ago cannot be known yet.
    if (this.world.now - this.#lastOutsider <= this.world.setting.watchLag + ON_THE_WAY_MS) return;
    const caller = this.#routedBy(slot);
    if (left < pods.length && left < fewest && caller && pods.some(isReady)) this.world.fail('truth 1', `slot ${slot} goes to ${left} pods while ${caller} still sends to it`);
  }

  #target(before: KubeObject | undefined, after: KubeObject | undefined): void {
    const left = after ? specOf(after).replicas : 0;
    this.world.note(`the target goes to ${left} pods`);
    const mine = this.world.cluster.podsOf(SERVICE).filter(isReady).map((pod) => pod.metadata.name);
    if (!before || left >= specOf(before).replicas || left > 0) return;
    const reached = this.world.cluster.endpoints(SERVICE);
    for (const { name, destinations, pods } of this.world.mesh.callers) {
      const known = pods ?? (destinations.some(({ host }) => host === SERVICE) ? reached : []);
      if (known.some((pod) => mine.includes(pod))) this.world.fail('truth 1', `the target goes to 0 pods while ${name} still sends to them`);
    }
  }

  #selection({ by, after }: Write): void {
    const selector = (after && selectorOf(after)) ?? {};
    const named = selector['sluice.dev/slot'];
    const slot = SLOTS.find((name) => name === named);
    const ours = selector['sluice.dev/canary'] !== undefined;
    this.world.note(`${by} lets the Service select ${named ?? (ours ? 'both slots' : 'the target')}`);
    const { view } = this.world;
    if (!view || !ours) return;
    if (named === 'target') {
      if (!this.world.cluster.podsOf(SERVICE).some(isReady) && this.#healthy()) this.world.fail('truth 1', 'callers outside the mesh are led to the target, where no pod is ready');
      return;
    }
    const to = slot ? [slot] : SLOTS;
    if (to.every((name) => view.endpoints[name] === 0) && SLOTS.some((name) => view.endpoints[name] > 0)) this.world.fail('truth 1', `callers outside the mesh are led to ${to.join('+')}, where no pod is ready`);
    const weights = weightsOf(this.world.api.find(Resources.VirtualService, NAMESPACE, SERVICE));
    const unproven = to.find((name) => name !== this.stable && weights[name] !== 100);
    if (this.adopted && unproven && !this.world.subsets && !this.#unseen()) this.world.fail('truth 4', `callers outside the mesh are led to slot ${unproven}, which has ${weights[unproven]} %`);
    if (slot && slot !== this.stable && weights[slot] === 100) {
      this.stable = slot;
      this.runs.promoted(slot);
    }
  }

  /** After every step: who reaches whom. */
  look(): void {
    const callers = this.world.mesh.look();
    if (callers) {
      if (!this.world.cluster.endpoints(SERVICE).some((pod) => this.world.cluster.serves(pod))) this.#servedSince = undefined;
      else this.#servedSince ??= this.world.now;
      for (const slot of SLOTS.filter((name) => this.world.cluster.endpoints(nameOf(name)).length > 0)) {
        this.#wasReady.add(slot);
        const held = this.world.api.find(Resources.Deployment, NAMESPACE, nameOf(slot));
        if (held && specOf(held).replicas > 0) this.#unwanted.delete(slot);
      }
      this.#healthySince = this.#healthy() ? (this.#healthySince ?? this.world.now) : undefined;
      const lost = new Set(callers.flatMap((caller) => this.#nobody(caller)));
      for (const place of Array.from(this.#lost.keys())) if (!lost.has(place)) this.#lost.delete(place);
      for (const place of lost) if (!this.#lost.has(place)) this.#lost.set(place, this.world.now);
    }
    const { now, troubleUntil } = this.world;
    if (this.#lost.size > 0 && !this.#healthy()) for (const place of this.#lost.keys()) this.#lost.set(place, now);
    for (const [place, since] of this.#lost) if (now > Math.max(since, troubleUntil) + REACT_MS) this.world.fail('truth 1', `callers of ${place} reach nobody since ${(now - since) / 1_000} s, though a healthy copy is there`);
  }

  /** Places at which this caller finds nobody although there is somebody. */
  #nobody({ name, destinations, pods, missing }: Caller): string[] {
    const { cluster } = this.world;
    if (missing !== undefined && this.world.now > Math.max(this.#lastRemoval, this.world.awayUntil) + REACT_MS) this.world.fail('truth 1', `${name} sends to ${missing}, which it does not know`);
    if (!this.#healthy() || this.world.spec?.replicas === 0) return [];
    if (pods) {
      if (pods.some((pod) => cluster.serves(pod))) return [];
      // The bare target rolls as any Deployment does.
      const bySlot = SLOTS.some((slot) => slot === this.world.mesh.selected()['sluice.dev/slot']);
      const known = this.#servedSince !== undefined && this.world.now - this.#servedSince > OUTSIDE_MS;
      if (bySlot && known && this.adopted && this.world.now - this.#lastOutage > DRAIN_MS) this.world.fail('truth 1', 'callers outside the mesh know only pods that are gone');
      return [];
    }
    return destinations.flatMap(({ host, weight }) => {
      if (weight === 0 || cluster.endpoints(host).some((pod) => cluster.serves(pod))) return [];
      const slot = SLOTS.find((item) => nameOf(item) === host);
      if (slot) this.#blame(slot, name);
      return [host];
    });
  }
  #healthy(): boolean {
    // Nobody is led to a version whose release is suspended.
    const slots = SLOTS.filter((slot) => !this.world.spec?.suspend || slot === this.stable);
    return [...slots.map(nameOf), SERVICE].some((deployment) => this.world.cluster.podsOf(deployment).some(isReady));
  }
  #blame(slot: SlotName, caller: string): void {
    // Weights that somebody else wrote are theirs; how soon they are put right is another question.
    if (this.world.now < Math.max(this.#lastOutsider, this.world.troubleUntil, this.#healthySince ?? this.world.now) + REACT_MS && this.#lastOutsider > this.world.now - 120_000) return;
    // Whoever wanted no pods, and then changed their mind, finds that it takes a moment.
    if (this.#unwanted.has(slot)) return;
    const held = this.world.api.find(Resources.Deployment, NAMESPACE, nameOf(slot));
    if (!held) return this.world.fail('truth 1', `${caller} sends to slot ${slot}, which is gone`);
    if (specOf(held).replicas === 0) return this.world.fail('truth 1', `${caller} sends to slot ${slot}, whose pods were taken away`);
    if (!this.#wasReady.has(slot)) this.world.fail('truth 1', `${caller} sends to slot ${slot}, which was filled afresh`);
  }

  /** What must be so once nothing is in the way any more and time has passed. */
  atRest(): void {
    const { world } = this;
    const fail = (what: string): void => world.fail('liveness', what);
    const weights = weightsOf(world.api.find(Resources.VirtualService, NAMESPACE, SERVICE));
    const stable = SLOTS.find((slot) => weights[slot] === 100);
    if (!stable) return fail(`the weights rest at ${weights.blue}/${weights.green}`);
    const replicas = world.spec?.replicas ?? 0;
    const held = world.api.find(Resources.Deployment, NAMESPACE, nameOf(stable));
    const idle = world.api.find(Resources.Deployment, NAMESPACE, nameOf(other(stable)));
    if (!held || specOf(held).replicas !== replicas) fail(`the slot that serves has ${held ? specOf(held).replicas : 'no'} pods of ${replicas}`);
    if (idle && specOf(idle).replicas !== 0) fail('the other slot still runs pods');
    const { 'sluice.dev/slot': selected, 'sluice.dev/canary': owner } = world.mesh.selected();
    if (owner === undefined || selected !== (world.subsets ? undefined : stable)) fail(`the Service selects ${JSON.stringify(world.mesh.selected())}, and ${stable} serves`);
    const target = world.api.find(Resources.Deployment, NAMESPACE, SERVICE);
    if (target && specOf(target).replicas !== 0) fail('the target runs pods');
    for (const action of world.api.list(SluiceResources.CanaryAction) as CanaryAction[]) if (!action.status?.result) fail(`action ${action.metadata.name} was never answered`);
    if (held) this.runs.atRest(held);
  }

  /** What must be so once the Canary is gone. */
  afterRelease(): void {
    const { world } = this;
    const fail = (what: string): void => world.fail('truth 8', `after the release ${what}`);
    const ours = [Resources.Deployment, Resources.Service, Resources.ConfigMap, Resources.ControllerRevision, Resources.Pod, Resources.DestinationRule]
      .flatMap((resource) => world.api.list(resource))
      .filter(({ metadata }) => metadata.labels?.['sluice.dev/canary'] !== undefined);
    if (ours.length > 0) fail(`there are still ${ours.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(', ')}`);
    const selected = world.mesh.selected();
    if (JSON.stringify(selected) !== JSON.stringify({ app: SERVICE })) fail(`the Service selects ${JSON.stringify(selected)}`);
    const target = world.api.find(Resources.Deployment, NAMESPACE, SERVICE);
    if (target && specOf(target).replicas === 0) fail('the target has no pods');
    if (world.ownRoutes && world.subsets && JSON.stringify(world.api.find(Resources.DestinationRule, NAMESPACE, 'books')?.['spec']) !== JSON.stringify(destinationRule['spec'])) fail('the DestinationRule is another one');
    for (const resource of [Resources.Deployment, Resources.Service, Resources.VirtualService, Resources.DestinationRule])
      for (const { kind, metadata } of world.api.list(resource)) if (metadata.annotations?.['sluice.dev/overlay'] !== undefined) fail(`${kind} ${metadata.name} still carries an overlay`);
    const route = world.api.find(Resources.VirtualService, NAMESPACE, SERVICE);
    if (!world.ownRoutes && route) fail('the generated VirtualService is still there');
    if (world.ownRoutes && JSON.stringify(destinationsOf(route)) !== JSON.stringify([{ host: SERVICE, weight: 100 }])) fail(`the route goes to ${JSON.stringify(destinationsOf(route))}`);
    this.runs.closed();
  }
}
