import { grouped } from '../../core/text.js';
import { Reasons } from '../../api/index.js';
import { wilson, type Spread } from '../../simulate/quantiles.js';
import { bar } from '../bars.js';
import { duration, paint, plural, shorten, table, type Cell, type Colour } from '../format.js';
import type { Io } from '../io.js';
import { percent } from '../percent.js';
import type { Row, Simulation } from './run.js';

const BAR_WIDTH = 30;

const COLOURS: Record<'Succeeded' | 'Failed' | 'NotEnded', Colour> = { Succeeded: 'green', Failed: 'red', NotEnded: 'yellow' };

const spread = (of: Spread | undefined, show: (value: number) => string): string => {
  if (!of) return '-';
  const [low, middle, high] = [show(of.p10), show(of.p50), show(of.p90)];
  return low === high ? middle : `${middle} (${low} to ${high})`;
};
const times = (of: Spread | undefined): string => spread(of, (seconds) => duration(seconds * 1000));

/** The odds for people. */
export function text(io: Io, simulation: Simulation): string {
  const { canary, rps, stable, latency, rows, assumptions, seed } = simulation;
  const slow = latency ? ` and have a p99 of ${stable.p99} ms` : '';
  const title = `${paint(io, 'bold', canary)}: ${plural(rows[0]?.runs ?? 0, 'simulated release')} each, seed ${seed}\n${rps} requests/s, of which ${percent(stable.errorRate)} fail on the stable version${slow}\n`;
  const [only, another] = rows;
  const body = only && !another ? one(io, only, simulation) : many(io, simulation);
  return `${title}\n${body}\n${paint(io, 'dim', 'Assumed')}\n${assumptions.map((words) => `  ${words}\n`).join('')}`;
}

function many(io: Io, { rows, stable }: Simulation): string {
  const head = ['canary fails', 'promoted', 'taken back', '', 'after', 'bad requests', 'why'];
  const lines = rows.map((row): (string | Cell)[] => [
    `${percent(row.canaryErrorRate)}${row.canaryErrorRate === stable.errorRate ? ' (healthy)' : ''}`,
    percent(row.promoted / row.runs),
    percent(row.rolledBack / row.runs),
    { text: bar(row.rolledBack / row.runs, 10).padEnd(10), colour: 'red' },
    times(row.promoted > row.rolledBack ? row.promotedSeconds : row.rolledBackSeconds),
    spread(row.badRequests, grouped),
    Object.keys(row.reasons).join(', '),
  ]);
  const legend = paint(io, 'dim', '(the middle of the runs; in brackets, what 8 of 10 of them stay within)\n');
  return `${table(io, [head, ...lines])}${legend}${resolution(io, rows)}`;
}

function one(io: Io, row: Row, { latency }: Simulation): string {
  const { runs, reasons, example } = row;
  const results: [string, number, Colour][] = [
    ['promoted', row.promoted, COLOURS.Succeeded],
    ['taken back', row.rolledBack, COLOURS.Failed],
    ['waits for somebody', row.notEnded, COLOURS.NotEnded],
  ];
  const shown = results.filter(([name, count]) => count > 0 || name !== 'waits for somebody');
  const odds = shown.map(([name, count, colour]) => [name, percent(count / runs), { text: bar(count / runs, BAR_WIDTH), colour }]);
  const why = Object.entries(reasons).toSorted(([, a], [, b]) => b - a);
  const facts = [
    ['canary', `${percent(row.canaryErrorRate)} fail${latency ? `, p99 ${row.canaryP99} ms` : ''}`],
    ...(row.promotedSeconds ? [['promoted after', times(row.promotedSeconds)]] : []),
    ...(row.rolledBackSeconds ? [['taken back after', times(row.rolledBackSeconds)]] : []),
    ['requests to it', spread(row.requests, grouped)],
    ['bad ones', `${spread(row.badRequests, grouped)}; ${row.beyondStable >= 0 ? '' : '-'}${grouped(Math.abs(row.beyondStable))} more on average than the stable version would have had`.replace('; -', '; ')],
    ...(latency ? [['slow ones', spread(row.slowRequests, grouped)]] : []),
  ];
  return [
    table(io, odds),
    resolution(io, [row]),
    '\n',
    table(io, facts),
    `\n${paint(io, 'dim', 'Why')}\n`,
    ...why.map(([reason, count]) => `  ${percent(count / runs)} ${reason}: ${Reasons[reason as keyof typeof Reasons] ?? ''}\n`),
    `  such as: ${shorten(example.message, 240)}\n`,
  ].join('');
}

/** So many runs do not tell a rare event from none. */
function resolution(io: Io, rows: readonly Row[]): string {
  const certain = rows.find(({ promoted, rolledBack }) => promoted === 0 || rolledBack === 0);
  if (!certain) return '';
  return paint(io, 'dim', `(none of ${certain.runs} means: less than ${percent(wilson(0, certain.runs).high)}; --runs tells it finer)\n`);
}
