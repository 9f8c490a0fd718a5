import type { GitSource } from '../../api/index.js';
import type { Http } from '../../net/http.js';
import type { KubeObject } from '../../kube/types.js';
import { SyncError } from '../reasons.js';
import { parseRemoteUrl } from '../url.js';
import { azure } from './azure.js';
import { bitbucket } from './bitbucket.js';
import { gitea } from './gitea.js';
import { github } from './github.js';
import { gitlab } from './gitlab.js';
import type { Host, HostRepository } from './types.js';

export { HostError, type CommitState, type CommitStatus, type Host, type HostRepository, type PullRequest } from './types.js';

/** Every kind of Git host, by the name in `spec.writeBack.host.type`. */
export const HOSTS = { github, gitlab, gitea, bitbucket, azure } satisfies Record<string, Host>;

/** A source's repository at its host. */
export interface SourceHost {
  host: Host;
  repository: HostRepository;
}

export interface HostOptions {
  http: Http;
  /** The Secret; undefined when it does not exist. */
  secret: (namespace: string, name: string) => Promise<KubeObject | undefined>;
}

/**
 * The host of a source; undefined when `spec.writeBack.host` is not set.
 * @throws SyncError CredentialsNotFound, naming the Secret and the key; never a value.
 */
export async function hostOf({ http, secret }: HostOptions, source: GitSource): Promise<SourceHost | undefined> {
  const { writeBack, secretRef } = source.spec;
  const wanted = writeBack?.host;
  if (!wanted) return undefined;
  const host = HOSTS[wanted.type];
  const place = placeOf(source.spec.url);
  const api = (wanted.api ?? host.api(place.origin)).replace(/\/+$/, '');
  const name = (wanted.secretRef ?? writeBack.secretRef ?? secretRef)?.name;
  if (!name) throw new SyncError('CredentialsNotFound', 'spec.writeBack.host.secretRef is not set; name a Secret with the key "token"');
  const { token, username } = readToken(name, await secret(source.metadata.namespace ?? 'default', name));
  return { host, repository: { http, api, path: wanted.repository ?? place.path, token, ...(username ? { username } : {}) } };
}

/** Where the repository is on the web, from any of the forms of `spec.url`. */
function placeOf(text: string): { origin: string; path: string } {
  const url = parseRemoteUrl(text);
  const scp = /^[^/]*@[^:/]+:(.+)$/.exec(text)?.[1];
  const path = scp ?? new URL(url.text).pathname;
  const name = path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');
  // Azure DevOps has hosts and paths of its own for ssh.
  if (url.host === 'ssh.dev.azure.com') return { origin: 'https://dev.azure.com', path: name.replace(/^v3\//, '') };
  return { origin: url.origin ?? `https://${url.host}`, path: name };
}

function readToken(name: string, secret: KubeObject | undefined): { token: string; username?: string } {
  const missing = (what: string): SyncError => new SyncError('CredentialsNotFound', `spec.writeBack.host.secretRef: Secret "${name}" ${what}`);
  if (!secret) throw missing('does not exist in the namespace of the GitSource; create it');
  const data = (secret['data'] ?? {}) as Record<string, unknown>;
  const text = (key: string): string | undefined => {
    const value = data[key];
    return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8').trim() || undefined : undefined;
  };
  const token = text('token') ?? text('password');
  if (!token) throw missing('lacks the key "token"; add a token that may write');
  const username = text('token') === undefined ? text('username') : undefined;
  return { token, ...(username ? { username } : {}) };
}
