/** JSON in the hands of tools that apply manifests. */
export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
export const same = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => `${key}:${canonical(item)}`)
    .join()}}`;
}

const parts = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

export function valueAt(object: unknown, pointer: string): unknown {
  return parts(pointer).reduce<unknown>((value, part) => (isObject(value) ? value[part] : undefined), object);
}

/** Sets what a pointer leads to; undefined takes it away. */
export function setAt(object: Json, pointer: string, value: unknown): void {
  const path = parts(pointer);
  const last = path.pop() ?? '';
  let parent = object;
  for (const part of path) {
    if (!isObject(parent[part])) {
      if (value === undefined) return;
      parent[part] = {};
    }
    parent = parent[part] as Json;
  }
  if (value === undefined) delete parent[last];
  else parent[last] = value;
}

/** Three-way merge patch (RFC 7386): what `wanted` says is set, what only `last` said is removed, the rest of `live` stays. */
export function threeWay(last: unknown, wanted: Json, live: unknown): Json {
  const patch: Json = {};
  if (isObject(last)) for (const key of Object.keys(last)) if (!(key in wanted) && isObject(live) && key in live) patch[key] = null;
  for (const [key, value] of Object.entries(wanted)) {
    const now = isObject(live) ? live[key] : undefined;
    if (isObject(value)) {
      const below = threeWay(isObject(last) ? last[key] : undefined, value, now);
      if (Object.keys(below).length > 0 || now === undefined) patch[key] = below;
    } else if (!same(value, now)) patch[key] = value;
  }
  return patch;
}

/** What of an object a tool compares: neither its status nor what the server counts. */
export function comparable({ status: _status, metadata, ...rest }: Json): Json {
  const { labels, annotations } = (metadata ?? {}) as Json;
  return { ...rest, labels, annotations };
}
