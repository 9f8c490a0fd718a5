import { z } from 'zod';
import { Annotations, Labels } from '../api/index.js';
import type { KubeObject } from '../kube/types.js';
import { SLOTS } from './names.js';
import { perObject } from './per-object.js';

/**
 * A few fields of the user's own objects must say something else while a Canary manages them. One annotation remembers what the
 * user wrote, per field; the user's later edits are merged in; the original comes back when the Canary goes.
 */
type Scalar = string | number | boolean | null;
/** JSON pointer → value; null means "absent". */
export type Fields = Record<string, Scalar>;

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const memo = z.object({
  canary: z.string(),
  /** What the user wrote. */
  user: z.record(z.string(), scalar),
  /** What Sluice laid over it. */
  ours: z.record(z.string(), scalar),
});
type Memo = z.infer<typeof memo>;

/** The overlay that lies on an object; undefined for none or one that is not of this kind. */
export const readOverlay = perObject((object: KubeObject): Memo | undefined => {
  const text = object.metadata.annotations?.[Annotations.overlay];
  if (text === undefined) return undefined;
  try {
    return memo.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
});

const segments = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

export const pointer = (...parts: string[]): string => parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

function read(object: KubeObject, path: string): Scalar {
  let value: unknown = object;
  for (const part of segments(path)) {
    if (typeof value !== 'object' || value === null) return null;
    value = (value as Record<string, unknown>)[part];
  }
  const parsed = scalar.safeParse(value ?? null);
  return parsed.success ? parsed.data : null;
}

/** Set or (null) remove a field; parents are made as needed. */
function write(target: Record<string, unknown>, path: string, value: Scalar, removal: 'delete' | 'null'): void {
  const parts = segments(path);
  const last = parts.pop();
  if (last === undefined) return;
  let parent = target;
  for (const part of parts) {
    const next = parent[part];
    if (typeof next === 'object' && next !== null) parent = next as Record<string, unknown>;
    else parent = parent[part] = {};
  }
  if (value === null && removal === 'delete') delete parent[last];
  else parent[last] = value;
}

function patchOf(fields: Fields, annotation: string | null): Record<string, unknown> {
  const patch: Record<string, unknown> = { metadata: { annotations: { [Annotations.overlay]: annotation } } };
  for (const [path, value] of Object.entries(fields)) write(patch, path, value, 'null');
  return patch;
}

/** What a person or a tool knows as one field; the API server takes and gives each as one value. */
const WHOLE = ['/spec/selector', '/spec/workloadSelector', '/spec/scaleTargetRef', '/spec/template/spec/nodeSelector'];
const wholeField = (path: string): string => WHOLE.find((field) => path.startsWith(`${field}/`)) ?? path;

/** A tool that takes over what is live may come a moment too late: then it writes a selector that was ours, and contests nothing. */
function isEarlierOurs(object: KubeObject, field: string): boolean {
  const selector = [field, `${field}/matchLabels`, `${field}/labels`].find((path) => read(object, path + pointer(Labels.canary)) !== null);
  return selector !== undefined && SLOTS.some((slot) => read(object, selector + pointer(Labels.slot)) === slot);
}

/** Fields (`/spec/selector`) in which the object says something else than the overlay that lies on it: somebody wrote since. */
export const resetFields = perObject((object: KubeObject): string[] => {
  const overlay = readOverlay(object);
  const paths = Object.entries(overlay?.ours ?? {}).filter(([path, value]) => read(object, path) !== value);
  return [...new Set(paths.map(([path]) => wholeField(path)))].filter((field) => !isEarlierOurs(object, field));
});

/** What the user wants in a field: what they wrote before the overlay, or since. */
export function userValue(object: KubeObject, path: string): Scalar {
  const overlay = readOverlay(object);
  const now = read(object, path);
  if (!overlay || !(path in overlay.ours)) return now;
  return now === overlay.ours[path] ? (overlay.user[path] ?? null) : now;
}

/** The merge patch that lays `fields` over the object; undefined when they already lie there. */
export function layOver(object: KubeObject, canary: string, fields: Fields): Record<string, unknown> | undefined {
  const overlay = readOverlay(object);
  const user: Fields = { ...overlay?.user };
  for (const path of Object.keys(fields)) user[path] = userValue(object, path);
  const memoNow: Memo = { canary, user, ours: { ...overlay?.ours, ...fields } };
  const inPlace = Object.entries(fields).every(([path, value]) => read(object, path) === value);
  if (inPlace && overlay && JSON.stringify(overlay.user) === JSON.stringify(memoNow.user) && JSON.stringify(overlay.ours) === JSON.stringify(memoNow.ours)) return undefined;
  return patchOf(fields, JSON.stringify(memoNow));
}

/** The merge patch that gives the fields back as the user wrote them; undefined when no overlay lies on the object. */
export function liftOff(object: KubeObject): Record<string, unknown> | undefined {
  const overlay = readOverlay(object);
  if (!overlay) return undefined;
  const original: Fields = {};
  for (const path of Object.keys(overlay.ours)) original[path] = userValue(object, path);
  return patchOf(original, null);
}

/**
 * A manifest about to be applied, with the overlay of the live object laid over it: the user's values are remembered, ours stay
 * in force. So a sync never undoes what a release depends on, not even for a moment.
 */
export function overlayManifest(manifest: KubeObject, live: KubeObject): KubeObject {
  const overlay = readOverlay(live);
  if (!overlay) return manifest;
  const result = structuredClone(manifest);
  const user: Fields = { ...overlay.user };
  for (const [path, ours] of Object.entries(overlay.ours)) {
    const wished = read(manifest, path);
    // A manifest that leaves the number of replicas out has no wish: the last known one stays.
    if (wished !== null || path !== '/spec/replicas') user[path] = wished;
    write(result, path, ours, 'delete');
  }
  const memoNow: Memo = { ...overlay, user };
  result.metadata.annotations = { ...result.metadata.annotations, [Annotations.overlay]: JSON.stringify(memoNow) };
  return result;
}
