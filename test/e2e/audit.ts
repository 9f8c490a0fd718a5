import { readFile } from 'node:fs/promises';

/** What matters here of `audit.k8s.io/v1` Event. */
export interface AuditEvent {
  verb: string;
  user: { username: string };
  userAgent?: string;
  /** When the API server began and ended with it, ISO 8601. */
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string; apiGroup?: string };
  responseStatus?: { code?: number };
  requestObject?: Record<string, unknown>;
  responseObject?: { metadata?: { resourceVersion?: string } };
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Requests that wanted to change something, in the order of their ends. */
export async function auditedWrites(file: string): Promise<AuditEvent[]> {
  const text = await readFile(file, 'utf8');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  const events = lines.filter(Boolean).map((line) => JSON.parse(line) as AuditEvent);
  return events.filter(({ verb }) => WRITES.has(verb));
}

/** When the API server had made each version of such objects, unix milliseconds by `resourceVersion`: its own clock, which no busy watcher delays. */
export async function writtenAt(file: string, resource: string): Promise<Map<number, number>> {
  const writes = (await auditedWrites(file)).filter(
    ({ objectRef, responseObject }) =>
      objectRef?.resource === resource && responseObject?.metadata?.resourceVersion !== undefined,
  );
  return new Map(
    writes.map(({ responseObject, stageTimestamp }) => [
      Number(responseObject?.metadata?.resourceVersion),
      Date.parse(stageTimestamp),
    ]),
  );
}
