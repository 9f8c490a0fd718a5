/** A few routing objects as a cluster would keep them, for the router's tests. */
import { canarySpec, type Canary } from '../../../src/api/index.js';
import { canaryNames } from '../../../src/core/names.js';
import type { ObjectWrite, RouteInput } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';

/** A Canary on Deployment `reviews` (or `name`) in namespace `shop`. */
export function canary(service: Record<string, unknown> = {}, name = 'reviews', analysis: Record<string, unknown> = { stepWeight: 10 }): Canary {
  const spec = canarySpec.parse({
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
    service: { port: 9080, ...service },
    analysis,
  });
  return { apiVersion: 'sluice.dev/v1beta1', kind: 'Canary', metadata: { name, namespace: 'shop' }, spec };
}

const key = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.namespace}/${metadata.name}`;

export class Cluster {
  private revision = 100;
  private readonly objects = new Map<string, KubeObject>();

  constructor(objects: KubeObject[]) {
    for (const object of objects) this.objects.set(key(object), structuredClone(object));
  }

  get(kind: string, name: string): KubeObject | undefined {
    return structuredClone(this.objects.get(`${kind}/shop/${name}`));
  }

  input(subject: Canary): RouteInput {
    const all = [...this.objects.values()].map((object) => structuredClone(object));
    return {
      canary: subject,
      names: canaryNames(subject.spec),
      virtualServices: all.filter(({ kind }) => kind === 'VirtualService'),
      destinationRules: all.filter(({ kind }) => kind === 'DestinationRule'),
    };
  }

  /** What a person or a tool writes. */
  put(object: KubeObject): void {
    this.objects.set(key(object), structuredClone(object));
  }

  /** Carry out the router's writes the way the API server would; a stale or impossible one throws. */
  apply(writes: ObjectWrite[]): void {
    for (const { op, object } of writes) {
      const live = this.objects.get(key(object));
      if ((op === 'create') === (live !== undefined))
        throw new Error(`${op} of ${key(object)}, which ${live ? 'exists' : 'does not exist'}`);
      if (live?.metadata.resourceVersion !== object.metadata.resourceVersion)
        throw new Error(`${key(object)}: stale resourceVersion`);
      if (op === 'delete') this.objects.delete(key(object));
      else this.put({ ...object, metadata: { ...object.metadata, resourceVersion: String(++this.revision) } });
    }
  }
}
