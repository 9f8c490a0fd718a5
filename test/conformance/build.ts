import type { Json, Reading, Request } from './types.js';

/** Short forms for the list of requests. */
type Options = Omit<Request, 'name' | 'call' | 'body'>;

export const get = (name: string, path: string, options: Options = {}): Request => ({ name, call: `GET ${path}`, ...options });
export const post = (name: string, path: string, body: unknown, options: Options = {}): Request => ({
  name,
  call: `POST ${path}`,
  body,
  ...options,
});
export const put = (name: string, path: string, body: unknown, options: Options = {}): Request => ({
  name,
  call: `PUT ${path}`,
  body,
  ...options,
});
export const remove = (name: string, path: string, body?: unknown, options: Options = {}): Request => ({
  name,
  call: `DELETE ${path}`,
  body,
  ...options,
});

const patch =
  (type: string) =>
  (name: string, path: string, body: unknown, options: Options = {}): Request => ({
    name,
    call: `PATCH ${path}`,
    body,
    type,
    ...options,
  });

export const merge = patch('application/merge-patch+json');
export const json = patch('application/json-patch+json');
export const strategic = patch('application/strategic-merge-patch+json');
const applyPatch = patch('application/apply-patch+yaml');

/** Server-side apply; `query` holds more options, `&force=true`. */
export const apply = (name: string, path: string, body: unknown, manager: string, query = '', options: Options = {}): Request =>
  applyPatch(name, `${path}?fieldManager=${manager}${query}`, body, options);

export const watch = (name: string, path: string, as: string, options: Options = {}): Request => ({
  name,
  call: `GET ${path}`,
  open: as,
  ...options,
});
export const reading = (name: string, read: string, events: number | 'end'): Reading => ({ name, read, events });

export const CORE = '/api/v1/namespaces/{{ns}}';
export const MAPS = `${CORE}/configmaps`;
export const DEPLOYMENTS = '/apis/apps/v1/namespaces/{{ns}}/deployments';
export const CANARIES = '/apis/sluice.dev/v1beta1/namespaces/{{ns}}/canaries';
export const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
export const PARTIAL = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
export const PARTIAL_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';

export const configMap = (name: string, data?: Json, metadata: Json = {}): Json => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  ...(data === undefined ? {} : { data }),
});

/** A Deployment of no pods: nothing but the API has a part in it. */
export const deployment = (name: string, spec: Json = {}, container: Json = {}): Json => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, labels: { app: name } },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'app', image: 'reviews:v1', ...container }] } },
    ...spec,
  },
});
