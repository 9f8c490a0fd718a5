import { z } from 'zod';
import type { Attempt, Cluster, Endpoint, RequestRecord, Source } from '../types.js';

const text = z.string().nullish();
const count = z
  .union([z.number(), z.string()])
  .nullish()
  .transform((value) => Number(value ?? 0) || 0);
const grpc = z
  .union([z.number(), z.string()])
  .nullish()
  .transform((value) => (value === null || value === undefined || value === '-' ? undefined : String(value)));

const attemptLine = z.object({
  kind: z.literal('attempt'),
  id: text,
  host: text,
  code: count,
  flags: text,
  grpc,
  duration: count,
});

const requestLine = z.object({
  kind: z.enum(['request', 'mirror']),
  source: z.string(),
  start: count,
  id: text,
  method: text,
  path: text,
  authority: text,
  contentType: text,
  code: count,
  flags: text,
  grpc,
  duration: count,
  route: text,
  cluster: text,
  host: text,
  tries: count,
});

const logLine = z.discriminatedUnion('kind', [attemptLine, requestLine]);
type AttemptLine = z.infer<typeof attemptLine>;
type RequestLine = z.infer<typeof requestLine>;

export interface LogReaderOptions {
  sources: (id: string) => Source | undefined;
  clusters: (name: string) => Cluster | undefined;
  endpoints: (address: string) => Endpoint | undefined;
  onRequest: (record: RequestRecord) => void;
  /** A line that is not ours: something is wrong with the configuration of the log. */
  onProblem: (message: string) => void;
}

/** How long a request's line waits for the lines of its tries (Envoy may write the last one after it). */
const GRACE_MS = 200;
const MOST_UNCLAIMED = 10_000;

interface Waiting {
  line: RequestLine;
  timer: NodeJS.Timeout;
}

/** Turns Envoy's access log into request records: tries and requests are joined by request id. */
export class LogReader {
  private rest = '';
  private readonly attempts = new Map<string, AttemptLine[]>();
  private readonly waiting = new Map<string, Waiting[]>();

  constructor(private readonly options: LogReaderOptions) {}

  /** Any piece of the log, in order. */
  push(chunk: string): void {
    const lines = (this.rest + chunk).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.read(line);
  }

  /** Emit what still waits. */
  flush(): void {
    for (const list of this.waiting.values()) {
      for (const { line, timer } of list.splice(0)) {
        clearTimeout(timer);
        this.emit(line);
      }
    }
    this.waiting.clear();
  }

  private read(text: string): void {
    let parsed: z.infer<typeof logLine>;
    try {
      parsed = logLine.parse(JSON.parse(text));
    } catch {
      this.options.onProblem(`Envoy wrote a line that is no access log entry: ${text.slice(0, 200)}`);
      return;
    }
    const id = parsed.id ?? '';
    if (parsed.kind === 'mirror') this.emit(parsed);
    else if (parsed.kind === 'attempt') {
      this.attempts.set(id, [...(this.attempts.get(id) ?? []), parsed]);
      this.forgetOldest();
      this.release(id);
    } else {
      const line = parsed;
      const timer = setTimeout(() => {
        const list = this.waiting.get(id);
        const at = list?.findIndex((waiting) => waiting.line === line) ?? -1;
        if (at === -1) return;
        list?.splice(at, 1);
        this.emit(line);
      }, GRACE_MS);
      this.waiting.set(id, [...(this.waiting.get(id) ?? []), { line, timer }]);
      this.release(id);
    }
  }

  /** Tries whose request was already emitted are never fetched. */
  private forgetOldest(): void {
    if (this.attempts.size <= MOST_UNCLAIMED) return;
    for (const id of this.attempts.keys()) {
      this.attempts.delete(id);
      return;
    }
  }

  private release(id: string): void {
    const list = this.waiting.get(id);
    const first = list?.[0];
    if (list === undefined || first === undefined || (this.attempts.get(id)?.length ?? 0) < first.line.tries) return;
    clearTimeout(first.timer);
    list.shift();
    if (list.length === 0) this.waiting.delete(id);
    this.emit(first.line);
  }

  private emit(line: RequestLine): void {
    const source = this.options.sources(line.source);
    if (source === undefined) return;
    const mirrored = line.kind === 'mirror';
    // Without an endpoint nobody got the copy, and nobody reports it.
    if (mirrored && !line.host) return;
    const id = line.id ?? '';
    const own = mirrored ? [line] : this.takeAttempts(id, line.tries);
    const cluster = line.cluster ? this.options.clusters(line.cluster) : undefined;
    const endpoint = line.host ? this.options.endpoints(line.host) : undefined;
    this.options.onRequest({
      time: line.start * 1000,
      requestId: id,
      source,
      method: line.method ?? '',
      path: line.path ?? '',
      authority: line.authority ?? '',
      protocol: line.contentType?.startsWith('application/grpc') === true ? 'grpc' : 'http',
      responseCode: line.code,
      responseFlags: line.flags || '-',
      ...(line.grpc !== undefined && { grpcStatus: line.grpc }),
      durationMs: line.duration,
      routeName: line.route ?? '',
      upstreamCluster: cluster?.name ?? '',
      ...(endpoint && { endpoint }),
      ...(cluster && { destinationService: { host: cluster.host, ...cluster.service } }),
      attempts: own.map((one) => this.toAttempt(one)),
      mirrored,
    });
  }

  private takeAttempts(id: string, tries: number): AttemptLine[] {
    const all = this.attempts.get(id) ?? [];
    const own = all.splice(0, tries);
    if (all.length === 0) this.attempts.delete(id);
    return own;
  }

  private toAttempt(line: AttemptLine | RequestLine): Attempt {
    const endpoint = line.host ? this.options.endpoints(line.host) : undefined;
    // A try that the source gave up has neither code nor flag; its endpoint sees its caller leave.
    const given = line.flags || '-';
    const flags = given === '-' && line.code === 0 ? 'DC' : given;
    const refused = flags.split(',').includes('UF');
    return {
      ...(endpoint && { endpoint }),
      status: refused || flags === 'UC' ? 0 : line.code,
      flags,
      durationMs: line.duration,
      reached: endpoint !== undefined && !refused,
      ...(line.grpc !== undefined && { grpcStatus: line.grpc }),
    };
  }
}
