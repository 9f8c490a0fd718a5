import { newrelicSettings } from '../../api/metric-providers/newrelic.js';
import { Failure, type ApiRequest, type Refusal } from '../json-api.js';
import type { ProviderQuery } from '../provider.js';
import { credential, endpoint, fromTemplate, secretName, settingsOf } from '../questions.js';
import { newrelicAnswer, newrelicErrors, type NewRelicAnswer } from './schema.js';

const ADDRESSES = { us: 'https://api.newrelic.com', eu: 'https://api.eu.newrelic.com' };

const QUESTION = `query ($account: Int!, $nrql: Nrql!) {
  actor { account(id: $account) { nrql(query: $nrql) { results metadata { facets } } } }
}`;

/** NRQL in the time of the evidence, unless it says its time itself. @throws Failure */
export function newrelicRequest(query: ProviderQuery): ApiRequest<NewRelicAnswer> {
  const { region, accountId } = settingsOf(newrelicSettings, query);
  // The key names are Flagger's; an Insights query key is no longer good for anything, a user key is.
  const key = credential(query, 'newrelic_api_key', 'newrelic_query_key');
  const account = accountId ?? Number(credential(query, 'newrelic_account_id'));
  if (!Number.isSafeInteger(account)) {
    throw new Failure(`newrelic_account_id of the Secret "${secretName(query) ?? ''}" is not the number of an account`, false);
  }
  return {
    // Flagger's templates have the whole address of the API.
    url: endpoint(query, ADDRESSES[region], query.address.replace(/\/+$/, '').endsWith('/graphql') ? '' : '/graphql'),
    body: JSON.stringify({ query: QUESTION, variables: { account, nrql: inTime(query) } }),
    ...fromTemplate(query),
    own: { 'API-Key': key, 'Content-Type': 'application/json' },
    answer: newrelicAnswer,
    refusal,
  };
}

function inTime({ query, from, to }: ProviderQuery): string {
  const nrql = query.trim().replace(/;$/, '');
  const quoted = /'(?:[^'\\]|\\.)*'|`[^`]*`|"(?:[^"\\]|\\.)*"/g;
  return /\bsince\b/i.test(nrql.replace(quoted, '')) ? nrql : `${nrql} SINCE ${from} UNTIL ${to}`;
}

function refusal(body: unknown): Refusal | undefined {
  const errors = newrelicErrors.safeParse(body).data?.errors;
  if (!errors) return undefined;
  const message = errors.map((error) => error.message).join('; ');
  const classes = errors.map((error) => error.extensions?.errorClass ?? '').join(' ');
  return {
    message,
    denied: /ACCESS_DENIED|UNAUTHENTICATED|UNAUTHORIZED|FORBIDDEN/i.test(classes),
    busy: /TOO_MANY_REQUESTS|RATE_LIMIT/i.test(classes),
    permanent: /INVALID/i.test(classes) || /\bsyntax error\b/i.test(message),
  };
}
