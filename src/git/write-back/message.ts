import type { Canary, HistoryEntry, WriteBack } from '../../api/index.js';
import { oneLine } from '../text.js';

const MAX_SUBJECT = 120;
const MAX_CHECKS = 10;
const MAX_ROWS = 20;

/** Trailers of a commit that Sluice made; a machine finds what it did by them. */
export const Trailers = {
  canary: 'Sluice-Canary',
  revision: 'Sluice-Revision',
  stable: 'Sluice-Stable',
  reason: 'Sluice-Reason',
  reverts: 'Sluice-Reverts',
  run: 'Sluice-Run',
  cluster: 'Sluice-Cluster',
} as const;

export interface Evidence {
  subject: string;
  /** Paragraphs for people. */
  paragraphs: string[];
  trailers: Record<string, string>;
}

/** What is told of a revision that was taken back. */
export function evidenceOf(canary: Canary, request: WriteBack, subjectOfCommit: string, cluster: string | undefined): Evidence {
  const { namespace = 'default', name } = canary.metadata;
  const entry = canary.status?.history?.find((item) => item.run === request.run);
  const what = oneLine(subjectOfCommit) || `revision ${request.revision}`;
  return {
    subject: `Revert "${what.slice(0, MAX_SUBJECT)}"`,
    paragraphs: [
      `Sluice took revision ${request.revision} of ${namespace}/${name} back: ${oneLine(entry?.message ?? 'see the Canary for the reason')}`,
      ...(entry ? [story(entry)] : []),
      ...checksOf(canary, entry),
      `This undoes commit ${request.commit ?? 'unknown'} as far as it concerns ${namespace}/${name}, so that Git and the cluster agree: revision ${request.stable ?? 'unknown'} serves.`,
    ],
    trailers: {
      [Trailers.canary]: `${namespace}/${name}`,
      [Trailers.revision]: request.revision,
      ...(request.stable ? { [Trailers.stable]: request.stable } : {}),
      [Trailers.reason]: entry?.reason ?? 'Failed',
      ...(request.commit ? { [Trailers.reverts]: request.commit } : {}),
      [Trailers.run]: request.run,
      ...(cluster ? { [Trailers.cluster]: oneLine(cluster) } : {}),
    },
  };
}

function story({ weights, startedAt, endedAt }: HistoryEntry): string {
  const reached = weights.length > 0 ? `Weights: ${weights.join(', ')} %.` : 'It got no traffic.';
  return `${reached} Started ${startedAt}, ended ${endedAt}.`;
}

function checksOf(canary: Canary, entry: HistoryEntry | undefined): string[] {
  const checks = (canary.status?.checks ?? []).filter(({ verdict, at }) => verdict === 'Fail' && entry !== undefined && at >= entry.startedAt && at <= entry.endedAt);
  if (checks.length === 0) return [];
  return [checks.slice(0, MAX_CHECKS).map(({ message, weight, at }) => `- ${oneLine(message)}${weight === undefined ? '' : ` at ${weight} %`} (${at})`).join('\n')];
}

/** The whole commit message. */
export const messageOf = ({ subject, paragraphs, trailers }: Evidence): string =>
  `${[subject, ...paragraphs, Object.entries(trailers).map(([key, value]) => `${key}: ${value}`).join('\n')].join('\n\n')}\n`;

const cell = (text: string): string => oneLine(text).replaceAll('|', '\\|').replace(/[<>`@#]/g, (mark) => `\\${mark}`);

/** The evidence as Markdown, for a pull request; `others` is what else it would change. */
export function tableOf(canary: Canary, request: WriteBack, evidence: Evidence, others: string[]): string {
  const entry = canary.status?.history?.find(({ run }) => run === request.run);
  const during = (canary.status?.checks ?? []).filter(({ at }) => entry !== undefined && at >= entry.startedAt && at <= entry.endedAt);
  const rows = during.slice(0, MAX_ROWS).map(({ metric, verdict, value, min, max, samples, weight, at }) => {
    const bounds = [min === undefined ? '' : `≥ ${min}`, max === undefined ? '' : `≤ ${max}`].filter(Boolean).join(', ');
    const cells = [metric, verdict, value === undefined ? '' : String(Math.round(value * 1000) / 1000), bounds, samples === undefined ? '' : String(Math.round(samples)), weight === undefined ? '' : `${weight} %`, at];
    return `| ${cells.map(cell).join(' | ')} |`;
  });
  const table = rows.length > 0 ? ['| metric | verdict | value | bounds | requests | weight | at |', '|---|---|---|---|---|---|---|', ...rows].join('\n') : '';
  const warning = others.length > 0 ? `**It would also change**, so it is for people to decide:\n\n${others.slice(0, MAX_ROWS).map((other) => `- ${cell(other)}`).join('\n')}` : '';
  const trailers = Object.entries(evidence.trailers).map(([key, value]) => `${key}: ${value}`).join('\n');
  const said = evidence.paragraphs.map((text) => text.split('\n').map(cell).join('\n')).join('\n\n');
  return [said, table, warning, trailers].filter(Boolean).join('\n\n');
}

/** The trailers in the last paragraph of a message. */
export function trailersOf(message: string): Record<string, string> {
  const last = message.trimEnd().split(/\n\s*\n/).at(-1) ?? '';
  const pairs = last.split('\n').flatMap((text) => {
    const [, key, value] = /^([A-Za-z][A-Za-z0-9-]*): *(.*)$/.exec(text) ?? [];
    return key === undefined ? [] : [[key, (value ?? '').trim()] as const];
  });
  return Object.fromEntries(pairs);
}
