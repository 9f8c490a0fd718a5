import type { KubeObject } from '../../kube/types.js';
import { ApiError, badRequest, invalid, invalidValue } from './errors.js';
import { at, clone, isObject, show, type Json } from './json.js';
import { formatSelector } from './kinds/columns.js';
import type { ResourceInfo, ScalePaths } from './types.js';

/** Puts the stored status back: the main endpoint does not write it. Mutates `object`. */
export function dropUnserved(object: KubeObject, previous: KubeObject): void {
  if (previous['status'] === undefined) delete object['status'];
  else object['status'] = previous['status'];
}

/**
 * The `autoscaling/v1` Scale of an object.
 * @throws ApiError 500 when a custom object has no replicas at its `specReplicasPath`, as the real server does
 */
export function scaleOf(object: KubeObject, info: ResourceInfo, paths: ScalePaths): KubeObject {
  const replicas = at(object, ...paths.specReplicas);
  if (typeof replicas !== 'number' && info.custom) {
    throw new ApiError(
      500,
      'InternalError',
      `Internal error occurred: the spec replicas field ".${paths.specReplicas.join('.')}" does not exist`,
      { causes: [{ message: `the spec replicas field ".${paths.specReplicas.join('.')}" does not exist` }] },
    );
  }
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.labelSelector === undefined ? undefined : at(object, ...paths.labelSelector);
  const text = isObject(selector) ? formatSelector(selector) : selector;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: typeof replicas === 'number' && replicas !== 0 ? { replicas } : {},
    status: {
      replicas: Number(at(object, ...paths.statusReplicas) ?? 0),
      ...(typeof text === 'string' && text !== '' ? { selector: text } : {}),
    },
  };
}

const SCALE = { group: 'autoscaling', plural: 'scales', kind: 'Scale' };

/** @throws ApiError 400 when a body is no Scale, or one of another object */
function checkScale(scale: Json, name: string): void {
  const { apiVersion = 'autoscaling/v1', kind = 'Scale' } = scale;
  if (apiVersion !== 'autoscaling/v1' || kind !== 'Scale') {
    const version = show(apiVersion).split('/').at(-1);
    throw badRequest(
      `${show(kind)} in version "${version}" cannot be handled as a Scale: converting (${version}.${show(kind)}) to (autoscaling.Scale): unknown conversion`,
    );
  }
  const given = at(scale, 'metadata', 'name');
  if (given !== undefined && given !== name)
    throw badRequest(`the name of the object (${show(given)}) does not match the name on the URL (${name})`);
}

/** The object that a written Scale asks for. */
export function withScale(object: KubeObject, info: ResourceInfo, paths: ScalePaths, scale: unknown): KubeObject {
  if (!isObject(scale)) throw badRequest('the body must be an autoscaling/v1 Scale');
  checkScale(scale, object.metadata.name);
  const replicas = at(scale, 'spec', 'replicas') ?? 0;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) {
    throw badRequest(
      'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32',
    );
  }
  if (replicas < 0 && !info.custom)
    throw invalid(SCALE, object.metadata.name, [invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0')]);
  const result = clone(object);
  const path = [...paths.specReplicas];
  const last = path.pop();
  let parent: Json = result;
  for (const key of path) {
    if (!isObject(parent[key])) parent[key] = {};
    parent = parent[key] as Json;
  }
  if (last !== undefined) parent[last] = replicas;
  const version = at(scale, 'metadata', 'resourceVersion');
  if (typeof version === 'string' && version !== '') result.metadata.resourceVersion = version;
  else delete result.metadata.resourceVersion;
  const uid = at(scale, 'metadata', 'uid');
  if (typeof uid === 'string' && uid !== '') result.metadata.uid = uid;
  return result;
}
