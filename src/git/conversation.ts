import type { EgressPolicy } from '../net/egress.js';
import { createRemoteHome, type GitCredentials } from './credentials.js';
import { gitEnvironment, type GitHome } from './environment.js';
import { guardRemote } from './guard.js';
import { SyncError } from './reasons.js';
import type { GitCall } from './run.js';
import type { RemoteUrl } from './url.js';

export interface ConversationOptions {
  /** Folder for homes. */
  homes: string;
  egress: EgressPolicy;
  credentials?: GitCredentials;
  signal?: AbortSignal;
  /** The field that holds the address, for messages. */
  field?: string;
}

/**
 * Speaks to one remote. The home that `call` stands in holds the secrets, may be used for files, and is gone afterwards.
 * @throws SyncError InvalidUrl when the address is one that the policy denies, and whatever the task throws.
 */
export async function converse<T>(url: RemoteUrl, { homes, egress, credentials, signal, field = 'spec.url' }: ConversationOptions, task: (call: GitCall) => Promise<T>): Promise<T> {
  const refused = (error: unknown): SyncError => new SyncError('InvalidUrl', `${field}: ${error instanceof Error ? error.message : String(error)}`);
  const guard = await guardRemote(url, egress).catch((error: unknown) => {
    throw refused(error);
  });
  let home: GitHome | undefined;
  try {
    home = await createRemoteHome(homes, url, credentials, guard.proxy);
    // A list of hosts without proxy would lead around the guard.
    const environment = gitEnvironment(home.dir, guard.proxy === undefined ? url.host : undefined);
    return await task({ cwd: home.dir, environment, ...(signal ? { signal } : {}) });
  } catch (error) {
    const denied = guard.denied();
    throw denied ? refused(denied) : error;
  } finally {
    guard.close();
    await home?.dispose();
  }
}
