import { Annotations, Labels } from '../../api/index.js';
import type { ObjectWrite } from '../../engine/ports.js';
import { Resources } from '../../kube/resources.js';
import type { KubeObject } from '../../kube/types.js';
import type { Live } from './schema.js';

type Kind = 'VirtualService' | 'DestinationRule';

/** Of Istio's routing kinds, in a version that the cluster serves. */
export type IstioApiVersion = `networking.istio.io/${string}`;

/** One write, with the resource in the version that the object itself has. */
export function write(op: ObjectWrite['op'], kind: Kind, object: KubeObject, why: string): ObjectWrite {
  const [, version = Resources[kind].version] = object.apiVersion.split('/');
  return { op, resource: { ...Resources[kind], version }, object: structuredClone(object), why };
}

/**
 * An object that Sluice makes. It has no owner reference: what serves traffic must not go by garbage collection, which does not
 * wait until callers are routed elsewhere. `prune: disabled` keeps Sluice's own sync from taking it for something that left Git.
 */
export function generatedObject(
  kind: Kind,
  apiVersion: IstioApiVersion,
  at: { name: string; namespace: string; canary: string },
  spec: Record<string, unknown>,
): KubeObject {
  return {
    apiVersion,
    kind,
    metadata: {
      name: at.name,
      namespace: at.namespace,
      labels: { [Labels.canary]: at.canary },
      annotations: { [Annotations.prune]: 'disabled' },
    },
    spec,
  };
}

/** True when Sluice made the object for this Canary. */
export const isGeneratedFor = (live: Live, canary: string): boolean => live.meta.labels[Labels.canary] === canary;

/** Which object, the way messages name it. */
export const title = (kind: Kind, namespace: string, name: string): string => `${kind} ${namespace}/${name}`;
