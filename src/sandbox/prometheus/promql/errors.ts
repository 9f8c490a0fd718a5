/** A query that Prometheus refuses to parse. The message has Prometheus's form: `line:column: parse error: …`. */
export class ParseError extends Error {
  constructor(query: string, offset: number | undefined, reason: string) {
    super(`${position(query, offset)}: parse error: ${reason}`);
    this.name = 'ParseError';
  }
}

function position(query: string, offset: number | undefined): string {
  if (offset === undefined) return 'unknown position';
  const before = query.slice(0, offset).split('\n');
  return `${before.length}:${(before.at(-1) ?? '').length + 1}`;
}

/** A query that parses but fails while it is evaluated (HTTP 422, `execution`). */
export class EvaluationError extends Error {
  override name = 'EvaluationError';
}

/** A query that took longer than its timeout (HTTP 503, `timeout`). */
export class QueryTimeoutError extends Error {
  override name = 'QueryTimeoutError';
  constructor() {
    super('query timed out in expression evaluation');
  }
}
