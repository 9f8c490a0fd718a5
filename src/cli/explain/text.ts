import { commitWords } from '../canaries.js';
import { duration, paint, plural, relative, table, type Cell, type Colour } from '../format.js';
import type { Io } from '../io.js';
import type { Explanation } from './explanation.js';
import type { StepView } from './steps.js';

type Line = (string | Cell)[];
const VERDICT_COLOURS: Record<string, Colour> = { Pass: 'green', Fail: 'red', NoData: 'yellow', Error: 'yellow' };
const MARKS: Record<StepView['state'], { mark: string; colour?: Colour }> = {
  done: { mark: '✓', colour: 'green' },
  current: { mark: '▶', colour: 'cyan' },
  next: { mark: '→' },
  later: { mark: '·', colour: 'dim' },
};

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');
const block = (io: Io, title: string, rows: Line[]): string =>
  rows.length === 0 ? '' : `\n${paint(io, 'bold', title)}\n${indent(table(io, rows))}`;

function stepRow(step: StepView): Line {
  const { mark, colour } = MARKS[step.state];
  const hold = step.holdMs === undefined ? 'promotion' : `hold ${duration(step.holdMs)}`;
  return [
    { text: mark, colour },
    step.does ?? `weight ${step.weight} %`,
    `${hold}${step.passes ? `, ${step.passes} checks` : ''}${step.replicas ? `, ${step.replicas} ${step.replicas === 1 ? 'pod' : 'pods'}` : ''}${step.approve ? ', then an approval' : ''}`,
    step.state === 'later' ? '' : step.state,
  ];
}

function situation({ stable, canary, weight, desired, run }: Explanation): string {
  const serving = stable
    ? `Revision ${stable.revision} (${commitWords(stable)}) is the stable one in slot ${stable.slot}`
    : 'No revision is stable yet';
  if (canary)
    return `${serving}.\nRevision ${canary.revision} (${commitWords(canary)}) is being released in slot ${canary.slot} and has ${weight} % of the traffic${run?.ending ? `; the run ends: ${run.ending.result}` : ''}.`;
  if (desired && stable && desired.revision !== stable.revision)
    return `${serving}.\nGit wants revision ${desired.revision} (${commitWords(desired)}).`;
  return `${serving}; no release is under way.${renamed(desired)}`;
}

/** Why the revision that Git wants has a name that nothing computes any more. */
const renamed = (desired: Explanation['desired']): string =>
  desired?.hash === undefined
    ? ''
    : `\nGit wants that revision still: an upgrade of the API server or of Sluice computes ${desired.hash} for the same template, and that is no release.`;

function times(
  io: Io,
  { run, nextStepTime, nextLookAt, deadline, overdue, failedChecks, threshold, nextCheck, unread, compared }: Explanation,
): Line[] {
  const now = io.now();
  const rows: Line[] = [];
  const at = (text: string): string => `${relative(text, now)} (${text})`;
  if (run?.held) rows.push(['Next step', 'when the hold ends; neither steps nor the deadline run meanwhile']);
  else if (nextStepTime !== undefined)
    rows.push([
      'Next step',
      overdue ? { text: `was due ${at(nextStepTime)}: no controller seems to run`, colour: 'red' } : at(nextStepTime),
    ]);
  else if (nextLookAt !== undefined) rows.push(['Next look', `${at(nextLookAt)}, or when something changes`]);
  if (nextCheck.length > 0) rows.push(['Next check', `asks ${nextCheck.join('; ')}`]);
  if (deadline !== undefined) rows.push(['Deadline', `${at(deadline)}: without progress it is taken back then`]);
  if (compared?.missing !== undefined) rows.push(['Needed', `${plural(compared.missing, 'more request')} to the canary before its step may be left`]);
  if (failedChecks > 0) rows.push(['Failed checks', `${failedChecks}${threshold === undefined ? '' : ` of ${threshold}`}`]);
  if (unread !== undefined) rows.push(['Not known', { text: `what the controller would do now: ${unread}`, colour: 'yellow' }]);
  return rows;
}

const points = (value: number): string => Number(value.toFixed(2)).toString();
const share = ({ bad, total }: { bad: number; total: number }): string => (total === 0 ? 'no requests' : `${Number(((100 * bad) / total).toPrecision(3))} % of ${total}`);

/** Evidence is stored once a minute, so its age is told. */
function comparedRows(compared: Explanation['compared'], now: number): Line[] {
  if (!compared) return [];
  const rows = compared.streams.map(({ metric, bound, canary, stable, low, high, odds, until }): Line => [
    `${metric}${bound === undefined ? '' : `, slower than ${bound} ms`}`,
    `canary ${share(canary)}`,
    `stable ${share(stable)}`,
    low === undefined || high === undefined ? '' : `difference ${points(low)} to ${points(high)} points`,
    `chance: ${odds} (taken back at ${compared.rollbackAt}), as of ${relative(until, now)}`,
  ]);
  return [
    ...rows,
    ...(compared.error === undefined ? [] : [[{ text: compared.error, colour: 'yellow' as const }]]),
  ];
}

/** The explanation for people. */
export function text(io: Io, explanation: Explanation): string {
  const { namespace, name, phase, why, stalled, checks, effects, commands, steps, run, problems } = explanation;
  const now = io.now();
  const wrong = [...new Set([...(stalled ? [stalled.message] : []), ...problems.map(({ message }) => message)])];
  return [
    `${paint(io, 'bold', `Canary ${namespace}/${name}`)}: ${phase}\n${situation(explanation)}\n`,
    block(io, 'Why', [[why.reason, why.message]]),
    block(
      io,
      'What a person must fix',
      wrong.map((message) => [{ text: message, colour: 'red' }]),
    ),
    block(io, 'When', times(io, explanation)),
    block(io, run ? 'Steps' : 'Steps of the next release', steps.map(stepRow)),
    block(
      io,
      'Last checks',
      checks.map(({ verdict, metric, at, message, dryRun }) => [
        { text: dryRun ? `${verdict} (dry run)` : verdict, colour: VERDICT_COLOURS[verdict] },
        metric,
        relative(at, now),
        message,
      ]),
    ),
    block(io, 'Compared with stable', comparedRows(explanation.compared, now)),
    block(
      io,
      'What the controller does next',
      effects.map((effect) => [effect]),
    ),
    block(
      io,
      'What you can do',
      commands.map(({ command, why: reason }) => [command, `# ${reason}`]),
    ),
  ].join('');
}
