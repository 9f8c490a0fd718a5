import { badRequest } from '../errors.js';
import type { Json } from '../json.js';
import { builtinName } from '../schema/builtin.js';
import { memberSchema, type Schema } from '../schema/types.js';
import { FIELD_NUMBERS, INLINE_NUMBERS } from './numbers.js';

/**
 * Reads the protobuf bodies that typed Go clients (`kubectl create deployment`, controllers) send for built-in kinds into the JSON form.
 * Unset scalars travel as zero values there; they are left out, as JSON encoders do.
 */
const MAGIC = 'k8s\0';

/** Zero values that mean something because the Go field is a pointer: they are only sent when they were set. */
const KEEP_ZERO = new Set([
  'replicas',
  'minReplicas',
  'terminationGracePeriodSeconds',
  'gracePeriodSeconds',
  'revisionHistoryLimit',
  'defaultMode',
  'runAsUser',
  'runAsGroup',
  'fsGroup',
  'tolerationSeconds',
  'partition',
  'leaseTransitions',
  'enableServiceLinks',
  'automountServiceAccountToken',
  'allowPrivilegeEscalation',
  'runAsNonRoot',
  'readOnlyRootFilesystem',
  'allocateLoadBalancerNodePorts',
  'orphanDependents',
  'optional',
  'controller',
  'blockOwnerDeletion',
  'ready',
  'serving',
  'terminating',
  'restartCount',
  'intVal',
]);

interface Wire {
  number: number;
  type: number;
  value: bigint;
  bytes: Buffer;
}

const EMPTY = Buffer.alloc(0);

function* fieldsOf(buffer: Buffer): Generator<Wire> {
  let offset = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = buffer[offset++];
      if (byte === undefined) throw badRequest('the protobuf body ends within a number');
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, result);
    }
    throw badRequest('the protobuf body has a number that is too long');
  };
  const take = (length: number): Buffer => {
    if (length < 0 || offset + length > buffer.length) throw badRequest('the protobuf body ends within a field');
    offset += length;
    return buffer.subarray(offset - length, offset);
  };
  while (offset < buffer.length) {
    const key = Number(varint());
    const type = key & 7;
    const number = key >>> 3;
    if (type === 0) yield { number, type, value: varint(), bytes: EMPTY };
    else if (type === 1) yield { number, type, value: 0n, bytes: take(8) };
    else if (type === 2) yield { number, type, value: 0n, bytes: take(Number(varint())) };
    else if (type === 5) yield { number, type, value: 0n, bytes: take(4) };
    else throw badRequest(`the protobuf body has an unknown wire type ${type}`);
  }
}

const tables = new WeakMap<object, Map<string, Map<number, string>>>();

function numbers(source: Record<string, string>, type: string): Map<number, string> | undefined {
  const cache = tables.get(source) ?? new Map<string, Map<number, string>>();
  tables.set(source, cache);
  const known = cache.get(type);
  if (known !== undefined || !Object.hasOwn(source, type)) return known;
  const table = new Map<number, string>();
  for (const pair of source[type]?.split(' ') ?? []) {
    const match = /^(\d+)(.+)$/.exec(pair);
    if (match?.[2] !== undefined) table.set(Number(match[1]), match[2]);
  }
  cache.set(type, table);
  return table;
}

const isProtobuf = (body: Buffer): boolean => body.subarray(0, MAGIC.length).toString('latin1') === MAGIC;

/** Every field of a plain message by number, the last one of each. */
const flat = (bytes: Buffer): Map<number, Wire> => new Map([...fieldsOf(bytes)].map((field) => [field.number, field]));
const text = (field: Wire | undefined): string => field?.bytes.toString('utf8') ?? '';

/**
 * Opens the envelope (`runtime.Unknown`) of a protobuf body and decodes the object in it.
 * @param schemaOf the schema of a kind, or undefined when it has no protobuf form here
 * @throws ApiError 400 when the bytes are not such an object
 */
export function decodeProtobuf(body: Buffer, schemaOf: (apiVersion: string, kind: string) => Schema | undefined): Json {
  if (!isProtobuf(body)) throw badRequest('the body is not a Kubernetes protobuf object: its first bytes must be k8s\\0');
  const envelope = flat(body.subarray(MAGIC.length));
  const meta = flat(envelope.get(1)?.bytes ?? EMPTY);
  const apiVersion = text(meta.get(1));
  const kind = text(meta.get(2));
  const schema = schemaOf(apiVersion, kind);
  if (schema === undefined)
    throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}" in protobuf: send it as JSON`);
  return { apiVersion, kind, ...message(envelope.get(2)?.bytes ?? EMPTY, schema) };
}

function message(bytes: Buffer, schema: Schema): Json {
  const result: Json = {};
  const table = numbers(FIELD_NUMBERS, builtinName(schema) ?? '');
  if (table !== undefined) readInto(result, bytes, table, schema);
  return result;
}

function readInto(result: Json, bytes: Buffer, table: Map<number, string>, schema: Schema): void {
  for (const field of fieldsOf(bytes)) {
    const name = table.get(field.number);
    if (name === undefined) continue;
    if (name.startsWith('~')) {
      const inline = numbers(INLINE_NUMBERS, name.slice(1));
      if (inline !== undefined) readInto(result, field.bytes, inline, schema);
      continue;
    }
    const member = memberSchema(schema, name);
    if (member === undefined) continue;
    add(result, name, field, member);
  }
}

function add(result: Json, name: string, field: Wire, schema: Schema): void {
  if (schema.type === 'array') {
    const list = Array.isArray(result[name]) ? (result[name] as unknown[]) : [];
    if (schema.items !== undefined) list.push(single(field, schema.items));
    result[name] = list;
    return;
  }
  if (typeof schema.additionalProperties === 'object') {
    const entry = flat(field.bytes);
    const map = (result[name] ?? {}) as Json;
    const key = text(entry.get(1));
    if (key !== '__proto__')
      map[key] = single(entry.get(2) ?? { number: 2, type: 2, value: 0n, bytes: EMPTY }, schema.additionalProperties);
    result[name] = map;
    return;
  }
  const value = single(field, schema);
  const zero = value === undefined || value === '' || ((value === 0 || value === false) && !KEEP_ZERO.has(name));
  if (!zero) result[name] = value;
}

function single(field: Wire, schema: Schema): unknown {
  if (schema['x-kubernetes-int-or-string'] === true) return intOrString(field.bytes);
  if (schema.format === 'date-time') return time(field.bytes);
  if (schema.format === 'quantity') return text(flat(field.bytes).get(1));
  if (schema.format === 'byte') return field.bytes.toString('base64');
  switch (schema.type) {
    case 'string':
      return field.bytes.toString('utf8');
    case 'boolean':
      return field.value !== 0n;
    case 'integer':
      return Number(field.value);
    case 'number':
      return field.bytes.length === 8 ? field.bytes.readDoubleLE() : Number(field.value);
    default:
  }
  return schema['x-kubernetes-preserve-unknown-fields'] === true ? raw(field.bytes) : message(field.bytes, schema);
}

function intOrString(bytes: Buffer): number | string {
  const fields = flat(bytes);
  return fields.get(1)?.value === 1n ? text(fields.get(3)) : Number(fields.get(2)?.value ?? 0n);
}

function time(bytes: Buffer): string | undefined {
  const fields = flat(bytes);
  const seconds = Number(fields.get(1)?.value ?? 0n);
  const nanos = Number(fields.get(2)?.value ?? 0n);
  // The zero time of Go is in year 1: it stands for unset.
  if (bytes.length === 0 || seconds <= 0) return undefined;
  const iso = new Date(seconds * 1000).toISOString().slice(0, 19);
  return nanos === 0 ? `${iso}Z` : `${iso}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

/** `runtime.RawExtension` and `FieldsV1`: JSON in the first field. */
function raw(bytes: Buffer): unknown {
  const json = text(flat(bytes).get(1));
  if (json === '') return undefined;
  try {
    return JSON.parse(json) as unknown;
  } catch {
    throw badRequest('the protobuf body has an embedded object that is not JSON');
  }
}
