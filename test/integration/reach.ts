import { Resources } from '../../src/kube/resources.js';
import type { KubeObject } from '../../src/kube/types.js';
import type { Store } from '../../src/sandbox/apiserver/index.js';
import type { Shop } from './shop.js';

type Endpoint = { conditions?: { ready?: boolean }; targetRef?: { name: string } };

/**
 * Which pods callers could reach, at every change of endpoints or routes: through the mesh by the weights, and without a proxy
 * through the Service `reviews`. Kept is what they never should.
 */
export class Reach {
  /** Pods that the mesh led to although they are no slot's, or the canary's before it was given weight. */
  readonly meshWithout: string[] = [];
  /** Pods of the target itself that callers without a proxy could reach. */
  readonly ofTarget: string[] = [];
  /** Pods of the slot under test that callers without a proxy could reach before the promotion. */
  readonly ofCanary: string[] = [];
  readonly #stops: (() => void)[];

  constructor(
    private readonly store: Store,
    private readonly shop: Shop,
  ) {
    this.#stops = [Resources.EndpointSlice, Resources.VirtualService].map((resource) => store.watch(resource, () => this.#look(), { namespace: shop.namespace }));
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #look(): void {
    const { status } = this.shop;
    for (const [host, weight] of Object.entries(this.shop.weights)) {
      if (weight === 0) continue;
      const slot = host.replace(/^reviews-?/, '');
      for (const pod of this.#behind(host)) {
        const held = pod.metadata.labels?.['sluice.dev/slot'];
        const early = slot === status.canary?.slot && status.run && !status.step && status.phase === 'Progressing' && !status.run.skipAnalysis;
        if (held === undefined || held !== slot || early) this.meshWithout.push(`${weight} % to ${host}: ${pod.metadata.name}`);
      }
    }
    for (const pod of this.#behind('reviews')) {
      const held = pod.metadata.labels?.['sluice.dev/slot'];
      if (held === undefined) this.ofTarget.push(pod.metadata.name);
      else if (held === status.canary?.slot && status.phase === 'Progressing') this.ofCanary.push(pod.metadata.name);
    }
  }

  /** Ready endpoints of a Service, as pods. */
  #behind(service: string): KubeObject[] {
    const { namespace } = this.shop;
    const slices = this.store.list(Resources.EndpointSlice, { namespace, labelSelector: `kubernetes.io/service-name=${service}` });
    const ready = slices.flatMap((slice) => (slice['endpoints'] ?? []) as Endpoint[]).filter(({ conditions }) => conditions?.ready !== false);
    return ready.flatMap(({ targetRef }) => this.store.get(Resources.Pod, namespace, targetRef?.name ?? '') ?? []);
  }
}

