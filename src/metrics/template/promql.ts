import { parseQuery } from '../../sandbox/prometheus/promql/parser.js';
import { typeOf } from '../../sandbox/prometheus/promql/check.js';
import { ParseError } from '../../sandbox/prometheus/promql/errors.js';

/** Parsing costs, and the same queries come again at every look at a Canary. */
const KEPT = 512;
const known = new Map<string, string | undefined>();

/**
 * What is wrong with a PromQL query, with its place as `line:column`; undefined when nothing is. Features that a server must be told to
 * enable are left to the server. Pure but for a memory of answers.
 */
export function promqlProblem(query: string): string | undefined {
  if (known.has(query)) return known.get(query);
  const problem = parse(query);
  known.set(query, problem);
  const [oldest] = known.keys();
  if (known.size > KEPT && oldest !== undefined) known.delete(oldest);
  return problem;
}

/** Prometheus reads these when it is told to; how this one is set nobody knows here. */
const OPTIONAL = /experimental|not enabled|the sandbox/;

function parse(query: string): string | undefined {
  try {
    const type = typeOf(parseQuery(query));
    if (type === 'scalar' || type === 'vector') return undefined;
    return `1:1: the query gives a ${type === 'matrix' ? 'range of values' : 'string'}; it must give one number`;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return OPTIONAL.test(error.message) ? undefined : error.message;
  }
}
