import { randomInt } from 'node:crypto';
import type { KubeObject } from '../../kube/types.js';
import { typedError } from './apply/typed.js';
import { badRequest, failure, type ApiError } from './errors.js';
import { asArray, asObject, asString, clone, ensureObject, isObject, show, type Json } from './json.js';
import { isQuantityText, QUANTITY_ERROR } from './schema/quantity.js';
import { settle } from './schema/structs.js';
import { decodeError, prune } from './schema/structural.js';
import { memberSchema, type Schema } from './schema/types.js';
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

/** Whether another built-in kind has this name. */
export type KnownKinds = (apiVersion: string, kind: string) => boolean;

const handled = (info: ResourceInfo, why: string, kind = info.kind, version = info.version): ApiError =>
  badRequest(`${kind} in version "${version}" cannot be handled as a ${info.kind}: ${why}`);

/**
 * Turns a request body into a private object of the kind: checks `apiVersion` and `kind`, drops (and reports) unknown fields.
 * @throws ApiError 400 when it is another kind, cannot be decoded, or has unknown fields under `fieldValidation=Strict`
 */
export function decodeObject(body: unknown, info: ResourceInfo, context: WriteContext, known: KnownKinds): KubeObject {
  if (!isObject(body)) throw badRequest(`couldn't get version/kind; json parse error: the body must be a ${info.kind} object`);
  const expected = apiVersionOf(info);
  if (info.custom) requireTypeMeta(body, info);
  const apiVersion = show(body['apiVersion'] ?? expected);
  const kind = show(body['kind'] ?? info.kind);
  const otherKind = info.custom ? undefined : wrongKind(apiVersion, kind, info, known);
  if (otherKind !== undefined) throw handled(info, otherKind, kind, apiVersion.split('/').at(-1));
  if (apiVersion !== expected)
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${expected})`);
  if (kind !== info.kind) throw handled(info, `no kind "${kind}" is registered for version "${expected}"`, kind);
  const object = { ...clone(body), apiVersion: expected, kind: info.kind } as Json;
  if (object['metadata'] === undefined || object['metadata'] === null) object['metadata'] = {};
  return normalise(object, info, context);
}

/**
 * Turns the body of an apply into a private object. It stays as it was written: what it names is what its applier will own.
 * @throws ApiError 400 when it is another kind or object, 500 (as the real server does) when it cannot be read by the schema
 */
export function decodeConfiguration(body: unknown, info: ResourceInfo, namespace: string | undefined, name: string): KubeObject {
  const given = asObject(body);
  const apiVersion = show(given['apiVersion'] ?? '');
  const kind = show(given['kind'] ?? '');
  const group = apiVersion.includes('/') ? apiVersion : `/${apiVersion}`;
  if (apiVersion !== apiVersionOf(info) || kind !== info.kind) throw badRequest(`invalid object type: ${group}, Kind=${kind}`);
  const config = clone(given);
  const metadata = ensureObject(config, 'metadata');
  if ((metadata['name'] ?? '') === '')
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  const where = `${asString(metadata['namespace'])}/${asString(metadata['name'])}`;
  const error = typedError(config, info.schema);
  if (error !== undefined) throw failure(`failed to create typed patch object (${where}; ${group}, Kind=${kind}): ${error}`);
  if (metadata['name'] !== name)
    throw badRequest(`the name of the object (${show(metadata['name'])}) does not match the name on the URL (${name})`);
  if (asArray(metadata['managedFields']).length > 0) throw badRequest('metadata.managedFields must be nil');
  const object = config as KubeObject;
  placeIn(object, info, namespace);
  return object;
}

/**
 * Settles the namespace of a body against the request's. Mutates `object`.
 * @throws ApiError 400 when they differ
 */
export function placeIn(object: KubeObject, info: ResourceInfo, namespace: string | undefined): void {
  if (!info.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  const given = object.metadata.namespace;
  if (given !== undefined && given !== '' && given !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  object.metadata.namespace = namespace;
}

const SUMMARY_LENGTH = 30;

/** Custom objects must say what they are; built-in ones are taken for what their path says. */
function requireTypeMeta(body: Json, info: ResourceInfo): void {
  const missing = (body['kind'] ?? '') === '' ? 'Kind' : (body['apiVersion'] ?? '') === '' ? 'apiVersion' : undefined;
  if (missing === undefined) return;
  const text = JSON.stringify(body);
  const summary = text.length > SUMMARY_LENGTH ? `${text.slice(0, SUMMARY_LENGTH)} ...` : text;
  throw badRequest(
    `the object provided is unrecognized (must be of type ${info.kind}): Object '${missing}' is missing in '${text}' (${summary})`,
  );
}

/** Why a body of another kind or version cannot be one of this built-in kind; undefined when it says it is one. */
export function wrongKind(apiVersion: string, kind: string, info: ResourceInfo, known: KnownKinds): string | undefined {
  if (apiVersion === apiVersionOf(info) && kind === info.kind) return undefined;
  if (!known(apiVersion, kind))
    return `no kind "${kind}" is registered for version "${apiVersion}" in scheme "pkg/runtime/scheme.go:111"`;
  const group = info.group === '' ? 'core' : info.group;
  return `converting (${apiVersion.split('/').at(-1)}.${kind}) to (${group}.${info.kind}): unknown conversion`;
}

/** Why an object that was already taken apart (a patch result) cannot be one of its kind; undefined when it can. */
export function shapeError(object: Json, info: ResourceInfo): string | undefined {
  if (!info.custom) return decodeError(object, info.schema, '', info.kind) ?? badText(object, info.schema);
  if (!isObject(object['metadata'])) return `metadata must be an object`;
  const schema = info.schema.properties?.['metadata'];
  return schema && decodeError(object['metadata'], schema, '', 'ObjectMeta');
}

/**
 * Checks shapes and removes unknown fields. Mutates `object`.
 * @param refuse the answer to what cannot be decoded
 */
export function normalise(
  object: Json,
  info: ResourceInfo,
  context: WriteContext,
  refuse: (why: string) => ApiError = (why) => handled(info, why),
): KubeObject {
  const error = shapeError(object, info);
  if (error !== undefined) throw refuse(error);
  if (!info.custom) dropNulls(object);
  const unknown = prune(object, info.schema);
  if (!info.custom) settle(object, info.schema);
  reportUnknown(info.custom ? unknown.toSorted() : unknown, context, refuse);
  return object as KubeObject;
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The first member of bytes that is not base64, or quantity that is none. */
function badText(value: unknown, schema: Schema): string | undefined {
  if (typeof value === 'number') return schema.format !== 'quantity' || isQuantityText(value) ? undefined : QUANTITY_ERROR;
  if (typeof value === 'string') {
    if (schema.format === 'quantity' && !isQuantityText(value)) return QUANTITY_ERROR;
    if (schema.format !== 'byte' || (BASE64.test(value) && value.length % 4 === 0)) return undefined;
    const at = value.search(/[^A-Za-z0-9+/]/);
    return `illegal base64 data at input byte ${at < 0 ? value.length : at}`;
  }
  const members = Array.isArray(value)
    ? value.map((item: unknown) => [item, schema.items] as const)
    : Object.entries(asObject(value)).map(([key, item]) => [item, memberSchema(schema, key)] as const);
  for (const [item, member] of members) {
    const error = member === undefined ? undefined : badText(item, member);
    if (error !== undefined) return error;
  }
  return undefined;
}

function reportUnknown(paths: string[], context: WriteContext, refuse: (why: string) => ApiError): void {
  const lines = [
    ...(context.duplicates ?? []).map((path) => `duplicate field "${path}"`),
    ...paths.map((path) => `unknown field "${path}"`),
  ];
  if (lines.length === 0) return;
  if (context.fieldValidation === 'Strict') throw refuse(`strict decoding error: ${lines.join(', ')}`);
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
