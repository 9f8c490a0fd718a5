import { InvalidArgumentError, Option, type Command } from 'commander';
import { DURATION_PATTERN, durationMs } from '../api/common.js';
import { LINK_PLACEHOLDERS, unknownPlaceholders, type LinkTemplate } from '../engine/links.js';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** `--log-level`; at `debug`, failures come with their stack. */
export const logLevelOption = (): Option =>
  new Option('--log-level <level>', 'how much is logged').choices(LOG_LEVELS).default('info');

/** `--output table|json` with another word for the first where it is no table. */
export const outputOption = (text: 'table' | 'text' = 'table'): Option =>
  new Option('-o, --output <format>', 'what is printed').choices([text, 'json']).default(text);

/** The flags of every command that asks an API server. */
export function clusterOptions(command: Command): Command {
  return command
    .option('-n, --namespace <namespace>', "namespace; default is the context's")
    .option('--kubeconfig <file>', 'kubeconfig; default is KUBECONFIG, then ~/.kube/config')
    .option('--context <name>', 'context of the kubeconfig')
    .addOption(logLevelOption());
}

/** Milliseconds of a flag such as `10m`; zero is refused. */
export function parseDuration(text: string): number {
  if (!DURATION_PATTERN.test(text) || durationMs(text) === 0)
    throw new InvalidArgumentError('Expected a duration such as 30s, 10m or 1h30m.');
  return durationMs(text);
}

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return Number(text);
}

/** A number above 0, such as requests per second. */
export function parseRate(text: string): number {
  const number = /^[0-9]{1,9}(\.[0-9]{1,6})?$/.test(text) ? Number(text) : 0;
  if (!(number > 0)) throw new InvalidArgumentError('Expected a number above 0, such as 100 or 0.5.');
  return number;
}

/** A share from 0 to 1 of a flag such as `0.1%`. */
export function parsePercent(text: string): number {
  const number = /^[0-9]{1,3}(\.[0-9]{1,9})?%?$/.test(text) ? Number(text.replace('%', '')) : Number.NaN;
  if (!(number >= 0 && number <= 100)) throw new InvalidArgumentError('Expected a percentage from 0% to 100%, such as 0.1%.');
  return number / 100;
}

/** A whole number of at least 0. */
export function parseSeed(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of at least 0.');
  return Number(text);
}

/** An instant, in unix milliseconds, or how many milliseconds ago. */
export type When = { at: number } | { ago: number };

export function parseWhen(text: string): When {
  if (DURATION_PATTERN.test(text)) return { ago: durationMs(text) };
  const at = /^\d{4}-\d{2}-\d{2}T[0-9:.]+(Z|[+-]\d{2}:\d{2})$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new InvalidArgumentError('Expected an instant such as 2026-03-02T12:00:00Z, or how long ago, such as 90m.');
  return { at };
}

/** `NAME:VALUE` of an HTTP header, after those that were given before. */
export function parseHeader(text: string, before: [string, string][]): [string, string][] {
  const at = text.indexOf(':');
  const [name, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || at < 1) throw new InvalidArgumentError('Expected NAME:VALUE, such as X-Scope-OrgID:shop.');
  if (/^(proxy-)?authorization$|^cookie$/i.test(name)) throw new InvalidArgumentError('Credentials in flags can be seen by others; set SLUICE_METRICS_TOKEN.');
  return [...before, [name, value]];
}

/** An absolute http or https address. */
export function parseHttpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new InvalidArgumentError('Expected an address such as http://prometheus.istio-system:9090.');
  return text.replace(/\/+$/, '');
}

/** `NAME=URL` of a view that messages lead to, after those that were given before. */
export function parseLink(text: string, before: LinkTemplate[]): LinkTemplate[] {
  const at = text.indexOf('=');
  const [name, url] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  if (at < 1 || name === '' || !/^https?:\/\/[^\s/{]/.test(url)) throw new InvalidArgumentError('Expected NAME=URL, such as Kiali=https://kiali.example.com/kiali/console/namespaces/{{ namespace }}/services/{{ service }}.');
  const [unknown] = unknownPlaceholders(url);
  if (unknown !== undefined) throw new InvalidArgumentError(`Nothing fills {{ ${unknown} }}; there are ${LINK_PLACEHOLDERS.join(', ')}.`);
  return [...before, { name, url }];
}

/** At least seven hexadecimal digits of a commit. */
export function parseCommit(text: string): string {
  if (!/^[0-9a-fA-F]{7,64}$/.test(text))
    throw new InvalidArgumentError('Expected a commit: at least 7 hexadecimal digits of its SHA.');
  return text.toLowerCase();
}

/** `HOST:PORT`, checked in full by the server that listens. */
export function parseListenFlag(text: string): string {
  const port = Number(/:([0-9]{1,5})$/.exec(text)?.[1]);
  if (!(port >= 0 && port <= 65_535)) throw new InvalidArgumentError('Expected HOST:PORT such as :8080 or 127.0.0.1:8080.');
  return text;
}

/** A section of examples under `--help`. */
export const examples = (...lines: string[]): string => `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
