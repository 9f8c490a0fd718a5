import { grouped } from '../../core/text.js';
import { Reasons } from '../../api/index.js';
import { sparkline } from '../bars.js';
import { duration, paint, plural, shorten, table, type Cell } from '../format.js';
import type { Io } from '../io.js';
import type { Backtest, Counted } from './run.js';

/** Characters of a drawing. */
const WIDTH = 60;

const clock = (at: string): string => at.slice(11, 19);
const failed = ({ requests, failed: bad }: Counted): string => `${grouped(bad)} of ${grouped(requests)} failed${requests > 0 ? ` (${Number(((100 * bad) / requests).toPrecision(2))} %)` : ''}`;
const between = (from: string, to: string): string => duration(Date.parse(to) - Date.parse(from));

/** What would have happened, for people. */
export function text(io: Io, result: Backtest): string {
  const { canary, stableService, canaryService, begin, end, segments, requests, notes } = result;
  const weights = segments.map(({ weight, from }) => `${weight} % from ${clock(from)}`).join(', ');
  const rows: (string | Cell)[][] = [
    ['release', `${begin.slice(0, 10)} ${clock(begin)} to ${clock(end)} UTC, ${between(begin, end)}`],
    ['weights', shorten(weights, 400)],
    ['canary', `${canaryService}: ${failed(requests.canary)}`],
    ['stable', `${stableService}: ${failed(requests.stable)}`],
  ];
  return [
    `${paint(io, 'bold', canary)}: what it would have made of the release that is in the record\n\n`,
    table(io, rows),
    `\n${verdict(io, result)}`,
    evidence(io, result),
    checks(io, result),
    `\n${paint(io, 'dim', 'What this does not tell')}\n${notes.map((note) => `  ${note}\n`).join('')}`,
  ].join('');
}

function verdict(io: Io, { rolledBack, at, reason, message, badUntilThen, requests, begin, end }: Backtest): string {
  if (!rolledBack || at === undefined || !badUntilThen) return `${paint(io, 'green', 'It would not have been taken back.')}\n`;
  const words = Reasons[reason as keyof typeof Reasons] ?? '';
  const spared = requests.canary.failed - badUntilThen.failed;
  return [
    paint(io, 'red', `It would have been taken back at ${clock(at)}`),
    `, ${between(begin, at)} after the canary's first requests and ${between(at, end)} before the end of the record.\n`,
    `  ${reason}: ${words}\n  ${message ?? ''}\n`,
    `  Bad requests of the canary until then: ${grouped(badUntilThen.failed)} of ${grouped(requests.canary.failed)} in the record; ${grouped(spared)} spared.\n`,
  ].join('');
}

/** The evidence over time, as a share of what is needed. */
function evidence(io: Io, { looks, begin, end }: Backtest): string {
  const [first] = looks;
  const last = looks.at(-1);
  if (!first || !last) return '';
  const [from, to] = [Date.parse(begin), Date.parse(end)];
  const columns: (number | undefined)[] = Array.from({ length: WIDTH }, () => undefined);
  for (const { at, strength, needed } of looks) {
    const column = Math.min(WIDTH - 1, Math.max(0, Math.floor(((Date.parse(at) - from) / Math.max(1, to - from)) * WIDTH)));
    columns[column] = Math.max(columns[column] ?? 0, Math.min(1, strength / needed));
  }
  const strongest = looks.reduce((most, look) => (look.strength > most.strength ? look : most), first);
  const points = last.low === undefined || last.high === undefined ? '' : `; at the end canary minus stable was ${last.low} to ${last.high} points`;
  const odds = `1 in ${grouped(Math.max(1, Math.exp(strongest.strength)))}`;
  return [
    `\n${paint(io, 'dim', 'Evidence that it is worse, up to what takes it back')}\n`,
    `  ${sparkline(filled(columns), 0, 1)}\n  ${clock(begin)}${' '.repeat(WIDTH - 16)}${clock(end)}\n`,
    `  ${plural(looks.length, 'look')}; strongest at ${clock(strongest.at)} by ${strongest.metric}${strongest.bound === undefined ? '' : ` (over ${strongest.bound} ms)`}: ${odds}, needed 1 in ${grouped(Math.exp(strongest.needed))}${points}\n`,
  ].join('');
}

/** Between two looks, what the former said. */
function filled(columns: readonly (number | undefined)[]): (number | undefined)[] {
  let known: number | undefined;
  const last = columns.findLastIndex((value) => value !== undefined);
  return columns.map((value, index) => (index > last ? undefined : (known = value ?? known)));
}

function checks(io: Io, { checks: all }: Backtest): string {
  if (all.length === 0) return '';
  const metrics = [...new Set(all.map(({ metric }) => metric))];
  const rows = metrics.map((metric) => {
    const own = all.filter((check) => check.metric === metric);
    const count = (verdict: string): number => own.filter((check) => check.verdict === verdict).length;
    const marks = own.slice(-WIDTH).map(({ verdict }) => ({ Pass: '✓', Fail: '✗', NoData: '·', Error: '!' })[verdict]);
    return [metric, marks.join(''), `${count('Pass')} passed, ${count('Fail')} failed${count('NoData') + count('Error') > 0 ? `, ${count('NoData') + count('Error')} without an answer` : ''}`];
  });
  const [failure] = all.filter(({ verdict }) => verdict === 'Fail');
  return `\n${paint(io, 'dim', 'Checks')}\n${table(io, rows)}${failure ? `  first failed at ${clock(failure.at)}: ${failure.message}\n` : ''}`;
}
