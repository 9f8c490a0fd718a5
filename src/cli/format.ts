import type { Io } from './io.js';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';
const CODES: Record<Colour, string> = { red: '31', green: '32', yellow: '33', cyan: '36', bold: '1', dim: '2' };

/** The text in a colour, where colours are welcome. */
export const paint = (io: Pick<Io, 'color'>, colour: Colour | undefined, text: string): string =>
  io.color && colour ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;

/** A length of time in at most two units, as kubectl writes ages: `45s`, `3m20s`, `2h5m`, `3d4h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const units: [number, string, number, string][] = [
    [86_400, 'd', 3_600, 'h'],
    [3_600, 'h', 60, 'm'],
    [60, 'm', 1, 's'],
  ];
  for (const [size, name, smaller, smallerName] of units) {
    if (seconds < size) continue;
    const rest = Math.floor((seconds % size) / smaller);
    return `${Math.floor(seconds / size)}${name}${rest > 0 ? `${rest}${smallerName}` : ''}`;
  }
  return `${seconds}s`;
}

/** `in 12s`, `now` or `12s ago` for RFC 3339 text. */
export function relative(at: string, now: number): string {
  const away = Date.parse(at) - now;
  if (Number.isNaN(away)) return at;
  if (Math.abs(away) < 500) return 'now';
  return away > 0 ? `in ${duration(away)}` : `${duration(-away)} ago`;
}

/** Seven digits of a commit, as git shows it. */
export const shortCommit = (commit: string | undefined): string => commit?.slice(0, 7) ?? '';

/** One line of at most that many characters. */
export function shorten(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** One cell of a table; the colour does not count for its width. */
export interface Cell {
  text: string;
  colour?: Colour | undefined;
}

/** Rows as columns, three spaces apart, without trailing blanks. */
export function table(io: Pick<Io, 'color'>, rows: (string | Cell)[][]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? { text: cell } : cell)));
  const widths: number[] = [];
  for (const row of cells)
    for (const [index, { text }] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, text.length);
  const lines = cells.map((row) => {
    const last = row.findLastIndex(({ text }) => text !== '');
    const shown = row.slice(0, last + 1);
    return shown
      .map(
        ({ text, colour }, index) =>
          paint(io, colour, text) + (index === last ? '' : ' '.repeat((widths[index] ?? 0) - text.length + 3)),
      )
      .join('');
  });
  return lines.map((line) => `${line}\n`).join('');
}

/** A value as pretty JSON with a final newline. */
export const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
