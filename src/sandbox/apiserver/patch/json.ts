import { ApiError, badRequest } from '../errors.js';
import { clone, deepEqual, isObject, type Json } from '../json.js';

const MAX_OPERATIONS = 10_000;

interface Location {
  parent: Json | unknown[];
  key: string;
}

/** The real server says no more than this of an operation that cannot be done. */
const failed = (): ApiError => new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});

function split(path: unknown): string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) {
    throw failed();
  }
  return path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function index(list: unknown[], key: string, allowEnd: boolean): number {
  const position = key === '-' && allowEnd ? list.length : /^\d+$/.test(key) ? Number(key) : -1;
  if (position < 0 || position > list.length || (!allowEnd && position === list.length)) {
    throw failed();
  }
  return position;
}

function read(container: unknown, key: string): unknown {
  if (Array.isArray(container)) return container[index(container, key, false)] as unknown;
  if (isObject(container) && Object.hasOwn(container, key)) return container[key];
  throw failed();
}

function locate(root: Json, path: string): Location {
  const parts = split(path);
  const key = parts.pop();
  if (key === undefined || key === '__proto__' || parts.includes('__proto__')) throw failed();
  let parent: unknown = root;
  for (const part of parts) parent = read(parent, part);
  if (!Array.isArray(parent) && !isObject(parent)) throw failed();
  return { parent, key };
}

function add(root: Json, path: string, value: unknown): void {
  const { parent, key } = locate(root, path);
  if (Array.isArray(parent)) parent.splice(index(parent, key, true), 0, value);
  else parent[key] = value;
}

function remove(root: Json, path: string): unknown {
  const { parent, key } = locate(root, path);
  const value = read(parent, key);
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}

function replace(root: Json, path: string, value: unknown): void {
  const { parent, key } = locate(root, path);
  // A member that is not there is added: the real server's library has it so, whatever RFC 6902 says.
  if (Array.isArray(parent)) parent[index(parent, key, false)] = value;
  else parent[key] = value;
}

function get(root: Json, path: string): unknown {
  let value: unknown = root;
  for (const part of split(path)) value = read(value, part);
  return value;
}

/**
 * RFC 6902. Mutates and returns `target`, which must be a private copy.
 * @throws ApiError 400 when the patch is malformed, 422 when a path or test does not hold
 */
export function jsonPatch(target: Json, operations: unknown): Json {
  if (!Array.isArray(operations))
    throw badRequest('error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp');
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
  if (!isObject(operation))
    throw badRequest('error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp');
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
        throw failed();
      }
      return;
    default:
      throw failed();
  }
}
