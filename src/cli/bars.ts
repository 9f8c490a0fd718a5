const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A bar of that share (0 to 1) of the width, to an eighth of a character; something is never nothing. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const shown = share > 0 ? Math.max(1, eighths) : eighths;
  return '█'.repeat(Math.floor(shown / 8)) + (EIGHTHS[shown % 8] ?? '');
}

/** One character per value, from `low` (lowest) to `high` (full); undefined is a blank. */
export function sparkline(values: readonly (number | undefined)[], low: number, high: number): string {
  const range = high - low || 1;
  const level = (value: number): string => LEVELS[Math.min(LEVELS.length - 1, Math.max(0, Math.round(((value - low) / range) * (LEVELS.length - 1))))] ?? ' ';
  return values.map((value) => (value === undefined ? ' ' : level(value))).join('');
}
