import { ApiError, badRequest } from '../errors.js';
import { clone, deepEqual, isObject, type Json } from '../json.js';

const MAX_OPERATIONS = 10_000;

interface Location {
  parent: Json | unknown[];
  key: string;
}

const failed = (message: string): ApiError => new ApiError(422, 'Invalid', message);

function split(path: unknown): string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) {
    throw badRequest(`json patch: path ${JSON.stringify(path)} must start with "/"`);
  }
  return path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function index(list: unknown[], key: string, allowEnd: boolean, path: string): number {
  const position = key === '-' && allowEnd ? list.length : /^\d+$/.test(key) ? Number(key) : -1;
  if (position < 0 || position > list.length || (!allowEnd && position === list.length)) {
    throw failed(`the server rejected our request due to an error in our request: index ${key} of ${path} is out of bounds`);
  }
  return position;
}

function read(container: unknown, key: string, path: string): unknown {
  if (Array.isArray(container)) return container[index(container, key, false, path)] as unknown;
  if (isObject(container) && Object.hasOwn(container, key)) return container[key];
  throw failed(`the server rejected our request due to an error in our request: doc is missing path: ${path}: missing value`);
}

function locate(root: Json, path: string): Location {
  const parts = split(path);
  const key = parts.pop();
  if (key === undefined || key === '__proto__' || parts.includes('__proto__'))
    throw badRequest(`json patch: path "${path}" cannot be changed`);
  let parent: unknown = root;
  for (const part of parts) parent = read(parent, part, path);
  if (!Array.isArray(parent) && !isObject(parent)) throw failed(`json patch: the parent of ${path} is not an object or a list`);
  return { parent, key };
}

function add(root: Json, path: string, value: unknown): void {
  const { parent, key } = locate(root, path);
  if (Array.isArray(parent)) parent.splice(index(parent, key, true, path), 0, value);
  else parent[key] = value;
}

function remove(root: Json, path: string): unknown {
  const { parent, key } = locate(root, path);
  const value = read(parent, key, path);
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}

function replace(root: Json, path: string, value: unknown): void {
  const { parent, key } = locate(root, path);
  read(parent, key, path);
  if (Array.isArray(parent)) parent[Number(key)] = value;
  else parent[key] = value;
}

function get(root: Json, path: string): unknown {
  let value: unknown = root;
  for (const part of split(path)) value = read(value, part, path);
  return value;
}

/**
 * RFC 6902. Mutates and returns `target`, which must be a private copy.
 * @throws ApiError 400 when the patch is malformed, 422 when a path or test does not hold
 */
export function jsonPatch(target: Json, operations: unknown): Json {
  if (!Array.isArray(operations)) throw badRequest('json patch: the body must be a list of operations');
  if (operations.length > MAX_OPERATIONS) {
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `Request entity is too large: The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${operations.length}`,
    );
  }
  for (const operation of operations as unknown[]) apply(target, operation);
  return target;
}

function apply(target: Json, operation: unknown): void {
  if (!isObject(operation)) throw badRequest('json patch: every operation must be an object');
  const path = operation['path'];
  const from = operation['from'];
  split(path);
  const to = path as string;
  switch (operation['op']) {
    case 'add':
      return add(target, to, clone(operation['value']));
    case 'replace':
      return replace(target, to, clone(operation['value']));
    case 'remove':
      remove(target, to);
      return;
    case 'move':
      split(from);
      return add(target, to, remove(target, from as string));
    case 'copy':
      split(from);
      return add(target, to, clone(get(target, from as string)));
    case 'test':
      if (!deepEqual(get(target, to), operation['value'])) {
        throw failed(`the server rejected our request due to an error in our request: testing path ${to} failed`);
      }
      return;
    default:
      throw badRequest(`json patch: unexpected kind: ${JSON.stringify(operation['op'] ?? null)}`);
  }
}
