/** Key of `Index.callers` under which objects with an overlay of this Canary are found. */
export const overlaidKey = (namespace: string, canary: string): string => `${namespace}//${canary}`;
/** Key of `Index.callers` under which objects that select this label, perhaps with others, are found. */
export const selectedKey = (namespace: string, label: string, value: string): string => `${namespace}/${label}=${value}`;
