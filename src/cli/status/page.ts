import type { Check, HistoryEntry, Provenance } from '../../api/index.js';
import { namespaceFlag } from '../canaries.js';
import { duration, paint, relative, shortCommit, table, type Cell, type Colour } from '../format.js';
import type { Io } from '../io.js';
import { phaseCell } from './rows.js';
import type { CanaryView, SideView, SourceView } from './view.js';

const VERDICT_COLOURS: Record<Check['verdict'], Colour> = { Pass: 'green', Fail: 'red', NoData: 'yellow', Error: 'yellow' };
const RESULT_COLOURS: Record<HistoryEntry['result'], Colour | undefined> = {
  Succeeded: 'green',
  Failed: 'red',
  Superseded: undefined,
  Cancelled: undefined,
};

type Line = (string | Cell)[];

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');
const section = (io: Io, title: string, rows: Line[]): string =>
  rows.length === 0 ? '' : `\n${paint(io, 'bold', title)}\n${indent(table(io, rows))}`;

function origin({ commit, commits, author, subject }: Provenance): string {
  if (!commit) return 'commit unknown';
  const more = commits?.length ? ` (with ${commits.map(shortCommit).join(', ')})` : '';
  return `${shortCommit(commit)}${more}${author ? ` by ${author}` : ''}${subject ? `: ${subject}` : ''}`;
}

function side(title: string, view: SideView | undefined, weight: number): Line[] {
  if (!view) return [];
  const pods = view.replicas === undefined ? '' : `${view.readyReplicas ?? 0} of ${view.replicas} pods ready`;
  return [[title, view.revision, `slot ${view.slot}`, `weight ${weight} %`, pods, origin(view)]];
}

function overview(io: Io, view: CanaryView, now: number): string {
  const { step, run } = view;
  const rows: Line[] = [
    ['Canary', `${view.namespace}/${view.name}${view.target === undefined ? '' : ` for Deployment ${view.target}`}`],
    ['Status', phaseCell(view)],
  ];
  if (view.stalled) rows.push(['Stalled', { text: `${view.stalled.reason}: ${view.stalled.message}`, colour: 'red' }]);
  if (view.progress) rows.push(['Now', `${view.progress.reason}: ${view.progress.message}`]);
  if (step)
    rows.push([
      'Step',
      `${step.number} of ${step.of}: weight ${step.weight} %${step.startedAt === undefined ? ', not in force yet' : ` for ${duration(now - Date.parse(step.startedAt))}`}`,
    ]);
  if (view.nextStepTime !== undefined) rows.push(['Next', `${relative(view.nextStepTime, now)} (${view.nextStepTime})`]);
  if (view.deadline !== undefined) rows.push(['Deadline', `${relative(view.deadline, now)} (${view.deadline})`]);
  if (run)
    rows.push([
      'Run',
      `began ${relative(run.startedAt, now)}${run.weights.length > 0 ? `; weights so far ${run.weights.join(', ')}` : ''}`,
    ]);
  if (run?.held)
    rows.push(['Held', { text: `by ${run.held.by}${run.held.reason ? `: ${run.held.reason}` : ''}`, colour: 'yellow' }]);
  if (run?.ending) rows.push(['Ending', `${run.ending.result} (${run.ending.reason}): ${run.ending.message}`]);
  if (view.failedChecks > 0)
    rows.push(['Failed', `${view.failedChecks}${view.threshold === undefined ? '' : ` of ${view.threshold}`} checks`]);
  return table(io, rows);
}

const historyRow =
  (now: number) =>
  (entry: HistoryEntry): Line => [
    { text: entry.result, colour: RESULT_COLOURS[entry.result] },
    entry.revision,
    shortCommit(entry.commit) || '-',
    relative(entry.endedAt, now),
    `${entry.reason}${entry.by ? ` by ${entry.by}` : ''}: ${entry.message}`,
  ];

function sourceRow(source: SourceView, now: number): Line {
  const applied = source.appliedCommit ? `applied ${shortCommit(source.appliedCommit)}` : 'nothing applied yet';
  const behind =
    source.fetchedCommit && source.fetchedCommit !== source.appliedCommit ? `, fetched ${shortCommit(source.fetchedCommit)}` : '';
  const when = source.lastSyncTime === undefined ? '' : `synced ${relative(source.lastSyncTime, now)}`;
  const state: Cell =
    source.ready === 'True'
      ? { text: 'Ready', colour: 'green' }
      : { text: `${source.reason ?? 'Unknown'}: ${source.message ?? ''}`, colour: 'red' };
  return [`${source.namespace}/${source.name}`, applied + behind, when, state];
}

/** The page of one Canary. */
export function page(io: Io, view: CanaryView, sources: SourceView[]): string {
  const now = io.now();
  const { quarantined } = view;
  const stableWeight = view.stable === undefined ? 0 : 100 - view.weight;
  const text = [
    overview(io, view, now),
    section(io, 'Versions', [...side('stable', view.stable, stableWeight), ...side('canary', view.canary, view.weight)]),
    section(
      io,
      'Checks',
      view.checks.map((check) => [
        { text: check.dryRun ? `${check.verdict} (dry run)` : check.verdict, colour: VERDICT_COLOURS[check.verdict] },
        check.metric,
        relative(check.at, now),
        check.message,
      ]),
    ),
    section(
      io,
      'Conditions',
      view.conditions.map((item) => [item.type, item.status, item.reason, relative(item.lastTransitionTime, now), item.message]),
    ),
    section(io, 'History', view.history.map(historyRow(now))),
    section(
      io,
      'Quarantined',
      quarantined.map((item) => [item.revision, shortCommit(item.commit) || '-', relative(item.at, now), item.reason]),
    ),
    section(
      io,
      'Written back to Git',
      (view.writeBacks ?? []).map((item) => [{ text: item.state, colour: item.state === 'Done' ? 'green' : 'yellow' }, item.kind, item.revision, relative(item.at, now), item.url ?? item.message ?? '']),
    ),
    section(
      io,
      'Git',
      sources.map((source) => sourceRow(source, now)),
    ),
  ];
  if (view.run) text.push(`\nWhy it is there and what you can do: sluice explain ${view.name}${namespaceFlag(view.namespace)}\n`);
  return text.join('');
}
