import type { KubeObject, ObjectMeta, Resource } from '../kube/types.js';
import { API_VERSION, GROUP, VERSION } from './common.js';
import type { CanarySpec } from './canary-spec.js';
import type { CanaryStatus } from './canary-status.js';
import type {
  AlertProviderSpec,
  CanaryActionSpec,
  CanaryActionStatus,
  GitSourceSpec,
  GitSourceStatus,
  ReadyStatus,
} from './others.js';
import type { MetricTemplateSpec } from './metric-template.js';

interface Typed<K extends string, S, T = undefined> extends KubeObject {
  apiVersion: typeof API_VERSION;
  kind: K;
  metadata: ObjectMeta;
  spec: S;
  status?: T;
}
export type Canary = Typed<'Canary', CanarySpec, CanaryStatus>;
export type CanaryAction = Typed<'CanaryAction', CanaryActionSpec, CanaryActionStatus>;
export type GitSource = Typed<'GitSource', GitSourceSpec, GitSourceStatus>;
export type MetricTemplate = Typed<'MetricTemplate', MetricTemplateSpec, ReadyStatus>;
export type AlertProvider = Typed<'AlertProvider', AlertProviderSpec>;

const own = <T extends KubeObject>(plural: string, kind: string): Resource<T> => ({ group: GROUP, version: VERSION, plural, kind, namespaced: true });

/** Sluice's own kinds. */
export const SluiceResources = {
  Canary: own<Canary>('canaries', 'Canary'),
  CanaryAction: own<CanaryAction>('canaryactions', 'CanaryAction'),
  GitSource: own<GitSource>('gitsources', 'GitSource'),
  MetricTemplate: own<MetricTemplate>('metrictemplates', 'MetricTemplate'),
  AlertProvider: own<AlertProvider>('alertproviders', 'AlertProvider'),
};

/** Labels and annotations that Sluice puts on objects. */
export const Labels = {
  canary: `${GROUP}/canary`,
  slot: `${GROUP}/slot`,
  revision: `${GROUP}/revision`,
  /** On config snapshots: the object that they are a copy of. */
  configOf: `${GROUP}/config-of`,
  /** A node selector that no node satisfies: so a DaemonSet has no pods. */
  nowhere: `${GROUP}/nowhere`,
} as const;

export const Annotations = {
  /** JSON: what the user wrote where Sluice's value lies over it (see engine/overlay.ts). */
  overlay: `${GROUP}/overlay`,
  /** Provenance, written by the Git sync on what a commit changed. */
  commit: `${GROUP}/commit`,
  commits: `${GROUP}/commits`,
  author: `${GROUP}/author`,
  subject: `${GROUP}/subject`,
  source: `${GROUP}/source`,
  /** The file in the repository that declares the object. */
  path: `${GROUP}/path`,
  /** RFC 3339 with milliseconds: when the sync wrote the object. */
  syncedAt: `${GROUP}/synced-at`,
  /** The commit whose trailer `Sluice-Retry: true` asks for another run of a quarantined revision. */
  retry: `${GROUP}/retry`,
  /** The revision that the commit makes, where another tool applied it: with another one in place, the provenance is unknown. */
  confirmed: `${GROUP}/confirmed-revision`,
  /** Asks a GitSource for a sync now; any new value does. */
  syncRequested: `${GROUP}/sync-requested`,
  /** A Git host announced a push: look at the repository soon. `TIME COMMIT`. */
  syncHint: `${GROUP}/sync-hint`,
  /** `disabled` keeps an object when it leaves Git. */
  prune: `${GROUP}/prune`,
  /** On a Job: the check that it was made for. */
  check: `${GROUP}/check`,
  /** Which leader works on the object: no write that an earlier one has made up its mind to can succeed any more. */
  epoch: `${GROUP}/epoch`,
  /** When the slot's revision was last rolled in place (kubectl rollout restart). */
  restartedAt: 'kubectl.kubernetes.io/restartedAt',
} as const;

export const FINALIZER = `${GROUP}/release`;
