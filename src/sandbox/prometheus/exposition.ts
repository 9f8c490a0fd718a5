import { formatBound } from './format.js';
import { METRIC_NAME, type LabelPair } from './labels.js';
import { parseFloatStrict } from './promql/literals.js';

/** A line that is not Prometheus text format 0.0.4. */
class ExpositionError extends Error {
  override name = 'ExpositionError';
}

/** What HELP and TYPE lines say about a metric. */
export interface MetricMetadata {
  type: string;
  help: string;
}

export interface ExpositionHandler {
  /** `series` is the metric with its labels as written, with the type it stands under; parseSeries() takes both apart. */
  sample(series: string, type: string, value: number, timestampMs: number | undefined): void;
  metadata?(name: string, part: Partial<MetricMetadata>): void;
}

/**
 * Reads an exposition line by line.
 * @throws ExpositionError at the first line that is not valid; a scrape counts as failed then, as in Prometheus.
 */
export function parseExposition(text: string, handler: ExpositionHandler): void {
  let type = 'unknown';
  let start = 0;
  let lineNumber = 0;
  while (start < text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end).trim();
    start = end + 1;
    lineNumber++;
    if (line === '') continue;
    if (line.startsWith('#')) type = readComment(line, handler) ?? type;
    else readSample(line, type, lineNumber, handler);
  }
}

/** Reads HELP and TYPE; returns the type when the line declares one. */
function readComment(line: string, handler: ExpositionHandler): string | undefined {
  const match = /^#[ \t]+(HELP|TYPE)[ \t]+("(?:[^"\\]|\\.)*"|\S+)(?:[ \t]+(.*))?$/.exec(line);
  if (match === null) return undefined;
  const name = match[2]!.startsWith('"') ? unescape(match[2]!.slice(1, -1)) : match[2]!;
  const rest = match[3] ?? '';
  if (match[1] === 'HELP') {
    handler.metadata?.(name, { help: unescape(rest) });
    return undefined;
  }
  const type = rest.trim() === 'untyped' ? 'unknown' : rest.trim();
  if (!/^(counter|gauge|histogram|summary|unknown)$/.test(type))
    throw new ExpositionError(`invalid metric type ${JSON.stringify(type)}`);
  handler.metadata?.(name, { type });
  return type;
}

function readSample(line: string, type: string, lineNumber: number, handler: ExpositionHandler): void {
  const fail = (): never => {
    throw new ExpositionError(
      `line ${lineNumber} is not a sample of the text format 0.0.4: ${JSON.stringify(line.slice(0, 120))}`,
    );
  };
  const end = seriesEnd(line);
  if (end <= 0) fail();
  const [value, timestamp, ...more] = line
    .slice(end)
    .trim()
    .split(/[ \t]+/);
  const number = parseFloatStrict(value ?? '');
  if (number === undefined || more.length > 0) return fail();
  if (timestamp !== undefined && !/^-?\d+$/.test(timestamp)) fail();
  handler.sample(line.slice(0, end).trim(), type, number, timestamp === undefined ? undefined : Number(timestamp));
}

/** Where the metric with its labels ends: after the closing brace, or at the first blank when it has no labels. */
function seriesEnd(line: string): number {
  const brace = line.indexOf('{');
  const blank = line.search(/[ \t]/);
  if (brace === -1 || (blank !== -1 && blank < brace && line.slice(blank, brace).trim() !== '')) return blank;
  let quoted = false;
  for (let i = brace + 1; i < line.length; i++) {
    const char = line.charCodeAt(i);
    if (quoted && char === 92) i++;
    else if (char === 34) quoted = !quoted;
    else if (char === 125 && !quoted) return i + 1;
  }
  return -1;
}

const LABEL = /\s*(?:([a-zA-Z_]\w*)|"((?:[^"\\]|\\.)*)")\s*(?:=\s*"((?:[^"\\]|\\.)*)")?\s*(,|$)/y;

/**
 * Takes a series apart into labels, the name included as `__name__`. Bounds of histograms and summaries become floats
 * (`le="1"` is stored as `le="1.0"`), as Prometheus 3 does on ingestion.
 * @throws ExpositionError when it is not well-formed.
 */
export function parseSeries(series: string, type: string): LabelPair[] {
  const brace = series.indexOf('{');
  const name = (brace === -1 ? series : series.slice(0, brace)).trim();
  if (name !== '' && !/^[a-zA-Z_:][\w:]*$/.test(name)) throw new ExpositionError(`invalid metric name ${JSON.stringify(name)}`);
  const pairs: LabelPair[] = name === '' ? [] : [[METRIC_NAME, name]];
  const body = brace === -1 ? '' : series.slice(brace + 1, -1);
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < body.length && body.slice(LABEL.lastIndex).trim() !== '') {
    const match = LABEL.exec(body);
    if (match === null)
      throw new ExpositionError(`labels of ${name} are not well-formed: ${JSON.stringify(series.slice(0, 120))}`);
    const label = match[1] ?? unescape(match[2] ?? '');
    if (match[3] === undefined) pairs.push([METRIC_NAME, label]);
    else pairs.push([label, normalizeBound(label, unescape(match[3]), type)]);
  }
  if (!pairs.some(([label]) => label === METRIC_NAME)) throw new ExpositionError('a sample has no metric name');
  if (new Set(pairs.map(([label]) => label)).size !== pairs.length) throw new ExpositionError(`a label of ${name} occurs twice`);
  return pairs;
}

function unescape(text: string): string {
  return text.includes('\\') ? text.replace(/\\([\\n"])/g, (_, char: string) => (char === 'n' ? '\n' : char)) : text;
}

function normalizeBound(label: string, value: string, type: string): string {
  const bound = (label === 'le' && type === 'histogram') || (label === 'quantile' && type === 'summary');
  const number = bound ? parseFloatStrict(value) : undefined;
  return number === undefined ? value : formatBound(number);
}
