import { apps } from './kinds/apps.js';
import { core } from './kinds/core.js';
import { crdKind } from './kinds/crd.js';
import { others } from './kinds/others.js';
import type { ResourceInfo } from './types.js';
import { compareVersions } from './versions.js';

const routeKey = (group: string, version: string, plural: string): string => `${group}/${version}/${plural}`;

/** Group order of discovery: built-ins in the real server's order of priority, then custom groups by name. */
const GROUP_ORDER = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'policy',
  'rbac.authorization.k8s.io',
  'apiextensions.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
];

const rank = (group: string): number => {
  const index = GROUP_ORDER.indexOf(group);
  return index < 0 ? GROUP_ORDER.length : index;
};

/** Every served kind: the built-in ones, and those of established CustomResourceDefinitions. */
export class Registry {
  private readonly kinds = new Map<string, ResourceInfo>();
  /** Raised on every change: documents made from the registry are cached under it. */
  generation = 1;

  constructor() {
    for (const info of [...core, ...apps, ...others, crdKind]) this.add(info);
  }

  find(group: string, version: string, plural: string): ResourceInfo | undefined {
    return this.kinds.get(routeKey(group, version, plural));
  }

  /** Any served version of a stored kind; the storage version when it is served. */
  byStorageKey(key: string): ResourceInfo | undefined {
    const all = this.all().filter((info) => info.storageKey === key);
    return all.find((info) => info.version === info.storageVersion && `${info.group}/${info.plural}` === key) ?? all[0];
  }

  byKind(apiVersion: string, kind: string): ResourceInfo | undefined {
    const slash = apiVersion.indexOf('/');
    const group = slash < 0 ? '' : apiVersion.slice(0, slash);
    const version = apiVersion.slice(slash + 1);
    return this.all().find((info) => info.group === group && info.kind === kind && (info.version === version || info.custom));
  }

  all(): ResourceInfo[] {
    return [...this.kinds.values()];
  }

  isBuiltinGroup(group: string): boolean {
    return GROUP_ORDER.includes(group);
  }

  /** Groups in discovery order, each with its versions in order of preference. */
  groups(): { group: string; versions: string[] }[] {
    const groups = new Map<string, Set<string>>([['authorization.k8s.io', new Set(['v1'])]]);
    for (const { group, version } of this.kinds.values()) {
      const versions = groups.get(group) ?? new Set<string>();
      groups.set(group, versions.add(version));
    }
    return [...groups]
      .map(([group, versions]) => ({ group, versions: [...versions].toSorted(compareVersions) }))
      .toSorted((a, b) => rank(a.group) - rank(b.group) || (a.group < b.group ? -1 : 1));
  }

  inGroupVersion(group: string, version: string): ResourceInfo[] {
    return this.all().filter((info) => info.group === group && info.version === version);
  }

  /** Replaces all served versions of one custom kind; an empty list stops serving it. */
  replaceCustom(group: string, plural: string, infos: ResourceInfo[]): void {
    for (const [key, info] of this.kinds)
      if (info.custom && info.group === group && info.plural === plural) this.kinds.delete(key);
    for (const info of infos) this.add(info);
    this.generation++;
  }

  private add(info: ResourceInfo): void {
    this.kinds.set(routeKey(info.group, info.version, info.plural), info);
  }
}
