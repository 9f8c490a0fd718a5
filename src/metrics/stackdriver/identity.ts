import { createSign } from 'node:crypto';
import { Failure, JsonApi } from '../json-api.js';
import { accessToken } from '../oauth.js';
import type { ProviderOptions, ProviderQuery } from '../provider.js';
import { credential, fromTemplate, keepIdentity, secretName } from '../questions.js';
import { Tokens, type Lent } from '../tokens.js';
import { serviceAccountKey, type ServiceAccountKey } from './schema.js';

const SCOPE = 'https://www.googleapis.com/auth/monitoring.read';
const METADATA = `http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token?scopes=${SCOPE}`;
const LIFE_SECONDS = 3600;

/** The key in the Secret; undefined where no Secret is named. @throws Failure when it is not one */
export function keyOf(query: ProviderQuery): ServiceAccountKey | undefined {
  if (query.provider.secretRef === undefined) return undefined;
  const text = credential(query, 'serviceAccountKey');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const parsed = serviceAccountKey.safeParse(json);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.');
  throw new Failure(`serviceAccountKey of the Secret "${secretName(query) ?? ''}" is not the JSON key of a service account${field ? ` (look at "${field}")` : ''}`, false);
}

/** Tokens that Google Cloud Monitoring takes: for the key of a service account, or for the identity of the controller's pod. */
export class GoogleIdentity {
  readonly #exchange: JsonApi;
  readonly #metadata: JsonApi;
  readonly #tokens: Tokens<string>;

  constructor(private readonly options: ProviderOptions) {
    this.#exchange = new JsonApi('the token service of Google', options);
    this.#metadata = new JsonApi('the metadata server of Google', options);
    this.#tokens = new Tokens(options.now);
  }

  /** @throws Failure */
  async token(query: ProviderQuery, key: ServiceAccountKey | undefined): Promise<string> {
    if (key) return await this.#tokens.get([key.token_uri, key.client_email, key.private_key], () => this.#forKey(query, key));
    keepIdentity(query, query.address === '', 'Google', 'name a Secret with a serviceAccountKey in spec.provider.secretRef');
    return await this.#tokens.get(['metadata'], () => this.#forPod());
  }

  async #forKey(query: ProviderQuery, key: ServiceAccountKey): Promise<Lent<string>> {
    const assertion = assertionOf(key, this.options.now(), secretName(query) ?? '');
    const { secrets, secretName: secret } = fromTemplate(query, [assertion, key.private_key]);
    return await accessToken(this.#exchange, this.options.now, { url: new URL(key.token_uri), secrets, secretName: secret }, {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion,
    });
  }

  async #forPod(): Promise<Lent<string>> {
    try {
      return await accessToken(this.#metadata, this.options.now, { url: new URL(METADATA), own: { 'Metadata-Flavor': 'Google' } });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const instead = 'the template names no Secret, so the token comes from there; spec.provider.secretRef with a serviceAccountKey needs no such way';
      throw new Failure(`${error.message}. ${instead}`, error.permanent);
    }
  }
}

/** What shows that one has the key (RFC 7523): a signed statement of who asks for what. @throws Failure */
function assertionOf(key: ServiceAccountKey, now: number, secret: string): string {
  const seconds = Math.floor(now / 1000);
  const head = { alg: 'RS256', typ: 'JWT', ...(key.private_key_id && { kid: key.private_key_id }) };
  const claims = { iss: key.client_email, scope: SCOPE, aud: key.token_uri, iat: seconds, exp: seconds + LIFE_SECONDS };
  const statement = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  try {
    return `${statement}.${createSign('RSA-SHA256').update(statement).sign(key.private_key, 'base64url')}`;
  } catch {
    throw new Failure(`private_key in serviceAccountKey of the Secret "${secret}" is not a private key in PEM form`, false);
  }
}
