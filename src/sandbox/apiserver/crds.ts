import type { KubeObject } from '../../kube/types.js';
import { asArray, asObject, asString, at, clone, deepEqual } from './json.js';
import { crdKind } from './kinds/crd.js';
import { customKinds } from './kinds/custom.js';
import { timestamp } from './meta.js';
import type { Objects } from './objects.js';
import { CRD_CLEANUP } from './removal.js';
import type { StoredEvent } from './storage.js';

/** Serves the kinds of CustomResourceDefinitions as soon as they are stored, and removes their objects with them. */
export class CrdController {
  private working = false;

  constructor(
    private readonly objects: Objects,
    private readonly now: () => Date,
  ) {}

  start(): void {
    this.objects.storage.observe((event) => this.onEvent(event));
  }

  private onEvent(event: StoredEvent): void {
    if (event.key === crdKind.storageKey) {
      if (event.type === 'DELETED') this.withdraw(event.object);
      else this.serve(event.object);
      return;
    }
    if (event.type === 'DELETED') this.finishCleanup(event.key);
  }

  private serve(crd: KubeObject): void {
    const kinds = customKinds(crd);
    const first = kinds[0];
    const spec = asObject(crd['spec']);
    this.objects.registry.replaceCustom(asString(spec['group']), asString(at(spec, 'names', 'plural')), kinds);
    if (crd.metadata.deletionTimestamp !== undefined && first !== undefined) {
      for (const object of this.objects.storage.list(first.storageKey)) {
        if (object.metadata.deletionTimestamp === undefined)
          this.objects.delete(first, object.metadata.namespace, object.metadata.name, {});
      }
      this.finishCleanup(first.storageKey);
      return;
    }
    this.establish(crd);
  }

  /** Status as the real controllers set it: names accepted, established, versions stored. */
  private establish(crd: KubeObject): void {
    if (this.working) return;
    const names = asObject(at(crd, 'spec', 'names'));
    const storage = asString(
      at(
        asArray(at(crd, 'spec', 'versions')).find((version) => at(version, 'storage') === true),
        'name',
      ),
    );
    const stored = asArray(at(crd, 'status', 'storedVersions')).map(String);
    const existing = asArray(at(crd, 'status', 'conditions'));
    const lastTransitionTime = timestamp(this.now());
    const condition = (type: string, reason: string, message: string): unknown =>
      existing.find((item) => at(item, 'type') === type) ?? { type, status: 'True', lastTransitionTime, reason, message };
    const status = {
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      acceptedNames: names,
      storedVersions: stored.includes(storage) ? stored : [...stored, storage],
    };
    if (deepEqual(status, crd['status'])) return;
    const draft = clone({ ...crd, status });
    this.working = true;
    this.objects.finish(crdKind, draft);
    this.working = false;
  }

  private withdraw(crd: KubeObject): void {
    this.objects.registry.replaceCustom(asString(at(crd, 'spec', 'group')), asString(at(crd, 'spec', 'names', 'plural')), []);
  }

  private finishCleanup(storageKey: string): void {
    const [group = '', plural = ''] = storageKey.split('/');
    const crd = this.objects.storage.get(crdKind.storageKey, undefined, `${plural}.${group}`);
    if (crd?.metadata.deletionTimestamp === undefined || this.objects.storage.list(storageKey).length > 0) return;
    const draft = clone(crd);
    draft.metadata.finalizers = draft.metadata.finalizers?.filter((finalizer) => finalizer !== CRD_CLEANUP);
    this.objects.finish(crdKind, draft);
  }
}
