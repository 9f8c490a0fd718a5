import { createMeshProxy, type MeshProxy } from './proxy.js';
import type { Random } from './random.js';
import type { ConfigFeed, Mesh, RequestRecord, Source, SourceSpec } from './types.js';
import { describeSource } from './workload.js';

export interface MeshOptions {
  feed: ConfigFeed;
  onRequest: (record: RequestRecord) => void;
}

const keyOf = (source: Source): string =>
  JSON.stringify([
    source.namespace,
    source.workload,
    source.gateway,
    Object.entries(source.labels).toSorted(([a], [b]) => a.localeCompare(b)),
  ]);

/** One proxy per distinct source, made when first asked for. */
export const proxyPerSource = <T>(
  create: (source: Source) => Promise<T>,
): { get(spec: SourceSpec): Promise<T>; all(): Promise<T[]> } => {
  const proxies = new Map<string, Promise<T>>();
  return {
    get: (spec) => {
      const source = describeSource(spec);
      const key = keyOf(source);
      let proxy = proxies.get(key);
      if (proxy === undefined) {
        proxy = create(source);
        proxies.set(key, proxy);
        // A failed start must not be remembered as the answer for ever.
        proxy.catch(() => proxies.delete(key));
      }
      return proxy;
    },
    all: async () => {
      const settled = await Promise.allSettled(proxies.values());
      return settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    },
  };
};

/** The mesh without any binary: an HTTP/1.1 proxy of our own per source workload, all in this process. */
export const startBuiltinMesh = (options: MeshOptions & { random?: Random }): Promise<Mesh> => {
  const { feed, onRequest, random } = options;
  const proxies = proxyPerSource<MeshProxy>((source) =>
    createMeshProxy({ config: () => feed.current(), source, onRequest, ...(random && { random }) }),
  );
  return Promise.resolve({
    outbound: async (source) => (await proxies.get(source)).url,
    applied: () => feed.current().version,
    stop: async () => {
      for (const proxy of await proxies.all()) await proxy.stop();
    },
  });
};
