/**
 * A reading of an object that is made once per version of it: informers and writes replace objects and never change them, and one
 * object is looked at by many decisions. The reading must not be changed either, for it is shared.
 */
export function perObject<T extends object, R>(read: (object: T) => R): (object: T) => R {
  const known = new WeakMap<T, { reading: R }>();
  return (object) => {
    let entry = known.get(object);
    if (!entry) known.set(object, (entry = { reading: read(object) }));
    return entry.reading;
  };
}

/** A copy of plain JSON that shares nothing with it. Several times as fast as `structuredClone`, which has to expect anything. */
export function cloneJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => cloneJson(item)) as T;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = cloneJson((value as Record<string, unknown>)[key]);
  return copy as T;
}
