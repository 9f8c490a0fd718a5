/**
 * What is read of Istio's objects. These are views: fields that nobody here needs are left out, and every write starts from the
 * raw object, so a field that this file does not know is never lost.
 */
import { z } from 'zod';
import { perObject } from '../../core/per-object.js';
import type { KubeObject } from '../../kube/types.js';

const strings = z.record(z.string(), z.string()).catch({});
const names = z.array(z.string()).optional().catch(undefined);
const text = z.string().optional().catch(undefined);

const owner = z.object({ manager: text, time: text, fieldsV1: z.unknown().optional() });

const liveObject = z.object({
  apiVersion: z.string(),
  metadata: z.object({
    name: z.string(),
    namespace: z.string().default('default').catch('default'),
    creationTimestamp: z.string().default('').catch(''),
    labels: strings,
    annotations: strings,
    managedFields: z.array(owner.catch({})).default([]).catch([]),
  }),
});

/** An object of the cluster: how it was sent, beside the part of its metadata that is looked at. */
export interface Live {
  raw: KubeObject;
  meta: z.infer<typeof liveObject>['metadata'];
}

/** The objects that can be used at all: those with a version and a name. */
export const readAll = (objects: KubeObject[]): Live[] => objects.flatMap(readOne);

const readOne = perObject((raw: KubeObject): Live[] => {
  const parsed = liveObject.safeParse(raw);
  return parsed.success ? [{ raw, meta: parsed.data.metadata }] : [];
});

/** The lists of a VirtualService that forward, in the order in which Istio documents them. */
export const PROTOCOLS = ['http', 'tls', 'tcp'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

const routes = z.array(z.unknown()).optional().catch(undefined);
const virtualService = z.object({
  spec: z.object({ hosts: names, gateways: names, exportTo: names, http: routes, tls: routes, tcp: routes }).catch({}),
});
/** `spec` of a VirtualService; what cannot be read is absent. */
export const readVirtualService = (raw: unknown): z.infer<typeof virtualService>['spec'] =>
  virtualService.safeParse(raw).data?.spec ?? {};

const httpRoute = z.object({ name: text, route: z.array(z.unknown()).optional().catch(undefined) });
/** One element of `spec.http`; `route` is absent on a redirect, a delegate and a direct response. */
export const readHttpRoute = (raw: unknown): z.infer<typeof httpRoute> => httpRoute.safeParse(raw).data ?? {};

const routeDestination = z.object({
  destination: z.object({ host: z.string().min(1), subset: z.string().optional() }),
  weight: z.int().min(0).optional(),
});
/** One element of `spec.http[].route`, or undefined when Istio would refuse it too. */
export const readDestination = (raw: unknown): z.infer<typeof routeDestination> | undefined =>
  routeDestination.safeParse(raw).data;

const destinationRule = z.object({
  spec: z
    .object({
      host: text,
      trafficPolicy: z.record(z.string(), z.unknown()).optional().catch(undefined),
      exportTo: names,
      workloadSelector: z.unknown().optional(),
      subsets: z.array(z.looseObject({ name: z.string(), labels: strings.optional(), trafficPolicy: z.record(z.string(), z.unknown()).optional().catch(undefined) })).optional().catch(undefined),
    })
    .catch({}),
});
/** `spec` of a DestinationRule; what cannot be read is absent. */
export const readDestinationRule = (raw: unknown): z.infer<typeof destinationRule>['spec'] =>
  destinationRule.safeParse(raw).data?.spec ?? {};
