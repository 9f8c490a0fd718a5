import type { KubeObject } from '../../../kube/types.js';
import { ApiError, badRequest, expired } from '../errors.js';
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
  throw badRequest(`continue key is not valid: ${text.slice(0, 64)}`);
}

const writeToken = (token: Token): string => Buffer.from(JSON.stringify(token)).toString('base64url');

export function parseRevision(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return Number(text);
}

/** A version that was not reached yet (kept from another server, say) is a 504 that tells the client to try again. */
function checkReached(storage: Storage, wanted: number | undefined): void {
  if (wanted === undefined || wanted <= storage.revision) return;
  throw new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${storage.revision}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
    retryAfterSeconds: 1,
  });
}

/**
 * One page of a list. Pages after the first are read from the present state, from the key where the last one ended.
 * @throws ApiError 410 when the state that a continue token came from is forgotten
 */
export function listPage(storage: Storage, info: ResourceInfo, namespace: string | undefined, query: URLSearchParams): Page {
  const matches = selection(query, info);
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`limit: Invalid value: ${JSON.stringify(query.get('limit'))}`);
  const token = query.get('continue');
  const from = token === null || token === '' ? undefined : readToken(token);
  if (from === undefined) checkReached(storage, parseRevision(query.get('resourceVersion')));
  if (from !== undefined && storage.since(info.storageKey, from.rv) === undefined) {
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
    );
  }
  let objects = storage.list(info.storageKey, namespace);
  if (from !== undefined) objects = objects.filter((object) => keyOf(object) > from.start);
  if (matches !== undefined) objects = objects.filter(matches);
  const revision = from?.rv ?? storage.revision;
  const metadata: ListMeta = { resourceVersion: String(revision) };
  if (limit > 0 && objects.length > limit) {
    if (matches === undefined) metadata.remainingItemCount = objects.length - limit;
    objects = objects.slice(0, limit);
    const last = objects.at(-1);
    if (last !== undefined) metadata.continue = writeToken({ rv: revision, start: keyOf(last) });
  }
  return { objects: objects.map((object) => toVersion(object, info)), metadata };
}
