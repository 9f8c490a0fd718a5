import { randomInt } from 'node:crypto';
import type { KubeObject } from '../../kube/types.js';
import { badRequest } from './errors.js';
import { clone, isObject, show, type Json } from './json.js';
import { decodeError, prune } from './schema/structural.js';
import { apiVersionOf, type ResourceInfo, type WriteContext } from './types.js';

const GENERATED_LENGTH = 5;
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const MAX_GENERATED_BASE = 58;

/** A name from `generateName`, as the real server makes them. */
export function generateName(base: string): string {
  let suffix = '';
  for (let index = 0; index < GENERATED_LENGTH; index++) suffix += ALPHABET[randomInt(ALPHABET.length)];
  return base.slice(0, MAX_GENERATED_BASE) + suffix;
}

/**
 * Turns a request body into a private object of the kind: checks `apiVersion` and `kind`, drops (and reports) unknown fields.
 * @throws ApiError 400 when it is another kind, cannot be decoded, or has unknown fields under `fieldValidation=Strict`
 */
export function decodeObject(body: unknown, info: ResourceInfo, context: WriteContext): KubeObject {
  if (!isObject(body)) throw badRequest(`couldn't get version/kind; json parse error: the body must be a ${info.kind} object`);
  const expected = apiVersionOf(info);
  const apiVersion = body['apiVersion'] ?? expected;
  const kind = body['kind'] ?? info.kind;
  if (apiVersion !== expected) {
    throw badRequest(`the API version in the data (${show(apiVersion)}) does not match the expected API version (${expected})`);
  }
  if (kind !== info.kind)
    throw badRequest(
      `${show(kind)} in version "${info.version}" cannot be handled as a ${info.kind}: no kind "${show(kind)}" is registered for version "${expected}"`,
    );
  const object = { ...clone(body), apiVersion: expected, kind: info.kind } as Json;
  if (object['metadata'] === undefined || object['metadata'] === null) object['metadata'] = {};
  return normalise(object, info, context);
}

/** Checks shapes and removes unknown fields of an object that was already taken apart (a patch result). Mutates `object`. */
export function normalise(object: Json, info: ResourceInfo, context: WriteContext): KubeObject {
  if (!isObject(object['metadata']))
    throw badRequest(`${info.kind} in version "${info.version}" cannot be handled as a ${info.kind}: metadata must be an object`);
  const error = info.custom ? metadataError(object['metadata'], info) : decodeError(object, info.schema, '');
  if (error !== undefined) {
    throw badRequest(`${info.kind} in version "${info.version}" cannot be handled as a ${info.kind}: ${error}`);
  }
  if (!info.custom) dropNulls(object);
  const unknown = prune(object, info.schema);
  if (unknown.length > 0) reportUnknown(unknown, info, context);
  return object as KubeObject;
}

function metadataError(metadata: Json, info: ResourceInfo): string | undefined {
  const schema = info.schema.properties?.['metadata'];
  return schema && decodeError(metadata, schema, 'metadata');
}

function reportUnknown(paths: string[], info: ResourceInfo, context: WriteContext): void {
  const lines = paths.map((path) => `unknown field "${path}"`);
  if (context.fieldValidation === 'Strict') {
    throw badRequest(
      `${info.kind} in version "${info.version}" cannot be handled as a ${info.kind}: strict decoding error: ${lines.join(', ')}`,
    );
  }
  if (context.fieldValidation === 'Warn') context.warnings.push(...lines);
}

/** A typed decoder reads null as unset. */
function dropNulls(value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) dropNulls(item);
    return;
  }
  if (!isObject(value)) return;
  for (const key of Object.keys(value)) {
    if (value[key] === null) delete value[key];
    else dropNulls(value[key]);
  }
}
