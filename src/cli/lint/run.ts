import type { Finding, Severity } from '../../lint/finding.js';
import { lint as findProblems, type Linted } from '../../lint/lint.js';
import { CliError, Exit } from '../errors.js';
import { readFiles } from '../files.js';
import { json, paint, plural, type Colour } from '../format.js';
import type { Io } from '../io.js';

export interface LintFlags {
  output: 'text' | 'json';
  namespace: string;
  /** Milliseconds. */
  scrapeInterval: number;
  rps?: number;
}

const COLOURS: Record<Severity, Colour> = { error: 'red', warning: 'yellow', note: 'dim' };

/** `sluice lint`. Asks no cluster. */
export async function lint(io: Io, names: string[], { output, namespace, scrapeInterval, rps }: LintFlags): Promise<number> {
  const files = await readFiles(names);
  const linted = findProblems(files, { namespace, scrapeMs: scrapeInterval, ...(rps === undefined ? {} : { rps }) });
  if (Object.keys(linted.looked).length === 0 && linted.findings.length === 0)
    throw new CliError(`${names.join(', ')}: there is no object of sluice.dev in it; name the files with your Canaries and MetricTemplates`);
  const counts = { errors: count(linted, 'error'), warnings: count(linted, 'warning'), notes: count(linted, 'note') };
  io.out(output === 'json' ? json({ files: files.map(({ file }) => file), objects: linted.looked, ...counts, findings: linted.findings }) : text(io, linted, counts));
  return counts.errors > 0 ? Exit.failed : Exit.ok;
}

const count = ({ findings }: Linted, severity: Severity): number => findings.filter((finding) => finding.severity === severity).length;

function text(io: Io, { findings, looked }: Linted, { errors, warnings, notes }: Record<'errors' | 'warnings' | 'notes', number>): string {
  const kinds = Object.entries(looked).map(([kind, number]) => `${number} ${number === 1 ? kind : kind.replace(/y$/, 'ie')}${number === 1 ? '' : 's'}`);
  const said = [errors > 0 ? plural(errors, 'error') : '', warnings > 0 ? plural(warnings, 'warning') : '', notes > 0 ? plural(notes, 'note') : ''].filter((part) => part !== '');
  const summary = `${said.length > 0 ? said.join(', ') : 'nothing wrong was found'} (looked at: ${kinds.join(', ') || 'no object'})`;
  return `${findings.map((finding) => block(io, finding)).join('')}${paint(io, errors > 0 ? 'red' : 'green', summary)}\n`;
}

function block(io: Io, { severity, rule, file, line, object, field, message }: Finding): string {
  const place = [object, field].filter((part) => part !== undefined).join(' ');
  return `${paint(io, 'bold', `${file}:${line}`)} ${paint(io, COLOURS[severity], severity)}${place === '' ? '' : ` ${place}`} ${paint(io, 'dim', `[${rule}]`)}\n    ${message}\n`;
}
