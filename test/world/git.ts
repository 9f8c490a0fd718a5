import { Annotations, Labels } from '../../src/api/index.js';
import { overlayManifest } from '../../src/core/overlay.js';
import { createIstioRouter } from '../../src/mesh/istio/index.js';
import type { KubeObject, Resource } from '../../src/kube/types.js';
import { merge, Resources } from './api.js';
import { NAMESPACE } from './cluster.js';
import { SERVICE } from './mesh.js';
import type { World } from './world.js';

/** What a commit declares. */
export interface Tree {
  image: string;
  /** Content of the ConfigMap that the pods read. */
  config: string;
  replicas: number;
  /** Timeout of the user's own route: a change that is no new version. */
  timeout: string;
}

export const configMap = ({ config }: Tree): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'reviews-config', namespace: NAMESPACE }, data: { stars: config } });
export const deployment = ({ image, replicas }: Tree): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: SERVICE, namespace: NAMESPACE, labels: { app: SERVICE }, annotations: { 'example.com/team': 'books' } },
  spec: {
    replicas,
    minReadySeconds: 0,
    selector: { matchLabels: { app: SERVICE } },
    template: { metadata: { labels: { app: SERVICE } }, spec: { containers: [{ name: 'reviews', image, envFrom: [{ configMapRef: { name: 'reviews-config' } }] }] } },
  },
});
export const callerService: KubeObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: SERVICE, namespace: NAMESPACE, labels: { app: SERVICE } },
  spec: { type: 'ClusterIP', ports: [{ name: 'http', port: 9080, protocol: 'TCP', targetPort: 9080 }], selector: { app: SERVICE } },
};
export const virtualService = ({ timeout }: Tree): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: SERVICE, namespace: NAMESPACE, labels: { app: SERVICE } },
  spec: {
    hosts: [SERVICE],
    gateways: ['mesh'],
    http: [
      { name: 'old', match: [{ uri: { prefix: '/v0' } }], redirect: { uri: '/v1' } },
      { name: SERVICE, timeout, retries: { attempts: 2, perTryTimeout: '1s' }, headers: { response: { add: { 'x-books': 'yes' } } }, route: [{ destination: { host: SERVICE } }] },
    ],
  },
});

/** The user's own rule, with a policy and a subset of theirs. */
export const destinationRule: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'books', namespace: NAMESPACE, labels: { app: SERVICE } },
  spec: { host: SERVICE, trafficPolicy: { connectionPool: { tcp: { maxConnections: 100 } } }, subsets: [{ name: 'v1', labels: { version: 'v1' } }] },
};

/**
 * The repository and what applies it: Sluice's own sync, which lays overlays over what it applies, or a tool that knows nothing of
 * them. A commit is several writes with time between them (trap G3).
 */
export class Git {
  readonly commits: { sha: string; tree: Tree }[] = [];
  readonly #router = createIstioRouter();
  #syncs = 0;

  constructor(
    private readonly world: World,
    private readonly tool: 'sluice' | 'kubectl',
    first: Tree,
  ) {
    this.commits.push({ sha: 'c0', tree: first });
  }

  get head(): Tree {
    return (this.commits.at(-1) as { tree: Tree }).tree;
  }

  commit(change: Partial<Tree>): void {
    this.commits.push({ sha: `c${this.commits.length}`, tree: { ...this.head, ...change } });
    this.sync();
  }

  /** Apply what HEAD says; a later sync overtakes one that is under way. */
  sync(): void {
    const { world } = this;
    const sync = (this.#syncs += 1);
    const { sha, tree } = this.commits.at(-1) as { sha: string; tree: Tree };
    const objects: [Resource, KubeObject][] = [
      [Resources.ConfigMap, configMap(tree)],
      [Resources.Deployment, deployment(tree)],
      ...(world.ownRoutes ? [[Resources.VirtualService, virtualService(tree)] as [Resource, KubeObject]] : []),
      // A tool that knows nothing of overlays must leave the rule alone: whoever takes the subsets away takes the traffic.
      ...(world.ownRoutes && world.subsets && this.tool === 'sluice' ? [[Resources.DestinationRule, destinationRule] as [Resource, KubeObject]] : []),
    ];
    let delay = world.latency.between(50, 400);
    for (const [resource, manifest] of objects) {
      world.timeline.after(delay, () => {
        if (sync === this.#syncs) this.#apply(resource, manifest, sha);
      });
      delay += world.latency.between(5, 300);
    }
  }

  #apply(resource: Resource, plain: KubeObject, sha: string): void {
    const { api } = this.world;
    const live = api.find(resource, NAMESPACE, plain.metadata.name);
    const by = this.tool === 'sluice' ? 'git' : 'kubectl';
    if (!live) {
      api.create(by, resource, plain);
      return;
    }
    const changed = JSON.stringify(merge(live, plain)) !== JSON.stringify(live);
    const notes: Record<string, string> = this.tool === 'sluice' && changed ? { [Annotations.commit]: sha, [Annotations.syncedAt]: new Date(this.world.now).toISOString() } : {};
    const manifest: KubeObject = { ...plain, metadata: { ...plain.metadata, annotations: { ...plain.metadata.annotations, ...notes } } };
    const laid = this.tool === 'sluice' && live.metadata.annotations?.[Annotations.overlay] !== undefined ? this.#lay(manifest, live) : manifest;
    // Server-side apply: lists and leaves are replaced, what others own stays.
    api.update(by, resource, merge(live, laid) as KubeObject);
  }

  #lay(manifest: KubeObject, live: KubeObject): KubeObject {
    return manifest.kind === 'VirtualService' || manifest.kind === 'DestinationRule' ? this.#router.overlay(manifest, live) : overlayManifest(manifest, live);
  }
}

/** Which version an image and a configuration make, whatever Sluice calls it. */
const keyOf = (image: string, config: string): string => `${image}+${config}`;

/** The version that the target and its configuration make now. */
export function wantedVersion(world: World): string | undefined {
  const target = world.api.find(Resources.Deployment, NAMESPACE, SERVICE);
  const config = world.api.find(Resources.ConfigMap, NAMESPACE, 'reviews-config');
  const template = (target?.['spec'] as { template?: { spec: { containers: { image: string }[] } } } | undefined)?.template;
  const image = template?.spec.containers[0]?.image;
  const stars = (config?.['data'] as { stars?: string } | undefined)?.stars;
  return image === undefined || stars === undefined ? undefined : keyOf(image, stars);
}

/** The version that a Deployment of a slot holds: its image, and the frozen configuration that it reads. */
export function heldVersion(world: World, slot: KubeObject): string {
  const container = (slot['spec'] as { template: { spec: { containers: { image: string; envFrom?: { configMapRef: { name: string } }[] }[] } } }).template.spec.containers[0];
  const name = container?.envFrom?.[0]?.configMapRef.name ?? '';
  const config = world.api.find(Resources.ConfigMap, NAMESPACE, name);
  return keyOf(container?.image ?? '', (config?.['data'] as { stars?: string } | undefined)?.stars ?? '?');
}
export const slotOf = (object: KubeObject): 'blue' | 'green' | undefined => object.metadata.labels?.[Labels.slot] as 'blue' | 'green' | undefined;
