import { shortened } from '../../core/text.js';

/** Every child. */
const ALL = Symbol('*');
/** One step of a path: a name, an index (from the end when negative), or everything. */
export type Step = string | number | typeof ALL;

/** Characters of a path that an error quotes. */
const MAX_PATH = 200;

/** Thrown for a path that this subset cannot read; the message names the place. */
export class PathError extends Error {
  constructor(path: string, at: number, reason: string) {
    super(`${reason} at character ${at + 1} of ${JSON.stringify(shortened(path, MAX_PATH))}; a path is made of .NAME, ['NAME'], [INDEX], .* and [*] after $`);
    this.name = 'PathError';
  }
}

/** A selector at some place: `.name`, `.*`, `[3]`, `[-1]`, `[*]`, `['any name']`, `["any name"]`. */
const SELECTOR = /\.(?:(?<name>[\p{L}_][\p{L}\p{N}_-]*)|(?<any>\*))|\[\s*(?:(?<index>-?\d{1,9})|(?<all>\*)|'(?<single>(?:[^'\\]|\\.)*)'|"(?<double>(?:[^"\\]|\\.)*)")\s*\]/uy;

/** The steps of a JSONPath: the part of RFC 9535 without filters, slices, unions and descendants. @throws PathError */
export function parsePath(path: string): Step[] {
  const text = path.trim();
  if (!text.startsWith('$')) throw new PathError(text, 0, 'a path begins with $');
  const steps: Step[] = [];
  let at = 1;
  while (at < text.length) {
    SELECTOR.lastIndex = at;
    const found = SELECTOR.exec(text);
    if (!found) throw new PathError(text, at, text.startsWith('..', at) ? '".." is not supported' : 'there is nothing that can be read');
    steps.push(stepOf(found.groups ?? {}));
    at = SELECTOR.lastIndex;
  }
  return steps;
}

function stepOf({ name, any, index, all, single, double }: Record<string, string | undefined>): Step {
  if (any !== undefined || all !== undefined) return ALL;
  if (index !== undefined) return Number(index);
  return name ?? (single ?? double ?? '').replace(/\\(.)/gsu, '$1');
}

/** A value that a path leads to, and where it is. */
export interface Found {
  place: string;
  value: unknown;
}

/** All values that the steps lead to, in the order of the document; none where the way ends. */
export function select(document: unknown, steps: readonly Step[]): Found[] {
  let found: Found[] = [{ place: '$', value: document }];
  for (const step of steps) found = found.flatMap((one) => children(one, step));
  return found;
}

function children({ place, value }: Found, step: Step): Found[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    const list: unknown[] = value;
    if (step === ALL) return list.map((inner, index) => ({ place: `${place}[${index}]`, value: inner }));
    if (typeof step !== 'number') return [];
    const index = step < 0 ? list.length + step : step;
    return index in list ? [{ place: `${place}[${index}]`, value: list[index] }] : [];
  }
  const entries = Object.entries(value);
  if (step === ALL) return entries.map(([name, inner]) => ({ place: `${place}['${name}']`, value: inner }));
  return entries.filter(([name]) => name === step).map(([name, inner]) => ({ place: `${place}['${name}']`, value: inner }));
}
