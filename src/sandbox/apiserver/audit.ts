import type { Route } from './http/request.js';
import type { AuditEntry } from './types.js';

/** What the audit log needs of one exchange. `latencyMs` in milliseconds. */
export interface AuditInput {
  time: string;
  method: string;
  path: string;
  route?: Route;
  watch: boolean;
  userAgent?: string;
  fieldManager?: string;
  code: number;
  latencyMs: number;
  body?: unknown;
  stored?: unknown;
}

const VERBS: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch' };

function verbOf(method: string, route: Route | undefined, watch: boolean): string {
  if (route === undefined) return method.toLowerCase();
  if (watch) return 'watch';
  if (method === 'GET' || method === 'HEAD') return route.name === undefined ? 'list' : 'get';
  if (method === 'DELETE') return route.name === undefined ? 'deletecollection' : 'delete';
  return VERBS[method] ?? method.toLowerCase();
}

/** Bodies of Secrets are left out: the log may be kept and shown. */
const isSecret = (route: Route | undefined): boolean => route?.group === '' && route.plural === 'secrets';

const defined = (fields: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined));

/** One line of the audit log. */
export function auditEntry(input: AuditInput): AuditEntry {
  const { route, body, stored } = input;
  const secret = isSecret(route);
  return {
    time: input.time,
    verb: verbOf(input.method, route, input.watch),
    method: input.method,
    path: input.path,
    ...defined({
      resource: route && (route.group === '' ? route.plural : `${route.plural}.${route.group}`),
      subresource: route?.subresource,
      namespace: route?.namespace,
      name: route?.name,
      userAgent: input.userAgent,
      fieldManager: input.fieldManager,
    }),
    code: input.code,
    latencyMs: Math.round(input.latencyMs * 1000) / 1000,
    ...(body === undefined || secret ? {} : { requestBody: body }),
    ...(stored === undefined || secret ? {} : { responseObject: stored }),
  };
}
