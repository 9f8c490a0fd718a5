import { KubeError, type KubeClient, type KubeObject, type Resource, type WatchEvent } from '../../src/kube/index.js';

/** One request, as a fault sees it. */
export interface Call {
  verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'watch';
  resource: Resource;
  namespace?: string;
  name?: string;
}
export const isWrite = ({ verb, resource }: Call): boolean => !['get', 'list', 'watch'].includes(verb) && resource.kind !== 'Event' && resource.kind !== 'Lease';

/** What befalls requests. What a method throws is the answer. */
export interface Faults {
  /** Runs before the request is sent; the server learns nothing of it when this throws. */
  before?: (call: Call) => Promise<void> | void;
  /** Runs after the server has carried it out; when this throws, the answer is lost. */
  after?: (call: Call) => Promise<void> | void;
  /** Hears of the server's own answer. */
  settled?: (call: Call, error?: unknown) => void;
  /** True keeps an event of a watch from being seen; what it throws breaks the watch. */
  hides?: (call: Call, event: WatchEvent<KubeObject>) => boolean;
}

export const noAnswer = (): KubeError => new KubeError(0, 'NoAnswer', 'the connection broke');
export const conflict = (): KubeError => new KubeError(409, 'Conflict', 'the object has been modified');
export const expired = (): KubeError => new KubeError(410, 'Expired', 'too old resource version');
export const failed = (): KubeError => new KubeError(500, 'InternalError', 'etcdserver: request timed out');

/** A client whose requests suffer. */
export function faulty(client: KubeClient, faults: Faults): KubeClient {
  const through = async <T>(call: Call, send: () => Promise<T>): Promise<T> => {
    await faults.before?.(call);
    const answer = await send().catch((error: unknown) => {
      faults.settled?.(call, error);
      throw error;
    });
    faults.settled?.(call);
    await faults.after?.(call);
    return answer;
  };
  return {
    server: client.server,
    get: (resource, namespace, name) => through({ verb: 'get', resource, namespace, name }, () => client.get(resource, namespace, name)),
    list: (resource, options) => through({ verb: 'list', resource, namespace: options?.namespace }, () => client.list(resource, options)),
    create: (resource, object, options) => through({ verb: 'create', resource, ...object.metadata }, () => client.create(resource, object, options)),
    update: (resource, object, options) => through({ verb: 'update', resource, ...object.metadata }, () => client.update(resource, object, options)),
    patch: (resource, namespace, name, body, type, options) => through({ verb: 'patch', resource, namespace, name }, () => client.patch(resource, namespace, name, body, type, options)),
    delete: (resource, namespace, name, options) => through({ verb: 'delete', resource, namespace, name }, () => client.delete(resource, namespace, name, options)),
    raw: (path) => client.raw(path),
    watch: (resource, options, onEvent) => {
      const call: Call = { verb: 'watch', resource, namespace: options.namespace };
      return through(call, () =>
        client.watch(resource, options, (event) => {
          if (!faults.hides?.(call, event as WatchEvent<KubeObject>)) onEvent(event);
        }),
      );
    },
  };
}
