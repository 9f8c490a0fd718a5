import { z } from 'zod';
import { isNotFound, type KubeClient, type Resource } from '../kube/types.js';

const resourceList = z.object({
  resources: z.array(z.looseObject({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});
/** An unknown kind is asked for again no sooner than this, in ms: its CRD may come at any time. */
const UNKNOWN_FOR_MS = 5_000;

interface Known {
  kinds: Map<string, Resource>;
  at: number;
}

/** Where kinds live in the API, learned from the server one group and version at a time, when first needed. */
export class Discovery {
  readonly #known = new Map<string, Promise<Known>>();

  constructor(
    private readonly client: Pick<KubeClient, 'raw'>,
    private readonly now: () => number,
  ) {}

  /** The resource of a kind; undefined when the server does not serve it. Rejects with KubeError when it cannot be asked. */
  async find(group: string, version: string, kind: string): Promise<Resource | undefined> {
    const key = `${group}/${version}`;
    const known = await this.#ask(key, group, version);
    const resource = known.kinds.get(kind);
    if (resource || this.now() - known.at < UNKNOWN_FOR_MS) return resource;
    this.#known.delete(key);
    return (await this.#ask(key, group, version)).kinds.get(kind);
  }

  /** Forget a group, because one of its CRDs was just applied. */
  forget(group: string): void {
    for (const key of this.#known.keys()) if (key.startsWith(`${group}/`)) this.#known.delete(key);
  }

  #ask(key: string, group: string, version: string): Promise<Known> {
    const before = this.#known.get(key);
    if (before) return before;
    const asked = this.#load(group, version);
    this.#known.set(key, asked);
    asked.catch(() => this.#known.delete(key));
    return asked;
  }

  async #load(group: string, version: string): Promise<Known> {
    const kinds = new Map<string, Resource>();
    try {
      const answer = resourceList.parse(await this.client.raw(group ? `/apis/${group}/${version}` : `/api/${version}`));
      for (const { name, kind, namespaced } of answer.resources) {
        if (!name.includes('/')) kinds.set(kind, { group, version, plural: name, kind, namespaced });
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return { kinds, at: this.now() };
  }
}
