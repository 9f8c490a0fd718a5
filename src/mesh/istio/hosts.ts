import type { CanaryNames } from '../../engine/ports.js';

/** The Services that a Canary's routes speak of, and the namespace that they are in. */
export interface Identity extends CanaryNames {
  namespace: string;
  /** Subsets of the Service that are the user's: they are no slot's, whatever they are called. */
  taken?: string[];
}

/**
 * What follows the Service's name in `host` when that host is the Service: empty for the short name, else `.NS`, `.NS.svc` or
 * `.NS.svc.DOMAIN`. Undefined when the host is something else.
 * @param from namespace of the object that holds the host: a short name means a Service there.
 */
export function hostSuffix(host: string, service: string, namespace: string, from: string = namespace): string | undefined {
  if (host === service) return from === namespace ? '' : undefined;
  if (!host.startsWith(`${service}.`)) return undefined;
  const suffix = host.slice(service.length);
  const [, inNamespace, svc] = suffix.split('.');
  return inNamespace === namespace && (svc === undefined || svc === 'svc') ? suffix : undefined;
}

export const isHostOf = (host: string, service: string, namespace: string, from?: string): boolean =>
  hostSuffix(host, service, namespace, from) !== undefined;

/** True when two hosts, both written in `namespace`, are the same one. */
export function sameHost(one: string, other: string, namespace: string): boolean {
  if (one === other) return true;
  const [short = one] = one.split('.');
  return isHostOf(one, short, namespace) && isHostOf(other, short, namespace);
}

/** True when both name the same Services. */
export const sameIdentity = (one: Identity, other: Identity): boolean =>
  one.service === other.service &&
  one.slots.blue === other.slots.blue &&
  one.slots.green === other.slots.green &&
  one.subsets?.blue === other.subsets?.blue &&
  one.subsets?.green === other.subsets?.green &&
  one.namespace === other.namespace;
