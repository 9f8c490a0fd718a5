import { cloudwatchSettings } from '../../api/metric-providers/cloudwatch.js';
import { Failure, JsonApi } from '../json-api.js';
import type { ProviderOptions, ProviderQuery } from '../provider.js';
import { credential, fromTemplate, keepIdentity, secretName, settingsOf } from '../questions.js';
import { identityToken, type Surroundings } from '../surroundings.js';
import { Tokens, type Lent } from '../tokens.js';
import { stsRefusal } from './errors.js';
import { podIdentityAnswer, stsAnswer } from './schema.js';
import { signed, type AwsKeys } from './sigv4.js';

/** Hosts of CloudWatch, which alone get requests that are signed with the controller's own identity. */
const OWN_HOSTS = /^([-a-z0-9]+\.)?monitoring(-fips)?\.[-a-z0-9]+\.(vpce\.)?amazonaws\.com(\.cn)?$/;

/**
 * The keys that requests are signed with: those of the Secret, a role that they may assume, or the identity that AWS gives the
 * controller's pod (IAM roles for service accounts, EKS Pod Identity).
 */
export class AwsIdentity {
  readonly #sts: JsonApi;
  readonly #agent: JsonApi;
  readonly #tokens: Tokens<AwsKeys>;

  constructor(
    private readonly options: ProviderOptions,
    private readonly surroundings: Surroundings,
  ) {
    this.#sts = new JsonApi('AWS STS', options);
    this.#agent = new JsonApi('the agent of EKS Pod Identity', options);
    this.#tokens = new Tokens(options.now);
  }

  /**
   * @param url what is going to be asked
   * @throws Failure
   */
  async keys(query: ProviderQuery, region: string, url: URL): Promise<AwsKeys> {
    const { roleArn } = settingsOf(cloudwatchSettings, query);
    if (query.provider.secretRef === undefined) return await this.#ambient(query, region, url, roleArn);
    const own: AwsKeys = {
      accessKeyId: credential(query, 'aws_access_key_id', 'AWS_ACCESS_KEY_ID'),
      secretAccessKey: credential(query, 'aws_secret_access_key', 'AWS_SECRET_ACCESS_KEY'),
    };
    const sessionToken = (query.credentials?.['aws_session_token'] ?? query.credentials?.['AWS_SESSION_TOKEN'])?.trim();
    if (sessionToken) own.sessionToken = sessionToken;
    if (roleArn === undefined) return own;
    const { secrets } = fromTemplate(query);
    return await this.#tokens.get(['role', region, roleArn, own.accessKeyId, own.secretAccessKey, sessionToken ?? ''], () =>
      this.#assume(region, { Action: 'AssumeRole', RoleArn: roleArn }, { keys: own, secretName: secretName(query), secrets: [...(secrets ?? [])] }),
    );
  }

  async #ambient(query: ProviderQuery, region: string, url: URL, roleArn: string | undefined): Promise<AwsKeys> {
    if (roleArn !== undefined) throw new Failure('spec.provider.cloudwatch.roleArn needs the keys of a Secret; name it in spec.provider.secretRef', true);
    keepIdentity(query, url.protocol === 'https:' && OWN_HOSTS.test(url.hostname), 'CloudWatch', 'name a Secret with keys in spec.provider.secretRef');
    const { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_CONTAINER_CREDENTIALS_FULL_URI: agent, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: agentFile } = this.surroundings.env;
    if (role && file) {
      return await this.#tokens.get(['web', role, file, region], async () => {
        const WebIdentityToken = await identityToken(this.surroundings, file);
        return await this.#assume(region, { Action: 'AssumeRoleWithWebIdentity', RoleArn: role, WebIdentityToken }, { secrets: [WebIdentityToken] });
      });
    }
    if (agent && agentFile && URL.canParse(agent)) return await this.#tokens.get(['pod', agent, agentFile], () => this.#podIdentity(new URL(agent), agentFile));
    throw new Failure('the controller has no identity in AWS; name a Secret with aws_access_key_id and aws_secret_access_key in spec.provider.secretRef', true);
  }

  async #assume(region: string, form: Record<string, string>, by: { keys?: AwsKeys; secretName?: string | undefined; secrets: string[] }): Promise<Lent<AwsKeys>> {
    const url = new URL(`https://sts.${region}.${domain(region)}/`);
    const body = new URLSearchParams({ ...form, Version: '2011-06-15', RoleSessionName: 'sluice' }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await this.#sts.exchange({
      url,
      body,
      own: { accept: 'text/xml', ...(by.keys ? signed({ method: 'POST', url, headers, body }, by.keys, { region, service: 'sts' }, this.options.now()) : headers) },
      secretName: by.secretName,
      secrets: by.secrets,
      answer: stsAnswer,
      decode: xmlFields,
      refusal: stsRefusal,
    });
    return lent(answer, answer.SessionToken);
  }

  async #podIdentity(url: URL, tokenFile: string): Promise<Lent<AwsKeys>> {
    const token = await identityToken(this.surroundings, tokenFile);
    const answer = await this.#agent.exchange({ url, own: { Authorization: token }, secrets: [token], answer: podIdentityAnswer });
    return lent(answer, answer.Token);
  }
}

const lent = (answer: { AccessKeyId: string; SecretAccessKey: string; Expiration: string }, sessionToken: string): Lent<AwsKeys> => ({
  value: { accessKeyId: answer.AccessKeyId, secretAccessKey: answer.SecretAccessKey, sessionToken },
  expiresAt: Date.parse(answer.Expiration),
});

/** Where the endpoints of a region are. */
export const domain = (region: string): string => (region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com');

const ENTITIES: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&apos;': "'", '&amp;': '&' };

/** The elements of a small XML document that hold nothing but text, by name. */
function xmlFields(body: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [, name = '', text = ''] of body.matchAll(/<([A-Za-z]+)>([^<]*)<\/\1>/g)) {
    fields[name] = text.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity] ?? entity);
  }
  return fields;
}
