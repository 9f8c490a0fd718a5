import { Annotations, SluiceResources } from '../api/index.js';
import type { Cache } from '../engine/cache.js';
import { decodeSecret } from '../engine/secrets.js';
import { FIELD_MANAGER } from '../engine/writer.js';
import { isNotFound, Resources, type KubeClient } from '../kube/index.js';
import { createGitHooks } from '../server/git-hooks.js';

/** A Secret is read again after this long, in milliseconds: those who do not know it cost no more than this. */
const TOKEN_FOR_MS = 10_000;

/**
 * The receiver of every replica. A hint goes through an annotation of the GitSource, so that it reaches the one that leads,
 * whoever received it.
 */
export function gitHooks(client: KubeClient, cache: Cache, now: () => number): ReturnType<typeof createGitHooks> {
  const tokens = new Map<string, { token: Promise<string | undefined>; at: number }>();
  return createGitHooks({
    gitSources: cache.gitSources,
    token: (namespace, secret) => {
      const key = `${namespace}/${secret}`;
      const known = tokens.get(key);
      if (known && now() - known.at < TOKEN_FOR_MS) return known.token;
      const token = readToken(client, namespace, secret);
      tokens.set(key, { token, at: now() });
      return token;
    },
    hint: async ({ metadata }, commit) => {
      const annotations = { [Annotations.syncHint]: [new Date(now()).toISOString(), ...(commit ? [commit] : [])].join(' ') };
      await client.patch(SluiceResources.GitSource, metadata.namespace, metadata.name, { metadata: { annotations } }, 'merge', { fieldManager: FIELD_MANAGER });
    },
  });
}

async function readToken(client: KubeClient, namespace: string, name: string): Promise<string | undefined> {
  try {
    return decodeSecret(await client.get(Resources.Secret, namespace, name))['token']?.trim();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
