/**
 * The narrow interfaces between the engine and what it drives. An adapter that lacks something throws an error that names
 * it; none of these methods may silently do nothing.
 */
import type { Canary, MetricTemplateSpec, SlotName, WebhookSpec, AlertProviderSpec, WriteBack } from '../api/index.js';
import type { HookAnswer, Measurement, Problem, RouteExtras, Tries, Weights, Windows } from '../core/evidence.js';
import type { Reset } from '../core/observation.js';
import type { KubeObject, Resource } from '../kube/types.js';

export type { HookAnswer, Measurement, Problem, RouteExtras, Tries, Weights, Windows };

/** Names of what belongs to one Canary; computed once, in `core/names.ts`. */
export interface CanaryNames {
  /** The Service that callers use. */
  service: string;
  /** Deployment and Service of each slot; with subsets, only the Deployment. */
  slots: Record<SlotName, string>;
  /** Subsets of the Service by which routes name the slots; absent: they name the slots' Services. */
  subsets?: Record<SlotName, string>;
  /** With `analysis.control`: the Service of each slot's pods by which routes tell a control arm apart. */
  control?: Record<SlotName, string>;
}

/** One write, complete: an update carries the whole object with its `resourceVersion`, so that the server refuses what is stale. */
export interface ObjectWrite {
  op: 'create' | 'update' | 'delete';
  resource: Resource;
  object: KubeObject;
  /** For events and the log: `weights 90/10`. */
  why: string;
}

/** What a router looks at: the live objects, exactly as the server sent them. */
export interface RouteInput {
  canary: Canary;
  names: CanaryNames;
  /** All in the namespaces that Sluice may read, of whatever API version the cluster serves. */
  virtualServices: KubeObject[];
  destinationRules: KubeObject[];
}

export interface RoutePlan {
  /** Empty when everything is as it should be. In order; each is idempotent. */
  writes: ObjectWrite[];
  /** What a person must fix; nothing is written while there are any. */
  problems: Problem[];
}

/** What the live routing objects say now. */
export interface RouteState {
  /** Undefined while the routes do not go through the slots. When several routes differ, the highest weight per destination decides. */
  weights?: Weights;
  /** What else was asked for when the routes were last written. */
  extras?: RouteExtras;
  /** Slots that any route or mirror leads to. */
  reaches?: SlotName[];
  /** What of the user's does not reach the slots, in words; nothing is held for it. */
  warnings?: string[];
  /** What a person must fix before anything new begins. Routes are written all the same: going back is never held. */
  problems?: Problem[];
  /** False while subsets that the routes will name are not there. */
  prepared?: boolean;
  /** False when any routing object differs from what `plan` would write for `weights`. */
  consistent: boolean;
  /** Field manager that last wrote the destinations, when it is not Sluice. */
  foreignManager?: string;
  /** The list in which it did, as a JSON pointer: `/spec/http`, `/spec/tls` or `/spec/tcp`. */
  foreignField?: string;
  /** The VirtualService that it wrote, and the weights there; without any, its routes lead past the slots. */
  foreignObject?: { name: string; weights?: Weights };
  /** Fields of other objects of the user's in which somebody wrote over ours. */
  resets?: Reset[];
}

/** Moves traffic between the slots. Pure: the engine reads before and writes after. */
export interface Router {
  observe(input: RouteInput): RouteState;
  /**
   * The writes that bring every route to these weights and, for as long as they are asked for, to these extras. Of the user's routes
   * only destinations that belong to the Canary change.
   */
  plan(input: RouteInput, weights: Weights, extras?: RouteExtras): RoutePlan;
  /** The writes without which no route may name a slot; none when they have been made. */
  prepare(input: RouteInput): RoutePlan;
  /**
   * The writes that give the user's routes back byte-identical and delete generated objects.
   * @param keepRules leave DestinationRules as they are: proxies that learn late may still send by them
   */
  release(input: RouteInput, keepRules?: boolean): RoutePlan;
  /**
   * Lay the overlay of `live` over a manifest about to be applied by a syncing tool: weights stay, the user's other edits come in.
   * Returns the manifest unchanged when no overlay lies on `live`.
   */
  overlay(manifest: KubeObject, live: KubeObject): KubeObject;
}

/** A metric of one canary over one stretch of time. */
export interface MeasureRequest {
  /** `request-success-rate`, `request-duration`, or the name of a templated metric. */
  metric: string;
  /** Base address of the metrics server. */
  server: string;
  template?: { spec: MetricTemplateSpec; name: string; credentials?: Record<string, string>; variables: Record<string, string> };
  namespace: string;
  name: string;
  target: string;
  revision: string;
  /** Revision of the stable version. */
  stable?: string;
  /** The commits that brought the two, as far as they are known. */
  commit?: string;
  stableCommit?: string;
  /** Identifies this check of this run: the same after a restart of the controller, another one for the next check. */
  check?: string;
  /** `metadata.uid` of the Canary: owner of what a check makes. */
  uid?: string;
  /** Service names of the slot under test and of the stable one; each is also the name of the slot's Deployment. With subsets there are only the Deployments. */
  service: string;
  stableService: string;
  /**
   * Whose counts: the callers' proxies by Service (default) or by the workload that answered (with subsets the Service is the same),
   * the waypoint that the Service goes through, or the proxies of the pods under test, which see copies and callers without a proxy too.
   */
  reporter?: 'workload' | 'destination' | 'waypoint';
  /** Evidence from requests in [from, to], unix milliseconds. */
  from: number;
  to: number;
}

export interface MetricsSource {
  /** Never rejects: failures are measurements too. */
  measure(request: MeasureRequest): Promise<Measurement>;
  /**
   * The counts of both versions, `service` and `stableService`, in each complete window of the grid in [from, to]. Of built-in metrics,
   * and of templates with `counts`. Never rejects.
   */
  windows(request: MeasureRequest): Promise<Windows>;
}

export interface HookPayload {
  name: string;
  namespace: string;
  phase: string;
  /** Revision under release. */
  checksum: string;
  metadata: Record<string, string>;
}
export interface HookCaller {
  /** Never rejects. Bounded by the webhook's timeout and retries. */
  call(webhook: WebhookSpec, payload: HookPayload): Promise<HookAnswer>;
}

/** What a notifier tells people; the same content for every kind of receiver. */
export interface Notification {
  id: string;
  event: string;
  severity: 'info' | 'warn' | 'error';
  text: string;
  cluster?: string;
  namespace: string;
  canary: string;
  target: string;
  revision?: string;
  commit?: string;
  author?: string;
  subject?: string;
  source?: string;
  reason?: string;
  weight?: number;
  /** Where else the release can be looked at. */
  links?: { name: string; url: string }[];
  at: string;
}
export interface Notifier {
  /** Rejects with a message that names the provider and never holds its address or token. */
  send(provider: { name: string; spec: AlertProviderSpec; credentials?: Record<string, string> }, notification: Notification): Promise<void>;
}

/** How one write-back ended. `Skipped`: there is nothing to write, or it may not be written; the message says why. */
export interface WriteBackOutcome {
  state: 'Done' | 'Skipped';
  message: string;
  /** The commit that is in the branch now. */
  written?: string;
  /** The pull request. */
  url?: string;
}
/** Carries verdicts back to Git. */
export interface GitWriter {
  /** Idempotent: what a former life pushed already is found, not repeated. Rejects with a message without secrets when it is worth trying again. */
  write(canary: Canary, request: WriteBack): Promise<WriteBackOutcome>;
}
