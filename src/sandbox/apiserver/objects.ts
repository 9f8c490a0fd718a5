import type { KubeObject, ManagedFields } from '../../kube/types.js';
import { applyConfiguration, recordUpdate, type Manager } from './apply/managers.js';
import type { Fields } from './apply/fields.js';
import {
  decodeConfiguration,
  decodeObject,
  generateName,
  normalise,
  placeIn,
  shapeError,
  wrongKind,
  type KnownKinds,
} from './decode.js';
import {
  ApiError,
  alreadyExists,
  badRequest,
  failure,
  forbidden,
  invalid,
  invalidValue,
  notFound,
  type Cause,
} from './errors.js';
import { clone, deepEqual, isObject, show, type Json } from './json.js';
import {
  checkDeletable,
  checkPreconditions,
  keepSystemFields,
  sameObject,
  specChanged,
  stampNew,
  timestamp,
  withStatus,
} from './meta.js';
import { jsonPatch } from './patch/json.js';
import { mergePatch } from './patch/merge.js';
import { strategicPatch } from './patch/strategic.js';
import { prepareDelete, type Removal } from './removal.js';
import type { Registry } from './registry.js';
import { dropUnserved } from './scale.js';
import { settle } from './schema/structs.js';
import { validateMetaUpdate } from './validation/names.js';
import type { Allocator } from './services.js';
import type { Storage } from './storage.js';
import { apiVersionOf, type DeleteContext, type ResourceInfo, type WriteContext } from './types.js';

export type PatchKind = 'merge' | 'json' | 'strategic' | 'apply';

export interface Written {
  object: KubeObject;
  created: boolean;
}

/** Fields that an endpoint resets, in the form of {@link Fields}. */
const STATUS_ONLY: Fields = { 'f:status': {} };
const ALL_BUT_STATUS: Fields = { 'f:spec': {}, 'f:metadata': {}, 'f:data': {} };

/** Namespaces that every cluster has. */
const PROTECTED = new Set(['default', 'kube-system', 'kube-public']);

const GENERATE_ATTEMPTS = 8;

/** The verbs on objects, with everything the API promises about them. Synchronous: one write is one step. */
export class Objects {
  constructor(
    readonly storage: Storage,
    readonly registry: Registry,
    private readonly allocator: Allocator,
    private readonly now: () => Date,
  ) {}

  get(info: ResourceInfo, namespace: string | undefined, name: string): KubeObject {
    const object = this.storage.get(info.storageKey, namespace, name);
    if (object === undefined) throw notFound(info, name);
    return toVersion(object, info);
  }

  create(info: ResourceInfo, namespace: string | undefined, body: unknown, context: WriteContext): KubeObject {
    const object = this.decode(body, info, context);
    placeIn(object, info, namespace);
    const managed = managedFieldsGiven(object) ? undefined : null;
    if (!object.metadata.name && object.metadata.generateName) return this.createGenerated(info, object, context, managed);
    return this.insert(info, object, context, managed);
  }

  update(info: ResourceInfo, namespace: string | undefined, name: string, body: unknown, context: WriteContext): Written {
    const object = this.decode(body, info, context);
    placeIn(object, info, namespace);
    const given = object.metadata.name;
    if (given !== undefined && given !== '' && given !== name) {
      throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
    }
    object.metadata.name = name;
    const previous = this.storage.get(info.storageKey, namespace, name);
    if (previous === undefined) {
      if (info.strategy.createOnUpdate === true && context.subresource === undefined && !object.metadata.uid) {
        return { object: this.insert(info, object, context, null), created: true };
      }
      throw notFound(info, name);
    }
    const unconditional = info.strategy.unconditionalUpdate ?? true;
    if (!unconditional && (object.metadata.resourceVersion ?? '') === '') {
      throw invalid({ ...info, kind: info.plural }, name, [
        invalidValue('metadata.resourceVersion', 0, 'must be specified for an update'),
      ]);
    }
    return { object: this.replace(info, toVersion(previous, info), object, context), created: false };
  }

  patch(
    info: ResourceInfo,
    namespace: string | undefined,
    name: string,
    body: unknown,
    kind: PatchKind,
    context: WriteContext,
  ): Written {
    const stored = this.storage.get(info.storageKey, namespace, name);
    if (kind === 'apply') return this.apply(info, namespace, name, body, stored, context);
    if (stored === undefined) throw notFound(info, name);
    const previous = toVersion(stored, info);
    const patched = patchedObject(previous, body, kind, info);
    if (!isObject(patched)) throw badRequest(`the patch leaves no object of ${info.kind} "${name}"`);
    const error = wrongKind(show(patched['apiVersion']), show(patched['kind']), info, this.known) ?? shapeError(patched, info);
    if (error !== undefined) throw unreadablePatch(patched, error);
    const object = normalise(patched, info, context, (why) => unreadablePatch(patched, why));
    placeIn(object, info, namespace);
    const given = object.metadata.name;
    if (given !== previous.metadata.name)
      throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
    if (object.metadata.uid !== previous.metadata.uid) throw immutableUid(info, object);
    return { object: this.replace(info, previous, object, context), created: false };
  }

  delete(info: ResourceInfo, namespace: string | undefined, name: string, options: DeleteContext): Removal {
    const previous = this.storage.get(info.storageKey, namespace, name);
    if (previous === undefined) throw notFound(info, name);
    if (info.storageKey === '/namespaces' && PROTECTED.has(name))
      throw forbidden(info, name, 'this namespace may not be deleted');
    checkDeletable(info, previous, options);
    const removal = prepareDelete(previous, info, options, this.now());
    if (options.dryRun === true) return { ...removal, object: toVersion(removal.object, info) };
    if (removal.gone) return { gone: true, object: toVersion(this.remove(info, removal.object), info) };
    const object = sameObject(removal.object, previous) ? previous : this.storage.put(info.storageKey, removal.object);
    return { gone: false, object: toVersion(object, info) };
  }

  /** Takes an object out of storage, whatever its finalizers. */
  remove(info: ResourceInfo, object: KubeObject): KubeObject {
    this.allocator.release(info, object);
    return this.storage.remove(info.storageKey, object);
  }

  /** Stores a change made by the server itself, without validation; removes the object when it was only waiting for that. */
  finish(info: ResourceInfo, object: KubeObject): KubeObject {
    return isFinished(object, info) ? this.remove(info, object) : this.storage.put(info.storageKey, object);
  }

  private readonly known: KnownKinds = (apiVersion, kind) =>
    this.registry.byKind(apiVersion, kind.replace(/List$/, ''))?.custom === false;

  private decode(body: unknown, info: ResourceInfo, context: WriteContext): KubeObject {
    return decodeObject(body, info, context, this.known);
  }

  private createGenerated(info: ResourceInfo, object: KubeObject, context: WriteContext, managed: null | undefined): KubeObject {
    for (let attempt = 1; ; attempt++) {
      const named: KubeObject = {
        ...object,
        metadata: { ...object.metadata, name: generateName(object.metadata.generateName ?? '') },
      };
      try {
        return this.insert(info, named, context, managed);
      } catch (error) {
        if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists' || attempt >= GENERATE_ATTEMPTS) throw error;
      }
    }
  }

  private checkNamespace(info: ResourceInfo, object: KubeObject): void {
    const { namespace, name } = object.metadata;
    if (!info.namespaced || namespace === undefined) return;
    const found = this.storage.get('/namespaces', undefined, namespace);
    if (found === undefined) throw notFound({ group: '', plural: 'namespaces', kind: 'Namespace' }, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    throw forbidden(info, name, `unable to create new content in namespace ${namespace} because it is being terminated`, [
      { reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' },
    ]);
  }

  /** @param managed null: record the writer; an array: use it; undefined: the object brings its own */
  private insert(
    info: ResourceInfo,
    object: KubeObject,
    context: WriteContext,
    managed: ManagedFields[] | null | undefined,
  ): KubeObject {
    if (object.metadata.resourceVersion && object.metadata.resourceVersion !== '0') {
      throw failure('resourceVersion should not be set on objects to be created');
    }
    this.checkNamespace(info, object);
    const { strategy, storageKey } = info;
    stampNew(object, info, this.now());
    const fields = toStored(object, info);
    if (info.subresources.has('status')) delete fields['status'];
    strategy.defaults?.(fields);
    // The writer owns what it said and what that was completed to, not what the server adds from here on.
    if (Array.isArray(managed)) fields.metadata.managedFields = managed;
    else if (managed === null)
      fields.metadata.managedFields = recordUpdate(undefined, fields, info.schema, this.manager(info, context));
    if (fields.metadata.managedFields?.length === 0) delete fields.metadata.managedFields;
    strategy.prepareCreate?.(fields);
    if (!info.custom && info.toStorage === undefined) settle(fields, info.schema);
    this.allocator.allocate(info, fields, undefined);
    refuse(info, fields, strategy.validate?.(fields) ?? []);
    if (this.storage.get(storageKey, fields.metadata.namespace, fields.metadata.name) !== undefined) {
      throw alreadyExists(
        info,
        fields.metadata.name,
        this.storage.get(storageKey, fields.metadata.namespace, fields.metadata.name)?.metadata.deletionTimestamp !== undefined,
      );
    }
    if (context.dryRun) {
      this.allocator.release(info, fields);
      return toVersion(fields, info);
    }
    return toVersion(this.storage.put(storageKey, fields), info);
  }

  private manager(info: ResourceInfo, context: WriteContext): Manager {
    const subresource = context.recordAs ?? context.subresource;
    return {
      name: context.fieldManager,
      apiVersion: apiVersionOf(info),
      ...(subresource === undefined ? {} : { subresource }),
      ...(context.recordAs === 'scale' ? {} : { time: timestamp(this.now()) }),
    };
  }

  /** @param managed managedFields of an apply; absent for other writes, which record what they changed */
  private replace(
    info: ResourceInfo,
    previous: KubeObject,
    update: KubeObject,
    context: WriteContext,
    managed?: ManagedFields[],
  ): KubeObject {
    const { strategy } = info;
    checkPreconditions(info, previous, update.metadata);
    let object = update;
    if (context.subresource === 'status') object = withStatus(previous, update, info);
    else if (info.subresources.has('status')) dropUnserved(object, previous);
    const fields = toStored(object, info);
    const before = toStored(previous, info);
    keepSystemFields(fields, before);
    strategy.defaults?.(fields);
    this.settleManagers(info, fields, before, context, managed, update.metadata);
    strategy.prepareUpdate?.(fields, before);
    if (context.subresource === undefined) this.allocator.allocate(info, fields, before);
    if (info.hasGeneration && context.subresource !== 'status' && specChanged(fields, before, info))
      fields.metadata.generation = (before.metadata.generation ?? 0) + 1;
    refuse(info, fields, [
      ...stillInvalid(info, fields, before),
      ...validateMetaUpdate(fields, before),
      ...(strategy.validateUpdate?.(fields, before) ?? []),
    ]);
    if (sameObject(fields, before) && sameManagers(fields, before)) return previous;
    fields.metadata.resourceVersion = before.metadata.resourceVersion;
    if (context.dryRun) return toVersion(fields, info);
    if (isFinished(fields, info)) {
      // The answer shows the version that was there last, watches the one at which it went.
      this.remove(info, fields);
      return toVersion(fields, info);
    }
    return toVersion(this.storage.put(info.storageKey, fields), info);
  }

  private settleManagers(
    info: ResourceInfo,
    fields: KubeObject,
    before: KubeObject,
    context: WriteContext,
    managed: ManagedFields[] | undefined,
    asked: KubeObject['metadata'],
  ): void {
    if (managed !== undefined) fields.metadata.managedFields = managed;
    else if (Array.isArray(fields.metadata.managedFields) && isReset(fields.metadata.managedFields))
      fields.metadata.managedFields = [];
    else {
      // Who writes the status of a custom object owns the metadata that it sent, though none of it is stored.
      const written = info.custom && context.subresource === 'status' ? { ...fields, metadata: asked } : fields;
      fields.metadata.managedFields = recordUpdate(before, written, info.schema, this.manager(info, context));
    }
    if (fields.metadata.managedFields.length === 0) delete fields.metadata.managedFields;
  }

  private apply(
    info: ResourceInfo,
    namespace: string | undefined,
    name: string,
    body: unknown,
    stored: KubeObject | undefined,
    context: WriteContext,
  ): Written {
    const config = decodeConfiguration(body, info, namespace, name);
    const manager = this.manager(info, context);
    const ignored = context.subresource === 'status' ? ALL_BUT_STATUS : info.subresources.has('status') ? STATUS_ONLY : {};
    if (stored === undefined) {
      if (context.subresource !== undefined) throw notFound(info, name);
      if (config.metadata.uid !== undefined) throw notFound(info, name);
      const empty: KubeObject = { apiVersion: config.apiVersion, kind: config.kind, metadata: { name } };
      const { managedFields } = applyConfiguration(empty, config, info.schema, manager, true, ignored);
      const object = normalise(clone(config) as unknown as Json, info, context);
      return { object: this.insert(info, object, context, managedFields), created: true };
    }
    const previous = toVersion(stored, info);
    checkPreconditions(info, previous, config.metadata);
    const { object, managedFields } = applyConfiguration(previous, config, info.schema, manager, context.force, ignored);
    const merged = normalise(clone(object) as unknown as Json, info, context);
    delete merged.metadata.resourceVersion;
    merged.metadata.managedFields = managedFields;
    return { object: this.replace(info, previous, merged, context, managedFields), created: false };
  }
}

function unreadablePatch(object: Json, why: string): ApiError {
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(object))}: ${why}`;
  return new ApiError(422, 'Invalid', ` "" is invalid: patch: ${message}`, {
    causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }],
  });
}

function immutableUid(info: ResourceInfo, object: KubeObject): ApiError {
  const cause = invalidValue('metadata.uid', object.metadata.uid, 'field is immutable');
  return invalid(info, object.metadata.name, [cause]);
}

function patchedObject(previous: KubeObject, body: unknown, kind: Exclude<PatchKind, 'apply'>, info: ResourceInfo): unknown {
  if (kind === 'json') return jsonPatch(clone(previous) as unknown as Json, body);
  if (!isObject(body))
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${Array.isArray(body) ? 'array' : typeof body} into Go value of type map[string]interface {}`,
    );
  return clone(kind === 'merge' ? mergePatch(previous, body) : strategicPatch(previous, body, info.schema));
}

/** The object in the requested version's shape. Shares everything it can with the stored one. */
export function toVersion(object: KubeObject, info: ResourceInfo): KubeObject {
  if (info.fromStorage !== undefined) return info.fromStorage(object);
  const apiVersion = apiVersionOf(info);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

function toStored(object: KubeObject, info: ResourceInfo): KubeObject {
  if (info.toStorage !== undefined) return info.toStorage(object);
  if (info.version === info.storageVersion) return object;
  return { ...object, apiVersion: apiVersionOf({ group: info.group, version: info.storageVersion }) };
}

function refuse(info: ResourceInfo, object: KubeObject, causes: Cause[]): void {
  if (causes.length > 0) throw invalid(info, object.metadata.name ?? '', causes);
}

/** What is wrong with an update, without what was wrong before where the kind forgives that. */
function stillInvalid(info: ResourceInfo, object: KubeObject, previous: KubeObject): Cause[] {
  const { validate, ratchets } = info.strategy;
  const causes = validate?.(object) ?? [];
  if (ratchets !== true || causes.length === 0) return causes;
  const text = (cause: Cause): string => `${cause.field}: ${cause.message}`;
  const known = new Set((validate?.(previous) ?? []).map(text));
  return causes.filter((cause) => !known.has(text(cause)));
}

const managedFieldsGiven = (object: KubeObject): boolean => (object.metadata.managedFields?.length ?? 0) > 0;

/** A client may clear the record by sending `[{}]` or `[]`. */
const isReset = (managed: ManagedFields[]): boolean =>
  managed.length === 1 && isObject(managed[0]) && Object.keys(managed[0]).length === 0;

const sameManagers = (a: KubeObject, b: KubeObject): boolean => deepEqual(a.metadata.managedFields, b.metadata.managedFields);

/** Deletion was asked for and the last finalizer is gone. */
function isFinished(object: KubeObject, info: ResourceInfo): boolean {
  const { deletionTimestamp, finalizers } = object.metadata;
  const grace = (object.metadata as unknown as Json)['deletionGracePeriodSeconds'];
  if (deletionTimestamp === undefined || (finalizers?.length ?? 0) > 0) return false;
  // A pod within its grace period waits for its kubelet; a namespace for its content.
  if (info.storageKey === '/pods') return grace === 0;
  return info.storageKey !== '/namespaces';
}
