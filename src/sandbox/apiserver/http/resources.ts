import type { KubeObject } from '../../../kube/types.js';
import {
  ApiError,
  badRequest,
  methodNotAllowed,
  notFound,
  routeNotFound,
  unsupportedMediaType,
  type StatusObject,
} from '../errors.js';
import { asObject, asString, at, clone, isObject } from '../json.js';
import { jsonPatch } from '../patch/json.js';
import { mergePatch } from '../patch/merge.js';
import { toVersion, type Objects, type PatchKind } from '../objects.js';
import type { Removal } from '../removal.js';
import { scaleOf, withScale } from '../scale.js';
import type { DeleteContext, ResourceInfo, WriteContext } from '../types.js';
import { encodeList, encodeObject, partialList, partialObject } from './encode.js';
import { listPage } from './list.js';
import { negotiate, type Representation, type Route } from './request.js';
import { table, type IncludeObject } from './table.js';

/** A request to one kind, its body already parsed. */
export interface ResourceRequest {
  method: string;
  route: Route;
  info: ResourceInfo;
  query: URLSearchParams;
  accept?: string;
  contentType: string;
  body: unknown;
  userAgent: string;
}

export interface Answer {
  code: number;
  /** JSON text, or a value to be encoded. */
  text?: string;
  value?: unknown;
  contentType?: string;
  warnings?: string[];
  /** What a write stored, for the audit log. */
  stored?: unknown;
}

/** Gives the log of a container: text, or undefined when there is none. */
export type LogHook = (pod: KubeObject, options: LogOptions) => Promise<string | undefined> | string | undefined;

export interface LogOptions {
  container?: string;
  tailLines?: number;
  sinceSeconds?: number;
  limitBytes?: number;
  previous: boolean;
  timestamps: boolean;
}

const PATCH_TYPES: Record<string, PatchKind> = {
  'application/merge-patch+json': 'merge',
  'application/json-patch+json': 'json',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
  'application/apply-patch+json': 'apply',
};

const includeOf = (query: URLSearchParams): IncludeObject => {
  const value = query.get('includeObject');
  return value === 'None' || value === 'Object' ? value : 'Metadata';
};

function firstToken(userAgent: string): string {
  const token = userAgent.split(' ')[0]?.split('/')[0] ?? '';
  return token === '' ? 'unknown' : token;
}

/** @throws ApiError 400 when an option is not understood */
export function writeContext(request: ResourceRequest): WriteContext {
  const { query } = request;
  const dryRun = query.getAll('dryRun').filter((value) => value !== '');
  if (dryRun.some((value) => value !== 'All'))
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(dryRun[0])}: supported values: "All"`);
  const validation = query.get('fieldValidation') ?? '';
  if (!['', 'Strict', 'Warn', 'Ignore'].includes(validation)) {
    throw badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`,
    );
  }
  const fieldManager = query.get('fieldManager') ?? '';
  if (fieldManager.length > 128) throw badRequest('fieldManager: Too long: may not be more than 128 bytes');
  const { subresource } = request.route;
  return {
    fieldManager: fieldManager === '' ? firstToken(request.userAgent) : fieldManager,
    fieldValidation: validation === '' ? 'Warn' : (validation as WriteContext['fieldValidation']),
    dryRun: dryRun.length > 0,
    force: query.get('force') === 'true' || query.get('force') === '1',
    ...(subresource === 'status' || subresource === 'scale' ? { subresource } : {}),
    warnings: [],
  };
}

/** Delete options come from the body or the query. */
export function deleteContext(request: ResourceRequest): DeleteContext {
  const body = asObject(request.body);
  const option = (key: string): unknown => body[key] ?? request.query.get(key) ?? undefined;
  const policy = option('propagationPolicy');
  if (policy !== undefined && policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw badRequest(
      `propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
    );
  }
  const orphan = option('orphanDependents');
  const grace = option('gracePeriodSeconds');
  const dryRun = [...request.query.getAll('dryRun'), ...(Array.isArray(body['dryRun']) ? (body['dryRun'] as unknown[]) : [])];
  const legacy = orphan === undefined ? undefined : orphan === true || orphan === 'true' ? 'Orphan' : 'Background';
  return {
    ...(policy === undefined && legacy === undefined ? {} : { propagationPolicy: policy ?? legacy }),
    ...(grace === undefined || !Number.isFinite(Number(grace)) ? {} : { gracePeriodSeconds: Math.max(0, Number(grace)) }),
    uid: asString(at(body, 'preconditions', 'uid')),
    resourceVersion: asString(at(body, 'preconditions', 'resourceVersion')),
    dryRun: dryRun.includes('All'),
  };
}

/** Answers requests to objects (everything but watches). */
export class Resources {
  constructor(
    private readonly objects: Objects,
    private readonly now: () => Date,
    private readonly logs: LogHook | undefined,
  ) {}

  async answer(request: ResourceRequest): Promise<Answer> {
    const { route } = request;
    if (route.rest.length > 0) throw routeNotFound();
    if (route.name === undefined) return this.collection(request);
    if (route.subresource === undefined) return this.single(request, route.name);
    return this.subresource(request, route.name, route.subresource);
  }

  private collection(request: ResourceRequest): Answer {
    const { method, info, route } = request;
    if (info.namespaced && route.namespace === undefined && method !== 'GET' && method !== 'HEAD') throw methodNotAllowed();
    if (!info.namespaced && route.namespace !== undefined) throw routeNotFound();
    switch (method) {
      case 'GET':
      case 'HEAD':
        return this.list(request);
      case 'POST': {
        const context = writeContext(request);
        return this.written(request, this.objects.create(info, route.namespace, request.body, context), 201, context.warnings);
      }
      case 'DELETE':
        return this.deleteCollection(request);
      default:
        throw methodNotAllowed();
    }
  }

  private single(request: ResourceRequest, name: string): Answer {
    const { method, info, route } = request;
    if (info.namespaced !== (route.namespace !== undefined)) throw routeNotFound();
    switch (method) {
      case 'GET':
      case 'HEAD':
        return this.shown(request, this.objects.get(info, route.namespace, name));
      case 'PUT': {
        const context = writeContext(request);
        const { object, created } = this.objects.update(info, route.namespace, name, request.body, context);
        return this.written(request, object, created ? 201 : 200, context.warnings);
      }
      case 'PATCH':
        return this.patch(request, name);
      case 'DELETE':
        return this.deleted(request, this.objects.delete(info, route.namespace, name, deleteContext(request)));
      default:
        throw methodNotAllowed();
    }
  }

  private patch(request: ResourceRequest, name: string): Answer {
    const { info, route } = request;
    const context = writeContext(request);
    const { object, created } = this.objects.patch(info, route.namespace, name, request.body, patchKind(request), context);
    return this.written(request, object, created ? 201 : 200, context.warnings);
  }

  private async subresource(request: ResourceRequest, name: string, subresource: string): Promise<Answer> {
    const { method, info, route } = request;
    const reading = method === 'GET' || method === 'HEAD';
    if (info.storageKey === '/namespaces' && subresource === 'finalize' && method === 'PUT') {
      return this.single({ ...request, route: { ...route, subresource: undefined } }, name);
    }
    if (!(info.subresources as ReadonlySet<string>).has(subresource)) throw routeNotFound();
    if (subresource === 'scale') return this.scale(request, name);
    if (subresource === 'log') return this.log(request, name);
    if (subresource === 'eviction') {
      if (method !== 'POST') throw methodNotAllowed();
      const options = deleteContext({ ...request, body: at(request.body, 'deleteOptions') });
      this.objects.delete(info, route.namespace, name, options);
      return { code: 201, value: success() };
    }
    if (reading || method === 'PUT' || method === 'PATCH') return this.single(request, name);
    throw methodNotAllowed();
  }

  private scale(request: ResourceRequest, name: string): Answer {
    const { method, info, route } = request;
    const paths = info.scale;
    if (paths === undefined) throw routeNotFound();
    const object = this.objects.get(info, route.namespace, name);
    if (method === 'GET' || method === 'HEAD') return { code: 200, value: scaleOf(object, info, paths) };
    if (method !== 'PUT' && method !== 'PATCH') throw methodNotAllowed();
    const context = writeContext(request);
    const scale = method === 'PUT' ? request.body : this.patchedScale(request, scaleOf(object, info, paths));
    const wanted = withScale(object, info, paths, scale);
    // A Scale without resourceVersion overwrites; the object's own is used where the kind wants one.
    wanted.metadata.resourceVersion ??= object.metadata.resourceVersion;
    const { object: stored } = this.objects.update(info, route.namespace, name, wanted, {
      ...context,
      subresource: undefined,
      recordAs: 'scale',
    });
    return { code: 200, value: scaleOf(stored, info, paths), stored };
  }

  private patchedScale(request: ResourceRequest, scale: KubeObject): unknown {
    const kind = patchKind(request);
    if (kind === 'json') return jsonPatch(clone(scale) as unknown as Record<string, unknown>, request.body);
    const patched = mergePatch(scale, request.body);
    // Only a version that the patch itself names is a precondition.
    if (isObject(patched) && at(request.body, 'metadata', 'resourceVersion') === undefined) {
      return { ...patched, metadata: { ...asObject(patched['metadata']), resourceVersion: '' } };
    }
    return patched;
  }

  private async log(request: ResourceRequest, name: string): Promise<Answer> {
    if (request.method !== 'GET') throw methodNotAllowed();
    const { info, route, query } = request;
    const pod = this.objects.get(info, route.namespace, name);
    const containers = [...asArrayOfNames(at(pod, 'spec', 'containers')), ...asArrayOfNames(at(pod, 'spec', 'initContainers'))];
    const container = query.get('container') ?? (containers.length === 1 ? containers[0] : undefined);
    if (container === undefined)
      throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${containers.join(' ')}]`);
    if (!containers.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`);
    const text = await this.logs?.(pod, {
      container,
      ...numberOption(query, 'tailLines'),
      ...numberOption(query, 'sinceSeconds'),
      ...numberOption(query, 'limitBytes'),
      previous: query.get('previous') === 'true',
      timestamps: query.get('timestamps') === 'true',
    });
    return { code: 200, text: text ?? '', contentType: 'text/plain' };
  }

  private list(request: ResourceRequest): Answer {
    const { info, route, query } = request;
    const { objects, metadata } = listPage(this.objects.storage, info, route.namespace, query);
    const { as } = this.form(request);
    if (as === 'table') return { code: 200, value: table(objects, info, metadata, includeOf(query), this.now().getTime()) };
    if (as === 'partial') return { code: 200, value: partialList(objects, metadata) };
    return { code: 200, text: encodeList(objects, info, metadata) };
  }

  private deleteCollection(request: ResourceRequest): Answer {
    const { info, route, query } = request;
    const options = deleteContext(request);
    const { objects, metadata } = listPage(this.objects.storage, info, route.namespace, query);
    const gone = objects.map(
      (object) => this.objects.delete(info, object.metadata.namespace, object.metadata.name, options).object,
    );
    return { code: 200, text: encodeList(gone, info, metadata) };
  }

  private form(request: ResourceRequest): Representation {
    return negotiate(request.accept);
  }

  private shown(request: ResourceRequest, object: KubeObject): Answer {
    const { as } = this.form(request);
    const { info, query } = request;
    if (as === 'partial') return { code: 200, value: partialObject(object) };
    if (as === 'object') return { code: 200, text: encodeObject(object) };
    const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
    return { code: 200, value: table([object], info, metadata, includeOf(query), this.now().getTime()) };
  }

  private written(request: ResourceRequest, object: KubeObject, code: number, warnings: string[]): Answer {
    return { ...this.shown(request, object), code, warnings, stored: object };
  }

  private deleted(request: ResourceRequest, removal: Removal): Answer {
    const { info } = request;
    const { object } = removal;
    if (!removal.gone || info.storageKey === '/pods')
      return { code: 200, text: encodeObject(toVersion(object, info)), stored: object };
    const details = {
      name: object.metadata.name,
      ...(info.group === '' ? {} : { group: info.group }),
      kind: info.plural,
      uid: object.metadata.uid,
    };
    return { code: 200, value: { ...success(), details }, stored: object };
  }
}

const success = (): StatusObject => ({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' });

function patchKind(request: ResourceRequest): PatchKind {
  const { contentType, info } = request;
  const kind = Object.hasOwn(PATCH_TYPES, contentType) ? PATCH_TYPES[contentType] : undefined;
  if (kind === undefined || (kind === 'strategic' && info.custom)) {
    const accepted = Object.keys(PATCH_TYPES).filter(
      (type) => !(info.custom && type.includes('strategic')) && type !== 'application/apply-patch+json',
    );
    throw unsupportedMediaType(accepted);
  }
  if (kind === 'apply' && (request.query.get('fieldManager') ?? '') === '') {
    throw new ApiError(
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      {
        group: 'meta.k8s.io',
        kind: 'PatchOptions',
        causes: [{ reason: 'FieldValueRequired', message: 'Required value: is required for apply patch', field: 'fieldManager' }],
      },
    );
  }
  return kind;
}

const asArrayOfNames = (value: unknown): string[] =>
  Array.isArray(value) ? value.map((item: unknown) => asString(at(item, 'name'))) : [];

function numberOption(
  query: URLSearchParams,
  key: 'tailLines' | 'sinceSeconds' | 'limitBytes',
): Partial<Record<typeof key, number>> {
  const value = query.get(key);
  return value === null || !Number.isFinite(Number(value)) ? {} : { [key]: Number(value) };
}

/** The kind of a route, or why there is none. */
export function requireKind(objects: Objects, route: Route): ResourceInfo {
  const info = objects.registry.find(route.group, route.version, route.plural);
  if (info === undefined) throw routeNotFound();
  if (route.namespace !== undefined && !info.namespaced) throw notFound(info, route.name ?? '');
  return info;
}
