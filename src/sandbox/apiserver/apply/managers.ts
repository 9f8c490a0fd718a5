import type { KubeObject, ManagedFields } from '../../../kube/types.js';
import { ApiError, type Cause } from '../errors.js';
import { asArray, asString, isObject } from '../json.js';
import { emptyObject } from '../schema/structs.js';
import type { Schema } from '../schema/types.js';
import {
  compare,
  difference,
  fieldsOf,
  intersection,
  isEmptySet,
  parseFields,
  pathsOf,
  union,
  without,
  type Fields,
} from './fields.js';
import { mergeApplied, prune } from './merge.js';

/** Who writes: one entry of `metadata.managedFields` is kept for each. `time` is RFC 3339. */
export interface Manager {
  name: string;
  apiVersion: string;
  subresource?: 'status' | 'scale';
  time?: string;
}

interface Entry {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource?: string;
  time?: string;
  fields: Fields;
}

/** Fields that the server sets; nobody owns them. */
const SYSTEM: Fields = {
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    'f:name': {},
    'f:namespace': {},
    'f:creationTimestamp': {},
    'f:selfLink': {},
    'f:uid': {},
    'f:clusterName': {},
    'f:generation': {},
    'f:managedFields': {},
    'f:resourceVersion': {},
    'f:deletionTimestamp': {},
    'f:deletionGracePeriodSeconds': {},
  },
};

/** Beyond this many `Update` managers the oldest are folded into one. */
const MAX_UPDATE_MANAGERS = 10;
const ANCIENT = 'ancient-changes';

function readEntries(object: KubeObject): Entry[] {
  const list: unknown = object.metadata.managedFields;
  const entries: Entry[] = [];
  for (const item of asArray(list)) {
    if (!isObject(item)) continue;
    entries.push({
      manager: asString(item['manager']) || 'unknown',
      operation: item['operation'] === 'Apply' ? 'Apply' : 'Update',
      apiVersion: asString(item['apiVersion']) || object.apiVersion,
      ...(asString(item['subresource']) === '' ? {} : { subresource: asString(item['subresource']) }),
      ...(asString(item['time']) === '' ? {} : { time: asString(item['time']) }),
      fields: parseFields(item['fieldsV1']),
    });
  }
  return entries;
}

const writeEntries = (entries: Entry[]): ManagedFields[] =>
  entries
    .filter((entry) => !isEmptySet(entry.fields))
    .map(({ manager, operation, apiVersion, time, fields, subresource }) => ({
      manager,
      operation,
      apiVersion,
      ...(time === undefined ? {} : { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: fields,
      ...(subresource === undefined ? {} : { subresource }),
    }));

const same = (entry: Entry, manager: Manager, operation: Entry['operation']): boolean =>
  entry.manager === manager.name && entry.operation === operation && entry.subresource === manager.subresource;

function foldAncient(entries: Entry[]): Entry[] {
  const updates = entries.filter((entry) => entry.operation === 'Update');
  if (updates.length <= MAX_UPDATE_MANAGERS) return entries;
  const byAge = updates.toSorted((a, b) => (a.time ?? '').localeCompare(b.time ?? ''));
  const folded = new Set(byAge.slice(0, updates.length - MAX_UPDATE_MANAGERS + 1));
  const [first] = byAge;
  if (first === undefined) return entries;
  const ancient: Entry = { ...first, manager: ANCIENT, subresource: undefined, fields: {} };
  for (const entry of folded) ancient.fields = union(ancient.fields, entry.fields);
  return [...entries.filter((entry) => !folded.has(entry)), ancient];
}

/** Drops the system fields, and the membership of `metadata` itself. */
function stripSystem(fields: Fields): Fields {
  const { '.': _self, ...stripped } = without(fields, SYSTEM);
  const metadata = stripped['f:metadata'];
  if (metadata === undefined) return stripped;
  const { '.': _metadata, ...rest } = metadata;
  if (!isEmptySet(rest)) return { ...stripped, 'f:metadata': rest };
  const { 'f:metadata': _none, ...others } = stripped;
  return others;
}

const bare = (object: KubeObject): KubeObject => {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as KubeObject['metadata'] };
};

/**
 * `metadata.managedFields` after a create, PUT or patch by `manager`: it takes what it changed, others lose it.
 * @param before the live object, undefined when it is created
 */
export function recordUpdate(
  before: KubeObject | undefined,
  after: KubeObject,
  schema: Schema,
  manager: Manager,
): ManagedFields[] {
  const existing = readEntries(before ?? after);
  const nothing = { ...emptyObject(schema), metadata: {} };
  const { changed, removed } = compare(before === undefined ? nothing : bare(before), bare(after), schema);
  const mine = stripSystem(changed);
  const gone = stripSystem(removed);
  if (isEmptySet(mine) && isEmptySet(gone)) return writeEntries(existing);
  const kept: Entry[] = [];
  let own: Entry | undefined;
  for (const entry of existing) {
    const isOwn = same(entry, manager, 'Update') && entry.apiVersion === manager.apiVersion;
    const fields = without(isOwn ? entry.fields : difference(entry.fields, mine), gone);
    if (isOwn) own = { ...entry, fields };
    else if (!isEmptySet(fields)) kept.push({ ...entry, fields });
  }
  const { '.': _root, ...fields } = own === undefined ? mine : union(own.fields, mine);
  if (!isEmptySet(fields)) {
    const { name, apiVersion, subresource } = manager;
    // Who only took something away did not write anything of its own.
    const time = isEmptySet(mine) ? own?.time : manager.time;
    kept.push({ manager: name, operation: 'Update', apiVersion, subresource, time, fields });
  }
  return writeEntries(foldAncient(kept));
}

interface Conflict {
  entry: Entry;
  paths: string[];
}

function conflictError(conflicts: Conflict[]): ApiError {
  const causes: Cause[] = conflicts.flatMap(({ entry, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${describe(entry)}`, field })),
  );
  const [first] = causes;
  if (first !== undefined && causes.length === 1) {
    return new ApiError(409, 'Conflict', `Apply failed with 1 conflict: ${first.message}: ${first.field}`, { causes });
  }
  const lines = conflicts
    .toSorted((a, b) => a.entry.manager.localeCompare(b.entry.manager))
    .flatMap(({ entry, paths }) => [`conflicts with ${describe(entry)}:`, ...paths.map((path) => `- ${path}`)]);
  return new ApiError(409, 'Conflict', `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`, { causes });
}

function describe(entry: Entry): string {
  const subresource = entry.subresource === undefined ? '' : ` with subresource "${entry.subresource}"`;
  const version = entry.operation === 'Update' ? ` using ${entry.apiVersion}` : '';
  return JSON.stringify(entry.manager) + subresource + version;
}

/** Who owned what before anybody applied: somebody owned all of it, where nobody was recorded. */
function knownEntries(live: KubeObject, schema: Schema): Entry[] {
  const entries = readEntries(live);
  if (entries.length > 0 || live.metadata.uid === undefined) return entries;
  const { changed } = compare({ ...emptyObject(schema), metadata: {} }, bare(live), schema);
  const fields = stripSystem(changed);
  return isEmptySet(fields) ? [] : [{ manager: 'before-first-apply', operation: 'Update', apiVersion: live.apiVersion, fields }];
}

export interface Applied {
  object: KubeObject;
  managedFields: ManagedFields[];
}

/**
 * Server-side apply of `config` by `manager`.
 * @param live the stored object in the version of `config`, or an empty one when it is to be created
 * @param ignored fields that this endpoint resets: they are neither owned nor contested
 * @throws ApiError 409 naming the other managers and fields, unless `force`
 */
export function applyConfiguration(
  live: KubeObject,
  config: KubeObject,
  schema: Schema,
  manager: Manager,
  force: boolean,
  ignored: Fields,
): Applied {
  const entries = knownEntries(live, schema);
  const own = entries.find((entry) => same(entry, manager, 'Apply'));
  const others = entries.filter((entry) => entry !== own);
  const strip = (fields: Fields): Fields => without(stripSystem(fields), ignored);
  const next = strip(fieldsOf(config, schema));
  const merged = mergeApplied(bare(live), config, schema);
  const last = own?.fields ?? {};
  const pruned = prune(
    merged,
    schema,
    last,
    next,
    others.map((entry) => entry.fields),
  ) as KubeObject;
  const { changed, removed } = compare(bare(live), pruned, schema);
  const contested = strip(changed);
  const conflicts: Conflict[] = [];
  const remaining: Entry[] = [];
  for (const entry of others) {
    const clash = intersection(entry.fields, contested);
    if (isEmptySet(clash)) {
      remaining.push({ ...entry, fields: without(entry.fields, removed) });
      continue;
    }
    conflicts.push({ entry, paths: pathsOf(clash) });
    remaining.push({ ...entry, fields: without(difference(entry.fields, clash), removed) });
  }
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const unchanged = isEmptySet(changed) && isEmptySet(removed);
  const entry: Entry = {
    manager: manager.name,
    operation: 'Apply',
    apiVersion: manager.apiVersion,
    subresource: manager.subresource,
    // A manager who only agrees with what is there did nothing at any time.
    time: unchanged ? own?.time : manager.time,
    fields: next,
  };
  const position = own === undefined ? remaining.length : Math.min(entries.indexOf(own), remaining.length);
  return { object: pruned, managedFields: writeEntries(remaining.toSpliced(position, 0, entry)) };
}
