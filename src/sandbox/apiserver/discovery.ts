import { createHash } from 'node:crypto';
import type { Registry } from './registry.js';
import { apiVersionOf, type ResourceInfo, type SubresourceName } from './types.js';

/** Version of Kubernetes that the server stands for. */
export const VERSION = {
  major: '1',
  minor: '35',
  emulationMajor: '1',
  emulationMinor: '35',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '34',
  gitVersion: 'v1.35.0',
  gitCommit: '0000000000000000000000000000000000000000',
  gitTreeState: 'clean',
  buildDate: '2025-12-17T00:00:00Z',
  goVersion: 'go1.25.5',
  compiler: 'gc',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const CUSTOM_VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const SUBRESOURCES: Record<SubresourceName, { kind?: string; group?: string; version?: string; verbs: string[] }> = {
  status: { verbs: ['get', 'patch', 'update'] },
  scale: { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] },
  log: { verbs: ['get'] },
  eviction: { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
};

/** Reviews are answered, not stored. */
const REVIEWS = [
  { plural: 'selfsubjectaccessreviews', kind: 'SelfSubjectAccessReview' },
  { plural: 'selfsubjectrulesreviews', kind: 'SelfSubjectRulesReview' },
];
export const REVIEW_GROUP = 'authorization.k8s.io';

/** Kinds that are kept in another version than the one they are served in. */
const STORED_AS: Record<string, string> = {
  '/events': '/v1/Event',
  'apiextensions.k8s.io/customresourcedefinitions': 'apiextensions.k8s.io/v1beta1/CustomResourceDefinition',
};

/** Tells clients whether objects of two kinds are stored alike. */
const storageHash = (info: ResourceInfo): string =>
  createHash('sha256')
    .update(STORED_AS[info.storageKey] ?? `${info.group}/${info.storageVersion}/${info.kind}`)
    .digest()
    .subarray(0, 8)
    .toString('base64');

function verbsOf(info: ResourceInfo): string[] {
  if (info.custom) return CUSTOM_VERBS;
  return info.storageKey === '/namespaces' ? VERBS.filter((verb) => verb !== 'deletecollection') : VERBS;
}

/** In the order of the real server: by name, custom ones as they were declared. */
const subresourcesOf = (info: ResourceInfo): SubresourceName[] =>
  info.custom ? [...info.subresources] : [...info.subresources].toSorted();

function legacyResources(info: ResourceInfo): unknown[] {
  const main = {
    name: info.plural,
    singularName: info.singular,
    namespaced: info.namespaced,
    kind: info.kind,
    verbs: verbsOf(info),
    ...(info.shortNames.length > 0 ? { shortNames: info.shortNames } : {}),
    ...(info.categories.length > 0 ? { categories: info.categories } : {}),
    storageVersionHash: storageHash(info),
  };
  const subresources = subresourcesOf(info).map((name) => {
    const { kind, group, version, verbs } = SUBRESOURCES[name];
    return {
      name: `${info.plural}/${name}`,
      singularName: '',
      namespaced: info.namespaced,
      ...(group === undefined ? {} : { group, version }),
      kind: kind ?? info.kind,
      verbs,
    };
  });
  const { namespaced, kind } = info;
  const finalize = { name: 'namespaces/finalize', singularName: '', namespaced, kind, verbs: ['update'] };
  return [main, ...(info.storageKey === '/namespaces' ? [finalize] : []), ...subresources];
}

/** `GET /api/v1` and `GET /apis/G/V`; undefined when that version is not served. */
export function resourceList(registry: Registry, group: string, version: string): unknown {
  const infos = registry.inGroupVersion(group, version).toSorted((a, b) => (a.plural < b.plural ? -1 : 1));
  const reviews = group === REVIEW_GROUP && version === 'v1' ? REVIEWS : [];
  if (infos.length === 0 && reviews.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources: [
      ...infos.flatMap(legacyResources),
      ...reviews.map(({ plural, kind }) => ({
        name: plural,
        singularName: kind.toLowerCase(),
        namespaced: false,
        kind,
        verbs: ['create'],
      })),
    ],
  };
}

function apiGroup(group: string, versions: string[]): Record<string, unknown> {
  const entries = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: entries, preferredVersion: entries[0] };
}

/** `GET /apis`. */
export const groupList = (registry: Registry): unknown => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: registry
    .groups()
    .filter(({ group }) => group !== '')
    .map(({ group, versions }) => apiGroup(group, versions)),
});

/** `GET /apis/G`; undefined when the group is not served. */
export function group(registry: Registry, name: string): unknown {
  const found = registry.groups().find((item) => item.group === name && name !== '');
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(name, found.versions) };
}

/** `GET /api`. */
export const coreVersions = (host: string): unknown => ({
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: host }],
});

const gvk = (groupName: string, version: string, kind: string): unknown => ({ group: groupName, version, kind });

/** Built-in kinds leave out the group and version that they are found under. */
const own = (info: ResourceInfo): unknown => (info.custom ? gvk(info.group, info.version, info.kind) : gvk('', '', info.kind));

function aggregatedResource(info: ResourceInfo): unknown {
  return {
    resource: info.plural,
    responseKind: own(info),
    scope: info.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: info.singular,
    verbs: verbsOf(info),
    ...(info.shortNames.length > 0 ? { shortNames: info.shortNames } : {}),
    ...(info.categories.length > 0 ? { categories: info.categories } : {}),
    ...(info.subresources.size === 0
      ? {}
      : {
          subresources: subresourcesOf(info).map((name) => {
            const { kind, group: g, version, verbs } = SUBRESOURCES[name];
            return {
              subresource: name,
              responseKind: g === undefined ? own(info) : gvk(g, version ?? '', kind ?? info.kind),
              verbs,
            };
          }),
        }),
  };
}

/** Aggregated discovery (`APIGroupDiscoveryList`, v2 or v2beta1) of the core group or of all others. */
export function aggregated(registry: Registry, coreOnly: boolean, version: string): unknown {
  const groups = registry.groups().filter((item) => (item.group === '') === coreOnly);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(({ group: name, versions }) => ({
      metadata: { name: name === '' ? undefined : name, creationTimestamp: null },
      versions: versions.map((item) => ({
        version: item,
        freshness: 'Current',
        resources: [
          ...registry
            .inGroupVersion(name, item)
            .toSorted((a, b) => (a.plural < b.plural ? -1 : 1))
            .map(aggregatedResource),
          ...(name === REVIEW_GROUP
            ? REVIEWS.map(({ plural, kind }) => ({
                resource: plural,
                responseKind: gvk(name, item, kind),
                scope: 'Cluster',
                singularResource: kind.toLowerCase(),
                verbs: ['create'],
              }))
            : []),
        ],
      })),
    })),
  };
}
