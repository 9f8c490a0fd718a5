import { Failure, JsonApi } from '../json-api.js';
import { accessToken } from '../oauth.js';
import type { ProviderOptions, ProviderQuery } from '../provider.js';
import { fromTemplate, keepIdentity, secretName } from '../questions.js';
import { identityToken, type Surroundings } from '../surroundings.js';
import { Tokens, type Lent } from '../tokens.js';
import type { Cloud } from './clouds.js';

/** What is asked of Azure, for which a token is needed. */
export interface Purpose {
  cloud: Cloud;
  /** What the token is for, such as https://management.azure.com. */
  audience: string;
  url: URL;
}

/**
 * Tokens of Microsoft Entra ID: for a client secret, or for the workload identity of the controller's pod. Names of the Secret's keys
 * are Flagger's: `tenantId`, `clientId`, `clientSecret`.
 */
export class AzureIdentity {
  readonly #api: JsonApi;
  readonly #tokens: Tokens<string>;

  constructor(
    private readonly options: ProviderOptions,
    private readonly surroundings: Surroundings,
  ) {
    this.#api = new JsonApi('Microsoft Entra ID', options);
    this.#tokens = new Tokens(options.now);
  }

  /** @throws Failure */
  async token(query: ProviderQuery, purpose: Purpose): Promise<string> {
    const { env } = this.surroundings;
    const clientSecret = query.credentials?.['clientSecret']?.trim();
    const tenant = query.credentials?.['tenantId']?.trim() || (clientSecret ? '' : env['AZURE_TENANT_ID']);
    const client = query.credentials?.['clientId']?.trim() || (clientSecret ? '' : env['AZURE_CLIENT_ID']);
    const file = env['AZURE_FEDERATED_TOKEN_FILE'];
    if (!tenant || !client || !/^[A-Za-z0-9.-]+$/.test(tenant) || !(clientSecret || file)) throw missing(query);
    if (clientSecret) {
      const identity = [purpose.cloud.authority, purpose.audience, tenant, client, clientSecret];
      return await this.#tokens.get(identity, () => this.#exchange(query, purpose, tenant, { client_id: client, client_secret: clientSecret }));
    }
    keepIdentity(query, isOwn(purpose), 'Azure', 'put a clientSecret into the Secret');
    return await this.#tokens.get([purpose.cloud.authority, purpose.audience, tenant, client, 'workload identity'], async () =>
      this.#exchange(query, purpose, tenant, {
        client_id: client,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await identityToken(this.surroundings, file ?? ''),
      }),
    );
  }

  async #exchange(query: ProviderQuery, { cloud, audience }: Purpose, tenant: string, proof: Record<string, string>): Promise<Lent<string>> {
    const { secrets, secretName: secret } = fromTemplate(query, [proof['client_secret'] ?? '', proof['client_assertion'] ?? '']);
    const url = new URL(`${cloud.authority}/${tenant}/oauth2/v2.0/token`);
    return await accessToken(this.#api, this.options.now, { url, secrets, secretName: secret }, { grant_type: 'client_credentials', scope: `${audience}/.default`, ...proof });
  }
}

const isOwn = ({ cloud, url }: Purpose): boolean =>
  url.origin === cloud.management || url.origin === cloud.logs || (url.protocol === 'https:' && url.hostname.endsWith(`.${cloud.prometheus}`));

function missing(query: ProviderQuery): Failure {
  const secret = secretName(query);
  if (secret === undefined) {
    return new Failure('the controller has no workload identity in Azure; name a Secret with tenantId, clientId and clientSecret in spec.provider.secretRef', true);
  }
  return new Failure(`the Secret "${secret}" needs tenantId, clientId and clientSecret`, false);
}
