import { ISTIO_VERSIONS } from '../kube/resources.js';
import type { KubeObject } from '../kube/types.js';

function crd(versions: readonly string[], kind: string, plural: string, shortName: string, columns: unknown[]): KubeObject {
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.networking.istio.io`, labels: { app: 'istio-pilot', istio: 'security' } },
    spec: {
      group: 'networking.istio.io',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames: [shortName], categories: ['istio-io', 'networking-istio-io'] },
      scope: 'Namespaced',
      versions: versions.map((name) => ({
        name,
        served: true,
        storage: name === versions[0],
        schema: { openAPIV3Schema: schema },
        subresources: { status: {} },
        additionalPrinterColumns: columns,
      })),
    },
  };
}

const age = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/**
 * Istio's routing kinds, enough of them for a sandbox: the fields are Istio's, their validation is not.
 * @param versions that are served; they are stored in the first.
 */
export const istioCrds = (versions: readonly string[] = ISTIO_VERSIONS): KubeObject[] => [
  crd(versions, 'VirtualService', 'virtualservices', 'vs', [
    { name: 'Gateways', type: 'string', jsonPath: '.spec.gateways' },
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts' },
    age,
  ]),
  crd(versions, 'DestinationRule', 'destinationrules', 'dr', [{ name: 'Host', type: 'string', jsonPath: '.spec.host' }, age]),
  crd(versions, 'Gateway', 'gateways', 'gw', [age]),
  crd(versions, 'ServiceEntry', 'serviceentries', 'se', [{ name: 'Hosts', type: 'string', jsonPath: '.spec.hosts' }, age]),
];
