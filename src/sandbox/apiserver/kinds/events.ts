import type { KubeObject } from '../../../kube/types.js';
import type { Json } from '../json.js';

/** `core/v1` and `events.k8s.io/v1` Events are one kind under two shapes. Pairs: stored (core) name, events.k8s.io name. */
const RENAMED: [string, string][] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

function rename(object: KubeObject, names: Map<string, string>, apiVersion: string): KubeObject {
  const result: Json = {};
  for (const [key, value] of Object.entries(object)) result[names.get(key) ?? key] = value;
  return { ...result, apiVersion, kind: object.kind, metadata: object.metadata };
}

const toNew = new Map(RENAMED);
const toCore = new Map(RENAMED.map(([core, modern]) => [modern, core]));

/** In the newer form, what is empty is left out. */
export function eventToV1(event: KubeObject): KubeObject {
  const result = rename(event, toNew, 'events.k8s.io/v1');
  for (const key of ['reportingController', 'reportingInstance']) if (result[key] === '') delete result[key];
  return result;
}

export const eventFromV1 = (event: KubeObject): KubeObject => rename(event, toCore, 'v1');
