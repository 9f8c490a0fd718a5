import { isNotFound, type KubeClient, type KubeObject, type Resource } from '../../src/kube/index.js';
import { comparable, same, setAt, valueAt, type Json } from './json.js';

const SSA = 'kustomize.toolkit.fluxcd.io/ssa';
const MANAGER = 'kustomize-controller';

/** One rule of `spec.ignore` of a Kustomization (Flux 2.9). */
export interface IgnoreRule {
  paths: string[];
  target?: { kind?: string; name?: string };
}
export interface Item {
  resource: Resource;
  manifest: KubeObject;
}

/**
 * kustomize-controller, as far as it writes objects: each is applied by the server in a dry run, as its own manager and with force;
 * when the outcome differs from what is there, it is applied in earnest. Fields that are ignored are taken over from what is there.
 */
export class Flux {
  constructor(
    private readonly client: KubeClient,
    readonly namespace: string,
    private readonly ignore: IgnoreRule[] = [],
  ) {}

  /** One reconciliation; `Kind/NAME` of what had drifted and was applied. */
  async reconcile(items: Item[]): Promise<string[]> {
    const applied: string[] = [];
    for (const { resource, manifest } of items) if (await this.#apply(resource, this.#placed(manifest))) applied.push(`${manifest.kind}/${manifest.metadata.name}`);
    return applied;
  }

  #placed(manifest: KubeObject): KubeObject {
    const { metadata } = manifest;
    const labels = { ...metadata.labels, 'kustomize.toolkit.fluxcd.io/name': 'shop', 'kustomize.toolkit.fluxcd.io/namespace': 'flux-system' };
    return { ...structuredClone(manifest), metadata: { ...metadata, namespace: this.namespace, labels } };
  }

  async #apply(resource: Resource, wanted: KubeObject): Promise<boolean> {
    const { name } = wanted.metadata;
    const live = await this.client.get(resource, this.namespace, name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (live && wanted.metadata.annotations?.[SSA] === 'IfNotPresent') return false;
    if (live) this.#adoptIgnored(wanted, live);
    const options = { fieldManager: MANAGER, force: true };
    const outcome = await this.client.patch(resource, this.namespace, name, wanted, 'apply', { ...options, dryRun: true });
    if (live && same(comparable(live as unknown as Json), comparable(outcome as unknown as Json))) return false;
    await this.client.patch(resource, this.namespace, name, wanted, 'apply', options);
    return true;
  }

  #adoptIgnored(wanted: KubeObject, live: KubeObject): void {
    for (const { paths, target } of this.ignore)
      if ((target?.kind ?? wanted.kind) === wanted.kind && (target?.name ?? wanted.metadata.name) === wanted.metadata.name)
        for (const path of paths) setAt(wanted as unknown as Json, path, valueAt(live, path));
  }
}
