import { isNotFound, type KubeClient, type KubeObject, type Resource } from '../../src/kube/index.js';
import type { Item } from './flux.js';
import { comparable, same, setAt, threeWay, valueAt, type Json } from './json.js';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const MANAGER = 'argocd-controller';

/** One entry of `spec.ignoreDifferences` of an Application. */
export interface IgnoreDifference {
  group?: string;
  kind: string;
  name?: string;
  jsonPointers: string[];
}
export interface ApplicationOptions {
  ignoreDifferences?: IgnoreDifference[];
  /** `ServerSideApply=true`, `RespectIgnoreDifferences=true`. */
  syncOptions?: ('ServerSideApply=true' | 'RespectIgnoreDifferences=true')[];
}

/**
 * Argo CD's application controller with `selfHeal`, as far as it writes objects. It is out of sync when an apply would change
 * anything that is not ignored; then it applies the whole manifest: by a three-way merge with what it applied last, or on the
 * server. Only with RespectIgnoreDifferences the ignored fields keep what is there when it does.
 */
export class ArgoCd {
  constructor(
    private readonly client: KubeClient,
    readonly namespace: string,
    private readonly options: ApplicationOptions = {},
  ) {}

  /** One look of the self-healer; `Kind/NAME` of what was out of sync and was applied. */
  async heal(items: Item[]): Promise<string[]> {
    const synced: string[] = [];
    for (const { resource, manifest } of items) if (await this.#heal(resource, this.#placed(manifest))) synced.push(`${manifest.kind}/${manifest.metadata.name}`);
    return synced;
  }

  #placed(manifest: KubeObject): KubeObject {
    const annotations = { ...manifest.metadata.annotations, 'argocd.argoproj.io/tracking-id': `shop:${manifest.kind}:${this.namespace}/${manifest.metadata.name}` };
    return { ...structuredClone(manifest), metadata: { ...manifest.metadata, namespace: this.namespace, annotations } };
  }

  async #heal(resource: Resource, wanted: KubeObject): Promise<boolean> {
    const { name } = wanted.metadata;
    const live = await this.client.get(resource, this.namespace, name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (!live) {
      await this.#apply(resource, undefined, wanted, false);
      return true;
    }
    const outcome = await this.#apply(resource, live, wanted, true);
    if (same(this.#normalized(live), this.#normalized(outcome))) return false;
    const respects = this.options.syncOptions?.includes('RespectIgnoreDifferences=true');
    if (respects) for (const pointer of this.#ignored(wanted)) setAt(wanted as unknown as Json, pointer, valueAt(live, pointer));
    await this.#apply(resource, live, wanted, false);
    return true;
  }

  async #apply(resource: Resource, live: KubeObject | undefined, wanted: KubeObject, dryRun: boolean): Promise<KubeObject> {
    const { name } = wanted.metadata;
    if (this.options.syncOptions?.includes('ServerSideApply=true')) return this.client.patch(resource, this.namespace, name, wanted, 'apply', { fieldManager: MANAGER, force: true, dryRun });
    const noted = { ...wanted, metadata: { ...wanted.metadata, annotations: { ...wanted.metadata.annotations, [LAST_APPLIED]: JSON.stringify(wanted) } } };
    if (!live) return this.client.create(resource, noted, { fieldManager: MANAGER, dryRun });
    const text = live.metadata.annotations?.[LAST_APPLIED];
    const patch = threeWay(text === undefined ? {} : JSON.parse(text), noted as unknown as Json, live);
    return this.client.patch(resource, this.namespace, name, patch, 'merge', { fieldManager: MANAGER, dryRun });
  }

  #ignored({ apiVersion, kind, metadata }: KubeObject): string[] {
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
    const rules = (this.options.ignoreDifferences ?? []).filter((rule) => (rule.group ?? '') === group && rule.kind === kind && (rule.name ?? metadata.name) === metadata.name);
    return rules.flatMap(({ jsonPointers }) => jsonPointers);
  }

  #normalized(object: KubeObject): Json {
    const copy = structuredClone(comparable(object as unknown as Json));
    const annotations = copy['annotations'];
    if (typeof annotations === 'object' && annotations !== null) delete (annotations as Json)[LAST_APPLIED];
    for (const pointer of this.#ignored(object)) setAt(copy, pointer, undefined);
    return copy;
  }
}
