import type { StackdriverSettings } from '../../api/metric-providers/stackdriver.js';
import { Failure, type ApiRequest, type Refusal } from '../json-api.js';
import { promqlAnswer, promqlRefusal } from '../prometheus-answer.js';
import type { ProviderQuery } from '../provider.js';
import { endpoint, fromTemplate } from '../questions.js';
import { googleError, mqlAnswer, type MqlAnswer, type ServiceAccountKey } from './schema.js';

const ADDRESS = 'https://monitoring.googleapis.com';

/** The project that is asked. @throws Failure */
export function projectOf(query: ProviderQuery, settings: StackdriverSettings, key: ServiceAccountKey | undefined): string {
  const project = settings.project ?? query.credentials?.['project']?.trim() ?? key?.project_id;
  if (project && /^[-a-z0-9.:]+$/.test(project)) return project;
  throw new Failure('spec.provider.stackdriver.project is needed: the id of a project', true);
}

/** PromQL at the end of the evidence. */
export function promqlRequest(query: ProviderQuery, project: string, location: string, token: string): ApiRequest<ReturnType<typeof promqlAnswer.parse>> {
  return {
    url: endpoint(query, ADDRESS, `/v1/projects/${project}/location/${location}/prometheus/api/v1/query`),
    body: new URLSearchParams({ query: query.query, time: (query.to / 1000).toFixed(3) }).toString(),
    ...fromTemplate(query, [token]),
    own: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/x-www-form-urlencoded' },
    answer: promqlAnswer,
    refusal: (body) => promqlRefusal(body) ?? refusal(body),
  };
}

/** MQL, which says its time itself. */
export function mqlRequest(query: ProviderQuery, project: string, token: string): ApiRequest<MqlAnswer> {
  return {
    url: endpoint(query, ADDRESS, `/v3/projects/${project}/timeSeries:query`),
    body: JSON.stringify({ query: query.query }),
    ...fromTemplate(query, [token]),
    own: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    answer: mqlAnswer,
    refusal,
  };
}

function refusal(body: unknown): Refusal | undefined {
  const error = googleError.safeParse(body).data?.error;
  if (!error) return undefined;
  const denied = /^(PERMISSION_DENIED|UNAUTHENTICATED)$/.test(error.status ?? '');
  return { message: error.message, denied, busy: error.status === 'RESOURCE_EXHAUSTED', permanent: error.status === 'INVALID_ARGUMENT' };
}
