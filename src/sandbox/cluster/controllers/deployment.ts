import { selectsLabels } from '../../../kube/selector.js';
import { isNotFound } from '../../../kube/types.js';
import { conditionOf, isTerminal } from '../pods.js';
import { WorkQueue, keyOf, splitKey } from '../queue.js';
import { Kinds } from '../types.js';
import type { Condition, Deployment, DeploymentStatus, Pod, ReplicaSet } from '../types.js';
import { claim } from './claim.js';
import type { ControllerContext } from './context.js';
import { controllerOf, sameValue } from './context.js';
import {
  NameCollision,
  createNewSet,
  findNewSet,
  oldestFirst,
  refreshNewSet,
  removeOldSets,
  revisionOf,
  sizeAnnotations,
} from './deploymentSets.js';
import {
  countStatus,
  deadlineOf,
  isComplete,
  judgeProgress,
  setCondition,
  timedOutIn,
  withReplicaFailure,
} from './deploymentStatus.js';
import { OwnerIndex } from './ownerIndex.js';
import {
  DESIRED_REPLICAS,
  REVISION,
  available,
  isRolling,
  newSetSize,
  proportional,
  shrinkOld,
  wanted,
} from './replicaCounts.js';

const OWNER = { apiVersion: 'apps/v1', kind: 'Deployment' };

/** One turn over one Deployment: what it owns and the conditions decided on the way. */
interface Turn {
  deployment: Deployment;
  fresh: ReplicaSet | undefined;
  /** Oldest first. */
  old: ReplicaSet[];
  conditions: Condition[];
}

/** Rolls Deployments out by resizing their ReplicaSets. */
export class DeploymentController {
  private readonly queue: WorkQueue;
  private readonly sets: OwnerIndex<ReplicaSet>;
  private readonly pods: OwnerIndex<Pod>;

  constructor(private readonly context: ControllerContext) {
    const { informers, clock } = context;
    this.sets = new OwnerIndex(informers.replicaSets);
    this.pods = new OwnerIndex(informers.pods);
    this.queue = new WorkQueue({
      work: (key) => this.sync(key),
      onError: (key, error) => context.onError('deployment', key, error),
      clock,
      concurrency: 8,
    });
    informers.deployments.onChange((key) => this.queue.add(keyOf(key)));
    informers.replicaSets.onChange((_key, set, previous) => this.setChanged(set, previous));
    informers.pods.onChange((_key, pod, previous) => this.podChanged(pod, previous));
  }

  start(): void {
    for (const deployment of this.context.informers.deployments.list()) this.queue.add(keyOf(deployment.metadata));
  }

  stop(): void {
    this.queue.stop();
  }

  private setChanged(set: ReplicaSet | undefined, previous: ReplicaSet | undefined): void {
    for (const version of [set, previous]) {
      const owner = version && controllerOf(version);
      if (owner?.kind === 'Deployment') this.queue.add(keyOf({ namespace: version?.metadata.namespace, name: owner.name }));
    }
    if (!set || controllerOf(set)) return;
    for (const deployment of this.context.informers.deployments.list(set.metadata.namespace)) {
      if (selectsLabels(deployment.spec.selector, set.metadata.labels)) this.queue.add(keyOf(deployment.metadata));
    }
  }

  /** A Recreate rollout goes on when the last old pod has left; nothing of a ReplicaSet may change at that moment. */
  private podChanged(pod: Pod | undefined, previous: Pod | undefined): void {
    const owner = pod === undefined && previous ? controllerOf(previous) : undefined;
    if (owner?.kind !== 'ReplicaSet') return;
    const set = this.context.informers.replicaSets.get(previous?.metadata.namespace, owner.name);
    if (set) this.setChanged(set, undefined);
  }

  private async sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const deployment = this.context.informers.deployments.get(namespace, name);
    if (!deployment) return;
    const owned = await claim({
      client: this.context.client,
      resource: Kinds.ReplicaSet,
      index: this.sets,
      owner: deployment,
      ownerKind: OWNER,
      observe: (set) => this.context.informers.replicaSets.observe(set),
    });
    const fresh = findNewSet(deployment, owned);
    const old = owned.filter((set) => set !== fresh).sort(oldestFirst);
    const turn: Turn = { deployment, fresh, old, conditions: deployment.status?.conditions ?? [] };
    if (!deployment.metadata.deletionTimestamp) await this.act(turn);
    await this.writeStatus(turn);
  }

  private async act(turn: Turn): Promise<void> {
    this.notePause(turn);
    if (turn.deployment.spec.paused || this.isResized(turn)) {
      if (turn.fresh) await this.refresh(turn, turn.fresh);
      await this.scale(turn);
      if (turn.deployment.spec.paused) await this.tidy(turn);
      return;
    }
    const moved = isRolling(turn.deployment) ? await this.roll(turn) : await this.recreate(turn);
    if (moved) return;
    if (isComplete(turn.deployment, this.counts(turn))) await this.tidy(turn);
  }

  private notePause(turn: Turn): void {
    const { deployment } = turn;
    if (deadlineOf(deployment) === undefined) return;
    const current = conditionOf(turn.conditions, 'Progressing');
    const wasPaused = current?.reason === 'DeploymentPaused';
    if (current?.reason === 'ProgressDeadlineExceeded' || wasPaused === (deployment.spec.paused === true)) return;
    const next = wasPaused
      ? { reason: 'DeploymentResumed', message: 'Deployment is resumed' }
      : { reason: 'DeploymentPaused', message: 'Deployment is paused' };
    this.note(turn, { type: 'Progressing', status: 'Unknown', ...next });
  }

  /** Whether `spec.replicas` changed since the ReplicaSets were last sized. */
  private isResized({ deployment, fresh, old }: Turn): boolean {
    return [...(fresh ? [fresh] : []), ...old].some((set) => {
      const before = set.metadata.annotations?.[DESIRED_REPLICAS];
      return wanted(set) > 0 && before !== undefined && Number(before) !== wanted(deployment);
    });
  }

  private async scale(turn: Turn): Promise<void> {
    const { deployment, fresh, old } = turn;
    const all = [...(fresh ? [fresh] : []), ...old];
    const active = all.filter((set) => wanted(set) > 0);
    const only = active.length === 0 ? (fresh ?? old.at(-1)) : active.length === 1 ? active[0] : undefined;
    if (only) {
      if (wanted(only) !== wanted(deployment)) await this.resize(turn, only, wanted(deployment));
      return;
    }
    if (active.length === 0) return;
    if (fresh && this.isSaturated(deployment, fresh)) {
      for (const set of old) if (wanted(set) > 0) await this.resize(turn, set, 0);
      return;
    }
    if (!isRolling(deployment)) return;
    for (const { set, size } of proportional(deployment, active)) await this.resize(turn, set, size);
  }

  private isSaturated(deployment: Deployment, set: ReplicaSet): boolean {
    const size = wanted(deployment);
    return wanted(set) === size && Number(set.metadata.annotations?.[DESIRED_REPLICAS]) === size && available(set) === size;
  }

  private async roll(turn: Turn): Promise<boolean> {
    await this.ensureNewSet(turn);
    const { deployment, fresh, old } = turn;
    if (!fresh) return false;
    const all = [fresh, ...old];
    const size = wanted(fresh) > wanted(deployment) ? wanted(deployment) : newSetSize(deployment, all, wanted(fresh));
    if (await this.resize(turn, fresh, size)) return true;
    const smaller = shrinkOld(deployment, fresh, old);
    for (const resize of smaller) await this.resize(turn, resize.set, resize.size);
    return smaller.length > 0;
  }

  private async recreate(turn: Turn): Promise<boolean> {
    const running = turn.old.filter((set) => wanted(set) > 0);
    for (const set of running) await this.resize(turn, set, 0);
    if (running.length > 0) return true;
    const alive = turn.old.some((set) => this.pods.ownedBy(set.metadata.uid).some((pod) => !isTerminal(pod)));
    if (alive) return true;
    await this.ensureNewSet(turn);
    return turn.fresh ? this.resize(turn, turn.fresh, wanted(turn.deployment)) : false;
  }

  private async ensureNewSet(turn: Turn): Promise<void> {
    if (turn.fresh) return this.refresh(turn, turn.fresh);
    const revision = this.nextRevision(turn);
    try {
      turn.fresh = await this.createSet(turn, revision);
    } catch (error) {
      if (error instanceof NameCollision) await this.saltHash(turn.deployment);
      throw error;
    }
    const message = `Created new replica set "${turn.fresh.metadata.name}"`;
    this.note(turn, { type: 'Progressing', status: 'True', reason: 'NewReplicaSetCreated', message });
    await this.writeRevision(turn, turn.fresh);
  }

  private async createSet(turn: Turn, revision: number): Promise<ReplicaSet> {
    const set = await createNewSet(this.context.client, turn.deployment, turn.old, revision);
    this.context.informers.replicaSets.observe(set);
    this.announce(turn.deployment, set, 0, wanted(set));
    return set;
  }

  private async refresh(turn: Turn, fresh: ReplicaSet): Promise<void> {
    turn.fresh = await refreshNewSet(this.context.client, turn.deployment, fresh, this.nextRevision(turn));
    if (turn.fresh !== fresh) this.context.informers.replicaSets.observe(turn.fresh);
    if (!conditionOf(turn.conditions, 'Progressing') && deadlineOf(turn.deployment) !== undefined) {
      const message = `Found new replica set "${fresh.metadata.name}"`;
      this.note(turn, { type: 'Progressing', status: 'True', reason: 'FoundNewReplicaSet', message });
    }
    await this.writeRevision(turn, turn.fresh);
  }

  /** One more than any older ReplicaSet's, so that going back to an old template makes it the latest revision. */
  private nextRevision({ old }: Turn): number {
    return Math.max(0, ...old.map(revisionOf)) + 1;
  }

  private async saltHash(deployment: Deployment): Promise<void> {
    const { namespace, name } = deployment.metadata;
    const body = { status: { collisionCount: (deployment.status?.collisionCount ?? 0) + 1 } };
    const written = await this.context.client.patch(Kinds.Deployment, namespace, name, body, 'merge', { subresource: 'status' });
    this.context.informers.deployments.observe(written);
  }

  private async writeRevision(turn: Turn, fresh: ReplicaSet): Promise<void> {
    const { metadata } = turn.deployment;
    const revision = String(revisionOf(fresh));
    if (metadata.annotations?.[REVISION] === revision) return;
    const body = { metadata: { annotations: { [REVISION]: revision } } };
    turn.deployment = await this.context.client.patch(Kinds.Deployment, metadata.namespace, metadata.name, body, 'merge');
    this.context.informers.deployments.observe(turn.deployment);
  }

  /** Writes a ReplicaSet's size and the sizes that it was computed from. True when the size itself changed. */
  private async resize(turn: Turn, set: ReplicaSet, size: number): Promise<boolean> {
    const annotations = sizeAnnotations(turn.deployment);
    const noted = Object.entries(annotations).every(([key, value]) => set.metadata.annotations?.[key] === value);
    if (wanted(set) === size && noted) return false;
    const { namespace, name, resourceVersion } = set.metadata;
    const body = { metadata: { resourceVersion, annotations }, spec: { replicas: size } };
    const written = await this.context.client.patch(Kinds.ReplicaSet, namespace, name, body, 'merge');
    this.context.informers.replicaSets.observe(written);
    if (turn.fresh === set) turn.fresh = written;
    else turn.old = turn.old.map((other) => (other === set ? written : other));
    this.announce(turn.deployment, set, wanted(set), size);
    return wanted(set) !== size;
  }

  private announce(deployment: Deployment, set: ReplicaSet, from: number, to: number): void {
    if (from === to) return;
    const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${to}`;
    this.context.events.event(deployment, 'Normal', 'ScalingReplicaSet', message);
  }

  private async tidy(turn: Turn): Promise<void> {
    await removeOldSets(this.context.client, turn.deployment, turn.old);
  }

  private note(turn: Turn, condition: Condition): void {
    turn.conditions = setCondition(turn.conditions, condition, this.context.clock.now());
  }

  private counts({ deployment, fresh, old, conditions }: Turn): DeploymentStatus {
    return countStatus(deployment, fresh, fresh ? [fresh, ...old] : old, conditions, this.context.clock.now());
  }

  private async writeStatus(turn: Turn): Promise<void> {
    const { deployment, fresh, old } = turn;
    const now = this.context.clock.now();
    const counted = this.counts(turn);
    const judged = deployment.spec.paused ? counted : judgeProgress(deployment, counted, fresh, now);
    const status = withReplicaFailure(judged, fresh, old, now);
    this.checkDeadlineLater(deployment, status, now);
    if (sameValue(status, { ...deployment.status })) return;
    const { namespace, name, uid } = deployment.metadata;
    try {
      const body = { metadata: { uid }, status };
      const written = await this.context.client.patch(Kinds.Deployment, namespace, name, body, 'merge', {
        subresource: 'status',
      });
      this.context.informers.deployments.observe(written);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  private checkDeadlineLater(deployment: Deployment, status: DeploymentStatus, now: number): void {
    if (isComplete(deployment, status)) return;
    const left = timedOutIn(deployment, conditionOf(status.conditions, 'Progressing'), now);
    if (left !== undefined && left > 0) this.queue.addAfter(keyOf(deployment.metadata), left + 1000);
  }
}
