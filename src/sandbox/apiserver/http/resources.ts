import type { KubeObject } from '../../../kube/types.js';
import {
  ApiError,
  badRequest,
  forbiddenField,
  invalidOptions,
  invalidValue,
  methodNotAllowed,
  notFound,
  PlainError,
  required,
  routeNotFound,
  tooLong,
  unsupportedMediaType,
  unsupportedValue,
  type Cause,
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
import { listPage, reachedRevision } from './list.js';
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
  /** Paths of members that the body has twice. */
  duplicates?: string[];
  /** Warnings for the answer, whatever it is. */
  warnings: string[];
  userAgent: string;
}

export interface Answer {
  code: number;
  /** JSON text, or a value to be encoded. */
  text?: string;
  value?: unknown;
  contentType?: string;
  cacheControl?: string;
  retryAfterSeconds?: number;
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

const CUSTOM_PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'];

const includeOf = (query: URLSearchParams): IncludeObject => {
  const value = query.get('includeObject');
  return value === 'None' || value === 'Object' ? value : 'Metadata';
};

function firstToken(userAgent: string): string {
  const token = userAgent.split(' ')[0]?.split('/')[0] ?? '';
  return token === '' ? 'unknown' : token;
}

const OPTIONS: Record<string, string> = { POST: 'CreateOptions', PUT: 'UpdateOptions', PATCH: 'PatchOptions' };
const VALIDATIONS = ['', 'Ignore', 'Strict', 'Warn'];
const MAX_MANAGER_LENGTH = 128;

/** What is wrong with the options of a write. */
function optionCauses({ query, contentType }: ResourceRequest): Cause[] {
  const apply = PATCH_TYPES[contentType] === 'apply';
  const fieldManager = query.get('fieldManager') ?? '';
  const causes: Cause[] = [];
  if (query.get('force') !== null && !apply) causes.push(forbiddenField('force', 'may not be specified for non-apply patch'));
  if (apply && fieldManager === '') causes.push(required('fieldManager', 'is required for apply patch'));
  if (fieldManager.length > MAX_MANAGER_LENGTH) causes.push(tooLong('fieldManager', MAX_MANAGER_LENGTH));
  Array.from(fieldManager).forEach((char, index) => {
    if (/\p{C}/u.test(char)) {
      const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
      causes.push(invalidValue('fieldManager', fieldManager, `invalid character U+${code} (at position ${index})`));
    }
  });
  const dryRun = dryRunOf(query);
  if (dryRun.some((value) => value !== 'All')) causes.push(unsupportedValue('dryRun', dryRun, ['All']));
  const validation = query.get('fieldValidation') ?? '';
  if (!VALIDATIONS.includes(validation)) causes.push(unsupportedValue('fieldValidation', validation, VALIDATIONS));
  return causes;
}

const dryRunOf = (query: URLSearchParams): string[] => query.getAll('dryRun').filter((value) => value !== '');

/** @throws ApiError 422 when an option is not understood */
function writeContext(request: ResourceRequest): WriteContext {
  const { query, method } = request;
  const causes = optionCauses(request);
  if (causes.length > 0) throw invalidOptions(OPTIONS[method] ?? 'Options', causes);
  const fieldManager = query.get('fieldManager') ?? '';
  const validation = query.get('fieldValidation') ?? '';
  const { subresource } = request.route;
  return {
    fieldManager: fieldManager === '' ? firstToken(request.userAgent) : fieldManager,
    fieldValidation: validation === '' ? 'Warn' : (validation as WriteContext['fieldValidation']),
    dryRun: dryRunOf(query).length > 0,
    force: query.get('force') === 'true' || query.get('force') === '1',
    ...(request.duplicates === undefined || validation === 'Ignore' ? {} : { duplicates: request.duplicates }),
    ...(subresource === 'status' || subresource === 'scale' ? { subresource } : {}),
    warnings: request.warnings,
  };
}

/** Delete options come from the body or the query. */
function deleteContext(request: ResourceRequest): DeleteContext {
  const body = asObject(request.body);
  const option = (key: string): unknown => body[key] ?? request.query.get(key) ?? undefined;
  const policy = option('propagationPolicy');
  if (policy !== undefined && policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw invalidOptions('DeleteOptions', [
      unsupportedValue('propagationPolicy', policy, ['Foreground', 'Background', 'Orphan', 'nil']),
    ]);
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
        return this.written(request, this.objects.create(info, route.namespace, request.body, context), 201);
      }
      case 'DELETE':
        if (info.storageKey === '/namespaces') throw methodNotAllowed();
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
        reachedRevision(this.objects.storage, request.query);
        return this.shown(request, this.objects.get(info, route.namespace, name));
      case 'PUT': {
        const context = writeContext(request);
        const { object, created } = this.objects.update(info, route.namespace, name, request.body, context);
        return this.written(request, object, created ? 201 : 200);
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
    return this.written(request, object, created ? 201 : 200);
  }

  private async subresource(request: ResourceRequest, name: string, subresource: string): Promise<Answer> {
    const { method, info, route } = request;
    const reading = method === 'GET' || method === 'HEAD';
    if (info.storageKey === '/namespaces' && subresource === 'finalize' && method === 'PUT') {
      return this.single({ ...request, route: { ...route, subresource: undefined } }, name);
    }
    if (!(info.subresources as ReadonlySet<string>).has(subresource)) throw info.custom ? notFound(info, name) : routeNotFound();
    if (subresource === 'scale') return this.scale(request, name);
    if (subresource === 'log') return this.log(request, name);
    if (subresource === 'eviction') {
      if (method !== 'POST') throw methodNotAllowed();
      const options = deleteContext({ ...request, body: at(request.body, 'deleteOptions') });
      this.objects.delete(info, route.namespace, name, options);
      return { code: 201, value: { ...success(), code: 201 } };
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

  private written(request: ResourceRequest, object: KubeObject, code: number): Answer {
    return { ...this.shown(request, object), code, stored: object };
  }

  private deleted(request: ResourceRequest, removal: Removal): Answer {
    const { info } = request;
    const { object } = removal;
    if (!removal.gone || RETURNED.has(info.storageKey))
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

/** Kinds whose deletion is answered with the object, not with a Status. */
const RETURNED = new Set(['/pods', '/services', '/serviceaccounts', '/persistentvolumeclaims']);

const success = (): StatusObject => ({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' });

function patchKind(request: ResourceRequest): PatchKind {
  const { contentType, info } = request;
  const kind = Object.hasOwn(PATCH_TYPES, contentType) ? PATCH_TYPES[contentType] : undefined;
  if (kind === undefined) throw new ApiError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
  if (kind === 'strategic' && info.custom) throw unsupportedMediaType(CUSTOM_PATCH_TYPES);
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
  const lost = info === undefined || (route.namespace !== undefined && !info.namespaced);
  // Where no built-in group answers, nobody knows how an error of the API looks.
  if (lost && !objects.registry.isBuiltinGroup(route.group)) throw new PlainError(404, '404 page not found\n');
  if (lost) throw routeNotFound();
  return info;
}
