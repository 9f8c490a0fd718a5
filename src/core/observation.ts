import type { CanarySpec, CanaryStatus, Provenance, SlotName, Verb, WebhookSpec } from '../api/index.js';
import type { HookAnswer, Measurement, Problem, RouteExtras, Weights, Windows } from './evidence.js';

/** A slot as the cluster shows it. */
export interface SlotObservation {
  /** Revision that its Deployment holds; undefined while there is no Deployment. */
  revision?: string;
  /** `spec.replicas` of its Deployment. */
  replicas: number;
  /** Pods that are ready and among the ready endpoints of the slot's Service: the smaller of the two counts. */
  ready: number;
  /** Ready endpoints of its Service. */
  endpoints: number;
  /** Pods that exist and are not being deleted (trap K10): those that go take no new requests. */
  pods: number;
  /** Why pods do not become ready, in the pod's own words: `ImagePullBackOff: …`. */
  failure?: string;
  /** The Deployment reports ProgressDeadlineExceeded. */
  exceeded: boolean;
  /** Somebody else changed the template; who and what. */
  edited?: string;
  /** The `kubectl rollout restart` that its template carries. */
  restartedAt?: string;
  /** When the oldest of its pods was made, unix milliseconds. */
  oldestPod?: number;
  /** The second Service of its pods, for a control arm; undefined when there is none. */
  control?: { /** Ready endpoints. */ endpoints: number };
}

/** The revision that the target and its tracked configuration make now. */
export interface DesiredRevision {
  revision: string;
  provenance: Provenance;
  /** Unix milliseconds since when this is what the cluster says. */
  since: number;
  /** Moves whenever somebody writes what the revision is made from; unset when that is not known. */
  origin?: string;
  /** Images that may be other images tomorrow: those with the tag `latest`, or none. */
  mutableImages?: string[];
  /** The commit asks to run a quarantined revision again. */
  retry?: boolean;
}

/** What decisions use of the autoscalers of a Canary. */
export interface AutoscalerObservation {
  /** `HorizontalPodAutoscaler reviews`. */
  name: string;
  /** Why it cannot scale at the moment, in its own words: its condition ScalingActive is False. */
  inactive?: string;
  /** One of its metrics is an average over pods that does not fall when there are more of them: memory, Pods, Value (trap K3). */
  perPod: boolean;
  /** What its other metrics ask for, as a multiple of the pods that it counts; undefined when there are none, or nothing was measured. */
  loadRatio?: number;
}

/** A field of the user's object that somebody wrote over what Sluice had laid there. */
export interface Reset {
  kind: string;
  name: string;
  /** JSON pointer of the whole field, such as `/spec/selector`. */
  field: string;
  /** The field manager that wrote it; undefined when the API server does not tell. */
  manager?: string;
}

/** Everything that one decision may use, gathered once. */
export interface Observation {
  name: string;
  namespace: string;
  generation: number;
  deleting: boolean;
  /** Our finalizer is on the Canary. */
  finalizer: boolean;
  /** Undefined when the target does not exist. */
  target?: { replicas: number; readyReplicas: number; overlaid: boolean; userReplicas: number; /** Its `spec.selector` as text, where that has labels only. */ selector?: string; /** Ready pods of its own that carry the mark of the hand-over. */ marked?: number; /** RFC 3339, as `kubectl rollout restart` writes it. */ restartedAt?: string };
  /** Of a DaemonSet: on how many nodes its pods run, 1 while nobody knows. There is no other number of pods then. */
  nodes?: number;
  desired?: DesiredRevision;
  slots: Record<SlotName, SlotObservation>;
  /** The watches of pods or endpoints are broken at the moment: what is seen of the slots may be old. */
  blind?: true;
  routes: {
    weights?: Weights;
    extras?: RouteExtras;
    /** Slots that any route or mirror leads to, whatever the weights say. */
    reaches?: SlotName[];
    /** What of the user's does not reach the slots, in words. */
    warnings?: string[];
    /** False while the subsets that the routes will name are not there. */
    prepared?: boolean;
    consistent: boolean;
    /** Unix milliseconds since when these weights have been seen; undefined when this process never saw others. */
    since?: number;
    /** When Sluice last wrote the routes, in unix milliseconds at whole seconds, as the API server says. */
    writtenAt?: number;
    foreignManager?: string;
    /** The list in which it wrote; absent: `/spec/http`. */
    foreignField?: string;
    /** The VirtualService that it wrote, and the weights there; without any, its routes lead past the slots. */
    foreignObject?: { name: string; weights?: Weights };
  };
  /** What the Services for callers outside the mesh select; `marked` are the target's own pods, `none` when there is no such Service, undefined when they disagree. With subsets, the Service that the routes name has to select both slots: that is `slots`, and the others decide where there are any. */
  service: {
    selects?: 'target' | 'marked' | SlotName | 'both' | 'none' | 'slots';
    /** Callers of one of them learn late of another selector: a headless Service, or a load balancer in front of it (trap K5). */
    slow?: boolean;
  };
  /** Unix milliseconds since when this process has looked at the Canary whenever it was due; undefined: since long ago. */
  watchedSince?: number;
  /** What scales the Canary, if anything does. */
  autoscaler?: AutoscalerObservation;
  /** Overlaid fields, routes aside, that somebody has reset. */
  resets?: Reset[];
  /** True when budgets and autoscalers speak of the slots, or of the target again while the Canary goes. */
  attached?: boolean;
  /** What a person must fix. Whatever serves goes on serving. */
  problems: Problem[];
  actions: ActionObservation[];
  /** Answers to what an earlier pass of the same tick asked for. */
  measurements?: { metric: string; measurement: Measurement }[];
  windows?: { metric: string; of: EvidenceOf; windows: Windows }[];
  hooks?: Record<string, HookAnswer>;
  /** Metrics of templates that give counts, so that both versions can be compared by them. */
  counted?: string[];
  /** The last failed write, in words, while it has not succeeded since. */
  writeError?: string;
  /** An effect that was refused for a reason that only a person can mend. */
  refused?: Problem;
}

export interface ActionObservation {
  name: string;
  verb: Verb;
  revision?: string;
  by: string;
  reason?: string;
  /** The API server already shows its result. */
  finished: boolean;
}

/** Evidence that a decision lacks; the engine gathers it and decides again. */
export interface Needs {
  /** Judge these metrics over [from, to], unix milliseconds. */
  metrics: { metric: string; from: number; to: number; /** Who counted: the callers' proxies, unless only the canary's own can. */ reporter?: 'destination'; /** The stable side is the control arm of the match. */ control?: true }[];
  hooks: WebhookSpec[];
  /** Counts of both versions in each window of [from, to]. */
  windows?: WindowsNeed[];
}

/** `baseline`: of the stable version alone, before the release. `run`: of both, in the step in force. */
export type EvidenceOf = 'baseline' | 'run';
export interface WindowsNeed {
  metric: string;
  of: EvidenceOf;
  from: number;
  to: number;
  reporter?: 'destination';
  /** Compare with the control arm of the match, not with all that the stable version serves. */
  control?: true;
}

/** What is to be done, in order. Each is idempotent. */
export type Effect =
  | { type: 'addFinalizer' }
  | { type: 'seedReplicas'; replicas: number }
  | { type: 'keepRevision'; revision: string }
  /** And, where they are wanted, those of the control arm. */
  | { type: 'createSlotServices' }
  | { type: 'deleteControl' }
  | { type: 'fillSlot'; slot: SlotName; revision: string; replicas: number }
  | { type: 'scaleSlot'; slot: SlotName; replicas: number; why: string }
  | { type: 'restartSlot'; slot: SlotName; at: string }
  /** What the routes will name, before they name it. */
  | { type: 'prepareRoutes' }
  | { type: 'setWeights'; weights: Weights; extras?: RouteExtras }
  | { type: 'selectService'; slots: SlotName[] }
  /** Mark the pods of the target itself, and lead Services to those alone: while the slots' pods live, the user's labels do not tell them apart. */
  | { type: 'markTarget' }
  | { type: 'selectTarget' }
  | { type: 'unmarkTarget' }
  | { type: 'overlayTarget' }
  /** Budgets and autoscalers: of the slots, `stable` being the one that serves; without it, of the target. */
  | { type: 'attach'; stable?: SlotName }
  | { type: 'restoreTarget'; replicas: number }
  /** `keepRules`: proxies that learn late still need the DestinationRules. */
  | { type: 'releaseRoutes'; keepRules?: true }
  | { type: 'releaseServices' }
  | { type: 'deleteSlots' }
  | { type: 'removeFinalizer' }
  | { type: 'finishAction'; name: string; result: 'Applied' | 'Refused'; message: string }
  | { type: 'pruneRevisions'; keep: string[] };

/** A Kubernetes Event on the Canary. */
export interface DecisionEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

export interface DecisionInput {
  spec: CanarySpec;
  status: CanaryStatus;
  observed: Observation;
  /** Unix milliseconds. */
  now: number;
}

export interface Decision {
  status: CanaryStatus;
  effects: Effect[];
  events: DecisionEvent[];
  /** Unix milliseconds at which the next decision is due without any change. */
  wakeAt?: number;
  /** Set when the decision needs more evidence; then status and effects are those of an unchanged world. */
  needs?: Needs;
}
