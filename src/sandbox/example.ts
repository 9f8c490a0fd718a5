import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { DEMO_METRICS, parseScript, type Script } from './script.js';

const FOLDER = fileURLToPath(new URL('../../examples/bookinfo/', import.meta.url));
const CANARY_FILE = 'canary.yaml';

type Fields = Record<string, unknown>;

/** Fields of an example that take minutes on a cluster; the sandbox has its own, which take seconds. */
const SLOW_SPEC = ['targetRef', 'analysis', 'revisions', 'progressDeadlineSeconds'];
const SLOW_ANALYSIS = ['interval', 'threshold', 'warmup', 'metrics', 'alerts'];

const without = (fields: Fields, names: string[]): Fields => Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

/** A scenario of `examples/bookinfo`: what is played, on a repository of its own. */
export interface Example {
  /** `04-ab-header`. */
  name: string;
  script: Script;
}

/** Names of the scenarios, in order. */
export async function exampleNames(): Promise<string[]> {
  const entries = await readdir(FOLDER, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && /^\d\d-/.test(entry.name)).map((entry) => entry.name).sort();
}

/**
 * Reads a scenario by its number (`4`, `04`) or its name (`04-ab-header`); undefined when there is none.
 * @throws Error naming the file, for one that cannot be used
 */
export async function readExample(which: string): Promise<Example | undefined> {
  const number = /^\d{1,2}$/.test(which) ? which.padStart(2, '0') : undefined;
  const name = (await exampleNames()).find((one) => one === which || (number !== undefined && one.startsWith(`${number}-`)));
  if (name === undefined) return undefined;
  const folder = join(FOLDER, name);
  const script = parseScript(await readFile(join(folder, 'scenario.yaml'), 'utf8'), `${name}/scenario.yaml`);
  const files: Record<string, string> = {};
  for (const file of await readdir(join(folder, 'repo'))) files[file] = await readFile(join(folder, 'repo', file), 'utf8');
  const { spec } = parse(files[CANARY_FILE] ?? '{}') as { spec?: { analysis?: Fields } & Fields };
  delete files[CANARY_FILE];
  return {
    name,
    script: {
      ...script,
      files,
      analysis: { metrics: DEMO_METRICS, ...without(spec?.analysis ?? {}, SLOW_ANALYSIS), ...script.analysis },
      canary: { ...without(spec ?? {}, SLOW_SPEC), ...script.canary },
    },
  };
}
