/** Flux answers with tables as CSV (RFC 4180), with rows of annotations before the header of each. */

/** Thrown for a text that is not annotated CSV. */
export class NotFlux extends Error {}

/** Fields of each line. Quoted fields may hold commas, line breaks and, doubled, quotes. @throws NotFlux */
export function csvLines(text: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  let at = 0;
  while (at < text.length) {
    const { value, next } = text[at] === '"' ? quoted(text, at) : plain(text, at);
    line.push(value);
    at = next;
    if (text[at] === ',') {
      at += 1;
      if (at < text.length) continue;
      line.push('');
    }
    if (text[at] === '\r') at += 1;
    if (at < text.length && text[at] !== '\n') throw new NotFlux('something follows a quoted field');
    at += 1;
    lines.push(line);
    line = [];
  }
  return lines;
}

function plain(text: string, from: number): { value: string; next: number } {
  let next = from;
  while (next < text.length && text[next] !== ',' && text[next] !== '\n' && !(text[next] === '\r' && (text[next + 1] ?? '\n') === '\n')) next += 1;
  return { value: text.slice(from, next), next };
}

function quoted(text: string, from: number): { value: string; next: number } {
  let value = '';
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] !== '"') value += text[at];
    else if (text[at + 1] === '"') {
      value += '"';
      at += 1;
    } else return { value, next: at + 1 };
  }
  throw new NotFlux('a quoted field does not end');
}

/**
 * The rows of all tables, each with its columns by name; a row's `#default` fills its empty fields.
 * @throws NotFlux when it is not what Flux answers
 */
export function fluxRows(text: string): Record<string, string>[] {
  if (text === '') throw new NotFlux('the answer is empty');
  const rows: Record<string, string>[] = [];
  let defaults: string[] = [];
  let header: string[] | undefined;
  for (const line of csvLines(text)) {
    const [first = ''] = line;
    if (line.length === 1 && first === '') header = undefined;
    else if (first.startsWith('#')) {
      if (header) defaults = [];
      header = undefined;
      if (first === '#default') defaults = line;
    } else if (header) rows.push(rowOf(header, defaults, line));
    else {
      header = headerOf(line);
    }
  }
  return rows;
}

/** The first column holds annotations only. */
function headerOf(line: string[]): string[] {
  const known = line.includes('result') || line.includes('error') || line.includes('_value');
  if (line[0] !== '' || !known) throw new NotFlux('a table has no header');
  return line;
}

function rowOf(header: string[], defaults: string[], line: string[]): Record<string, string> {
  if (line.length !== header.length) throw new NotFlux('a row has more or fewer fields than its table has columns');
  const row: Record<string, string> = {};
  for (const [index, name] of header.entries()) if (index > 0) row[name] = line[index] || (defaults[index] ?? '');
  return row;
}
