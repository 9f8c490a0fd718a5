import type { KubeObject, OwnerReference } from '../../kube/types.js';
import { recordUpdate } from './apply/managers.js';
import { ApiError } from './errors.js';
import { clone } from './json.js';
import type { Objects } from './objects.js';
import { FOREGROUND, ORPHAN } from './removal.js';
import type { StoredEvent, StoredRef } from './storage.js';
import type { ResourceInfo } from './types.js';

/** More rounds than any real owner tree has levels: a cycle of owners must not keep the process busy. */
const MAX_STEPS = 1_000_000;

type OwnerState = 'solid' | 'absent' | 'waiting';

/** Deletes what lost its owners, and finishes foreground and orphaning deletions. Works after the request that caused it was answered. */
export class GarbageCollector {
  private readonly queue = new Set<string>();
  private scheduled = false;
  private stopped = false;

  constructor(private readonly objects: Objects) {
    objects.storage.observe((event) => this.onEvent(event));
  }

  stop(): void {
    this.stopped = true;
    this.queue.clear();
  }

  /** Does everything that is due now: tests and in-process callers need not wait for the next turn of the event loop. */
  drain(): void {
    for (let steps = 0; this.queue.size > 0 && steps < MAX_STEPS; steps++) {
      const [uid] = this.queue;
      if (uid === undefined) return;
      this.queue.delete(uid);
      this.visit(uid);
    }
  }

  private onEvent(event: StoredEvent): void {
    const { metadata } = event.object;
    if (metadata.uid === undefined || this.stopped) return;
    if (event.type === 'DELETED') {
      this.enqueueDependents(metadata.uid);
      for (const owner of metadata.ownerReferences ?? []) this.enqueue(owner.uid);
      return;
    }
    if ((metadata.ownerReferences?.length ?? 0) > 0 || metadata.deletionTimestamp !== undefined) this.enqueue(metadata.uid);
    // A dependent that lets go of its owner may be the last that its foreground deletion waited for.
    for (const owner of event.previous?.metadata.ownerReferences ?? []) this.enqueue(owner.uid);
  }

  private enqueueDependents(uid: string): void {
    for (const { object } of this.objects.storage.dependents(uid))
      if (object.metadata.uid !== undefined) this.enqueue(object.metadata.uid);
  }

  private enqueue(uid: string): void {
    if (this.stopped) return;
    this.queue.add(uid);
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.drain();
    });
  }

  private visit(uid: string): void {
    const ref = this.objects.storage.byUidRef(uid);
    if (ref === undefined) return;
    const object = this.objects.storage.get(ref.key, ref.namespace, ref.name);
    const info = this.objects.registry.byStorageKey(ref.key);
    if (object === undefined || info === undefined) return;
    try {
      this.collect(object, info, ref);
    } catch (error) {
      // Somebody else was faster; their change put the object back in the queue.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  private collect(object: KubeObject, info: ResourceInfo, ref: StoredRef): void {
    const { deletionTimestamp, finalizers = [] } = object.metadata;
    if (deletionTimestamp !== undefined && finalizers.includes(ORPHAN)) return this.orphan(object, info);
    if (deletionTimestamp !== undefined && finalizers.includes(FOREGROUND)) return this.finishForeground(object, info);
    const owners = object.metadata.ownerReferences ?? [];
    if (deletionTimestamp !== undefined || owners.length === 0) return;
    const states = owners.map((owner) => this.stateOf(owner, ref));
    if (states.includes('solid')) {
      if (states.every((state) => state === 'solid')) return;
      const kept = owners.filter((_, index) => states[index] === 'solid');
      this.edit(object, info, (draft) => {
        draft.metadata.ownerReferences = kept;
      });
      return;
    }
    const waiting = states.includes('waiting') && this.objects.storage.dependents(object.metadata.uid ?? '').length > 0;
    const policy =
      waiting || finalizers.includes(FOREGROUND) ? 'Foreground' : finalizers.includes(ORPHAN) ? 'Orphan' : 'Background';
    this.objects.delete(info, ref.namespace, ref.name, { propagationPolicy: policy, uid: object.metadata.uid });
  }

  /** An owner counts when it exists with that uid, kind and name, in the same namespace or cluster wide. */
  private stateOf(owner: OwnerReference, dependent: StoredRef): OwnerState {
    const ref = this.objects.storage.byUidRef(owner.uid);
    const found = ref && this.objects.storage.get(ref.key, ref.namespace, ref.name);
    if (ref === undefined || found === undefined || found.kind !== owner.kind || found.metadata.name !== owner.name)
      return 'absent';
    if (ref.namespace !== undefined && ref.namespace !== dependent.namespace) return 'absent';
    const { deletionTimestamp, finalizers = [] } = found.metadata;
    return deletionTimestamp !== undefined && finalizers.includes(FOREGROUND) ? 'waiting' : 'solid';
  }

  /** Foreground: dependents go first; the owner waits for those that block its deletion. */
  private finishForeground(object: KubeObject, info: ResourceInfo): void {
    const uid = object.metadata.uid ?? '';
    const dependents = this.objects.storage.dependents(uid);
    for (const { object: dependent } of dependents) {
      if (dependent.metadata.deletionTimestamp === undefined && dependent.metadata.uid !== undefined)
        this.enqueue(dependent.metadata.uid);
    }
    const blocking = dependents.some(({ object: dependent }) =>
      (dependent.metadata.ownerReferences ?? []).some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true),
    );
    if (!blocking) this.dropFinalizer(object, info, FOREGROUND);
  }

  private orphan(object: KubeObject, info: ResourceInfo): void {
    const uid = object.metadata.uid ?? '';
    for (const { ref, object: dependent } of this.objects.storage.dependents(uid)) {
      const kind = this.objects.registry.byStorageKey(ref.key);
      if (kind === undefined) continue;
      this.edit(dependent, kind, (draft) => {
        draft.metadata.ownerReferences = draft.metadata.ownerReferences?.filter((owner) => owner.uid !== uid);
      });
    }
    this.dropFinalizer(object, info, ORPHAN);
  }

  private dropFinalizer(object: KubeObject, info: ResourceInfo, finalizer: string): void {
    this.edit(object, info, (draft) => {
      draft.metadata.finalizers = draft.metadata.finalizers?.filter((item) => item !== finalizer);
    });
  }

  private edit(object: KubeObject, info: ResourceInfo, change: (draft: KubeObject) => void): void {
    const draft = clone(object);
    change(draft);
    if (draft.metadata.ownerReferences?.length === 0) delete draft.metadata.ownerReferences;
    if (draft.metadata.finalizers?.length === 0) delete draft.metadata.finalizers;
    const managed = recordUpdate(object, draft, info.schema, { name: 'kube-controller-manager', apiVersion: draft.apiVersion });
    if (managed.length > 0) draft.metadata.managedFields = managed;
    else delete draft.metadata.managedFields;
    this.objects.finish(info, draft);
  }
}
