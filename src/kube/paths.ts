import { KubeError, type KubeObject, type Resource } from './types.js';

/** `apiVersion` of a kind: `v1`, `apps/v1`. */
export const apiVersionOf = (resource: Resource): string =>
  resource.group ? `${resource.group}/${resource.version}` : resource.version;

/** `deployments.apps`, as kubectl writes it. */
export const resourceName = (resource: Resource): string =>
  resource.group ? `${resource.plural}.${resource.group}` : resource.plural;

/** `deployments.apps shop/reviews`: how messages name one object. */
export const objectName = (resource: Resource, namespace: string | undefined, name: string | undefined): string =>
  `${resourceName(resource)} ${namespace ? `${namespace}/` : ''}${name ?? '(no name)'}`;

/** Path of a collection; without a namespace, of all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
  return namespace && resource.namespaced
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${resource.plural}`
    : `${root}/${resource.plural}`;
}

/**
 * Path of one object.
 * @throws KubeError 400 when the name or the namespace is missing: the path would silently mean something else.
 */
export function objectPath(resource: Resource, namespace: string | undefined, name: string, subresource?: string): string {
  requireNamespace(resource, namespace, name);
  if (!name)
    throw new KubeError(
      400,
      'BadRequest',
      `${objectName(resource, namespace, name)}: metadata.name is empty; give the object a name`,
    );
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

export function requireNamespace(resource: Resource, namespace: string | undefined, name: string | undefined): void {
  if (!resource.namespaced || namespace) return;
  throw new KubeError(
    400,
    'BadRequest',
    `${objectName(resource, namespace, name)}: metadata.namespace is empty; ${resource.kind} is namespaced`,
  );
}

/** Query string with its `?`, or nothing. Undefined and empty values are left out. */
export function queryString(values: Record<string, string | number | undefined>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value !== undefined && value !== '') query.set(key, String(value));
  const text = query.toString();
  return text && `?${text}`;
}

/** Items of lists of built-in kinds carry neither `apiVersion` nor `kind`. */
export function withTypeMeta<T extends KubeObject>(resource: Resource<T>, item: T): T {
  return item.kind && item.apiVersion ? item : { ...item, apiVersion: apiVersionOf(resource), kind: resource.kind };
}
