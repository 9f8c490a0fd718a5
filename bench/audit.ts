import { open, stat, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { z } from 'zod';

/** Verbs that read objects. A watch is not among them: it is what makes reads needless. */
const READS = ['get', 'list'];

/** An audit policy that keeps one line per request of one user and nothing else: a benchmark must not measure its own log. */
export async function writeAuditPolicy(file: string, user: string): Promise<void> {
  const rules = [{ level: 'Metadata', users: [user] }, { level: 'None' }];
  await writeFile(file, stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules }));
}

export interface Requests {
  /** Everything but the renewals of the Lease, watches included. */
  total: number;
  /** `get` and `list`. */
  reads: number;
  /** `update canaries/status` → how many. */
  byKind: Record<string, number>;
  /** Answers of 400 and above. */
  refused: number;
}

const lineSchema = z.object({
  stage: z.string(),
  verb: z.string(),
  objectRef: z.object({ resource: z.string(), subresource: z.string().optional() }).optional(),
  responseStatus: z.object({ code: z.number() }).optional(),
});

/** Where the log ends now, in bytes. */
export const auditPosition = async (file: string): Promise<number> => (await stat(file)).size;

/** The requests that were logged after a position. */
export async function requestsSince(file: string, position: number): Promise<Requests> {
  const handle = await open(file);
  const requests: Requests = { total: 0, reads: 0, byKind: {}, refused: 0 };
  try {
    for await (const line of handle.readLines({ start: position, autoClose: false })) count(requests, line);
  } finally {
    await handle.close();
  }
  return requests;
}

function count(requests: Requests, line: string): void {
  if (line.trim() === '') return;
  const { stage, verb, objectRef, responseStatus } = lineSchema.parse(JSON.parse(line));
  // A watch is logged when it begins and again when it ends.
  if (stage !== (verb === 'watch' ? 'ResponseStarted' : 'ResponseComplete') || objectRef?.resource === 'leases') return;
  requests.total += 1;
  if (READS.includes(verb)) requests.reads += 1;
  if ((responseStatus?.code ?? 0) >= 400) requests.refused += 1;
  const kind = `${verb} ${objectRef?.resource ?? 'other'}${objectRef?.subresource ? `/${objectRef.subresource}` : ''}`;
  requests.byKind[kind] = (requests.byKind[kind] ?? 0) + 1;
}
