import { createInformer, Resources, type IndexedInformer, type KubeClient, type KubeObject } from '../kube/index.js';
import type { SecretReader } from './revisions.js';

/**
 * Secrets that something refers to by name, each watched by itself: the controller needs no right to list the Secrets of a
 * namespace, and keeps none that it was not told of.
 */
export class NamedSecrets implements SecretReader {
  readonly #watched = new Map<string, IndexedInformer<KubeObject>>();

  constructor(
    private readonly client: KubeClient,
    private readonly signal: AbortSignal,
    private readonly onChange: (namespace: string, name: string) => void,
    private readonly onError?: (error: unknown) => void,
  ) {}

  read(namespace: string, name: string): KubeObject | 'absent' | undefined {
    const informer = this.#watch(namespace, name);
    if (!informer.synced) return undefined;
    return informer.get(namespace, name) ?? 'absent';
  }

  /** Like `read`, but waits until the Secret is known. */
  async load(namespace: string, name: string): Promise<KubeObject | 'absent'> {
    const informer = this.#watch(namespace, name);
    await informer.whenSynced();
    return informer.get(namespace, name) ?? 'absent';
  }

  #watch(namespace: string, name: string): IndexedInformer<KubeObject> {
    const key = `${namespace}/${name}`;
    const known = this.#watched.get(key);
    if (known) return known;
    const informer = createInformer<KubeObject>(this.client, Resources.Secret, { namespace, fieldSelector: `metadata.name=${name}`, onError: this.onError });
    informer.onChange(() => this.onChange(namespace, name));
    void informer.whenSynced().then(() => this.onChange(namespace, name));
    this.#watched.set(key, informer);
    informer.start(this.signal);
    return informer;
  }
}

/** The decoded `data` of a Secret. */
export function decodeSecret(secret: KubeObject): Record<string, string> {
  const data = (secret['data'] ?? {}) as Record<string, unknown>;
  const entries = Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
}

export function credentialsOf(secrets: SecretReader, namespace: string, name: string): Record<string, string> | undefined {
  const found = secrets.read(namespace, name);
  return found === undefined || found === 'absent' ? undefined : decodeSecret(found);
}
