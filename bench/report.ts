import { cpus, loadavg, totalmem } from 'node:os';
import type { Baseline } from './baseline.js';
import type { IdleFleet } from './idle.js';
import { PLAN_MS, type Round } from './round.js';

export interface Report {
  environment: Record<string, string>;
  canaries: number;
  idle: { rss: number; cpuShare: number; requests: { total: number; reads: number } };
  baseline?: Baseline;
  rounds: Round[];
}

export function environment(kubernetes: string): Record<string, string> {
  return {
    cores: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memory: mebibytes(totalmem()),
    node: process.version,
    kubernetes,
    'load before': loadavg()[0]?.toFixed(1) ?? '',
  };
}

/**
 * Flagger 1.44 on a real API server, 2 cores, 500 canaries changed at once, the same plan; the second figure is with its API
 * limits raised far above the default. Measured earlier and elsewhere: literature, not this run.
 */
const FLAGGER = {
  firstWeight: '103 / 122; 31 / 41',
  stepLag: '40 / 40; 0 / 4.1',
  success: '463; 118',
  requests: '165; 205',
  queries: '10',
  cpu: '0.15; 0.067',
  memory: '95 → 103; 108 → 124',
  idle: '13; 15',
};

const sum = (numbers: Record<string, number>): number => Object.values(numbers).reduce((total, one) => total + one, 0);
const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
const MiB = (bytes: number): string => String(Math.round(bytes / 2 ** 20));
const seconds = (value: number): string => (Number.isNaN(value) ? '–' : value < 10 ? value.toFixed(2) : value.toFixed(1));
const pair = ({ p50, p99 }: { p50: number; p99: number }): string => `${seconds(p50)} / ${seconds(p99)}`;

/** A table for people. */
export function table(report: Report): string {
  const { rounds, idle } = report;
  const rows: [figure: string, flagger: string, target: string, ours: (round: Round) => string][] = [
    ['releases that Succeeded', '', 'all', (r) => `${r.succeeded} of ${r.releases}`],
    ['change → first weight, p50 / p99, s', FLAGGER.firstWeight, '≤ 2 / 5', (r) => pair(r.firstWeight)],
    ['step lag, p50 / p99, s', FLAGGER.stepLag, '≤ 0.1 / 0.5', (r) => pair(r.stepLag)],
    [
      `change → Succeeded, p50, s (plan ${PLAN_MS / 1000})`,
      FLAGGER.success,
      `≤ ${((PLAN_MS / 1000) * 1.1).toFixed(1)}`,
      (r) => seconds(r.success.p50),
    ],
    ['API requests per release', FLAGGER.requests, '≤ 30', (r) => (r.requests.total / r.releases).toFixed(1)],
    ['  of them reads (get, list)', '', '0', (r) => String(r.requests.reads / r.releases)],
    ['metric queries per release', FLAGGER.queries, '< 1', (r) => (r.metricQueries / r.releases).toFixed(2)],
    ['decisions per release', '', '', (r) => (r.decisions / r.releases).toFixed(1)],
    ['controller CPU per release, s', FLAGGER.cpu, '≤ 0.05', (r) => (r.cpuSeconds / r.releases).toFixed(3)],
    ['memory idle → peak, MiB', FLAGGER.memory, '≤ 150 peak', (r) => `${MiB(idle.rss)} → ${MiB(r.rssPeak)}`],
    ['CPU idle, % of a core', FLAGGER.idle, '≤ 1', () => (idle.cpuShare * 100).toFixed(1)],
    ['all others CPU per release, s', '', '', (r) => (sum(r.othersCpuSeconds) / r.releases).toFixed(3)],
  ];
  const head = [
    'figure',
    'Flagger (literature, 500)',
    'target (500)',
    ...rounds.map((round) => `${round.releases} of ${report.canaries}`),
  ];
  const lines = [head, ...rows.map(([figure, flagger, target, ours]) => [figure, flagger, target, ...rounds.map(ours)])];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...Object.entries(report.environment).map(([name, value]) => `${name}: ${value}`), '', ...text, ...notes(report)].join(
    '\n',
  );
}

/** A fleet that does nothing, for people. */
export const idleTable = ({ canaries, startSeconds, rss, cpuShare, seconds, requests }: IdleFleet): string =>
  [
    `${canaries} Canaries without pods, nothing to do, over ${seconds} s`,
    `memory start → peak → end   ${MiB(rss.start)} → ${MiB(rss.peak)} → ${MiB(rss.end)} MiB (target for 5000: ≤ 400, flat)`,
    `CPU                         ${(cpuShare * 100).toFixed(1)} % of a core`,
    `API requests                ${requests.total} besides the Lease, ${requests.reads} of them reads`,
    `caches in after             ${startSeconds.toFixed(1)} s`,
  ].join('\n');

const describe = ({ deployments, available, writesPerSecond, cpuMsPerWrite }: Baseline): string =>
  `the machine without the controller: ${deployments} plain Deployments changed at once have their new pod available after ${pair(available)} s (p50 / p99); the API server takes ${writesPerSecond.toFixed(0)} writes of a status a second, each for ${cpuMsPerWrite.toFixed(1)} ms of its and etcd's CPU`;

function notes({ rounds, idle, baseline }: Report): string[] {
  const failures = rounds.flatMap((round) =>
    Object.entries(round.failures).map(([why, count]) => `${round.releases} at once: ${count} × ${why}`),
  );
  const kinds = rounds.map((round) => {
    const each = Object.entries(round.requests.byKind).toSorted(([, a], [, b]) => b - a);
    return `${round.releases} at once, requests per release: ${each.map(([kind, count]) => `${kind} ${(count / round.releases).toFixed(1)}`).join(', ')}; refused ${round.requests.refused}`;
  });
  const cores = rounds.map((round) => {
    const all = Object.entries({ controller: round.cpuSeconds, ...round.othersCpuSeconds });
    return `${round.releases} at once, CPU over ${round.wallSeconds.toFixed(0)} s: ${all.map(([name, used]) => `${name} ${used.toFixed(1)} s`).join(', ')}`;
  });
  return [
    '',
    ...kinds,
    ...cores,
    `idle: ${idle.requests.total} API requests besides the Lease, ${idle.requests.reads} of them reads`,
    ...(baseline ? [describe(baseline)] : []),
    ...failures,
  ];
}
