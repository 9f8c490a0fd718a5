import type { KubeObject } from '../../../kube/types.js';
import {
  ApiError,
  badRequest,
  expired,
  failure,
  forbiddenField,
  invalidOptions,
  unsupportedValue,
  type Cause,
} from '../errors.js';
import { both, fieldPredicate, labelPredicate, type Predicate } from '../selectors.js';
import type { Storage } from '../storage.js';
import type { ResourceInfo } from '../types.js';
import { toVersion } from '../objects.js';
import type { ListMeta } from './encode.js';

export interface Page {
  objects: KubeObject[];
  metadata: ListMeta;
}

/** The selectors of a query (and the name of a watch on one object). */
export function selection(query: URLSearchParams, info: ResourceInfo): Predicate | undefined {
  const fields = fieldPredicate(query.get('fieldSelector') ?? undefined, info);
  return both(
    labelPredicate(query.get('labelSelector') ?? undefined),
    fields && ((object) => fields(info.toStorage === undefined ? object : info.toStorage(object))),
  );
}

const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name}`;

interface Token {
  rv: number;
  start: string;
}

function readToken(text: string): Token {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    const { rv, start } = parsed as Partial<Token>;
    if (typeof rv === 'number' && typeof start === 'string') return { rv, start };
  } catch {
    // Falls through to the refusal below.
  }
  throw badRequest(`invalid continue token: continue key is not valid: ${text.slice(0, 64)}`);
}

const writeToken = (token: Token): string => Buffer.from(JSON.stringify(token)).toString('base64url');

/** @throws Error with Go's words when it is no number */
export function parseRevision(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    const quoted = JSON.stringify(text);
    throw failure(`resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax`);
  }
  return Number(text);
}

/**
 * The version that a read asks for.
 * @throws ApiError 504 for one that was not reached yet (kept from another server, say): the client is to try again
 */
export function reachedRevision(storage: Storage, query: URLSearchParams): number | undefined {
  let wanted: number | undefined;
  try {
    wanted = parseRevision(query.get('resourceVersion'));
  } catch (error) {
    throw badRequest(`invalid resource version: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (wanted === undefined || wanted <= storage.revision) return wanted;
  throw new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${storage.revision}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

const MATCHES = ['Exact', 'NotOlderThan', ''];
const LIST_OPTIONS = 'ListOptions';

/** @throws ApiError 422 when options do not go together */
function checkListOptions(query: URLSearchParams): void {
  const match = query.get('resourceVersionMatch') ?? '';
  const version = query.get('resourceVersion') ?? '';
  const causes: Cause[] = [];
  if (match !== '' && version === '')
    causes.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
  if (match !== '' && (query.get('continue') ?? '') !== '')
    causes.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
  if (!MATCHES.includes(match)) causes.push(unsupportedValue('resourceVersionMatch', match, MATCHES));
  if (match === 'Exact' && version === '0')
    causes.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  if (query.get('sendInitialEvents') !== null)
    causes.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  if (causes.length > 0) throw invalidOptions(LIST_OPTIONS, causes);
}

/** A limit below one is none. */
function limitOf(query: URLSearchParams): number {
  const text = query.get('limit') ?? '';
  if (text === '') return 0;
  if (!/^[-+]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Math.max(0, Number(text));
}

const TOO_OLD =
  'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.';

/**
 * One page of a list. Pages after the first show the state that the first one came from.
 * @throws ApiError 410 when that state is forgotten
 */
export function listPage(storage: Storage, info: ResourceInfo, namespace: string | undefined, query: URLSearchParams): Page {
  checkListOptions(query);
  const matches = selection(query, info);
  const limit = limitOf(query);
  const token = query.get('continue');
  const from = token === null || token === '' ? undefined : readToken(token);
  if (from !== undefined && (query.get('resourceVersion') ?? '') !== '')
    throw badRequest('specifying resource version is not allowed when using continue');
  const wanted = from === undefined ? reachedRevision(storage, query) : undefined;
  const exact = query.get('resourceVersionMatch') === 'Exact' ? wanted : undefined;
  const revision = from?.rv ?? exact ?? storage.revision;
  let objects = storage.listAt(info.storageKey, namespace, revision);
  if (objects === undefined)
    throw expired(from === undefined ? `The provided resource version is too old: ${revision}` : TOO_OLD);
  if (from !== undefined) objects = objects.filter((object) => keyOf(object) > from.start);
  if (matches !== undefined) objects = objects.filter(matches);
  const metadata: ListMeta = { resourceVersion: String(revision) };
  if (limit > 0 && objects.length > limit) {
    const remainingItemCount = objects.length - limit;
    objects = objects.slice(0, limit);
    const last = objects.at(-1);
    if (last !== undefined) metadata.continue = writeToken({ rv: revision, start: keyOf(last) });
    if (matches === undefined) metadata.remainingItemCount = remainingItemCount;
  }
  return { objects: objects.map((object) => toVersion(object, info)), metadata };
}
