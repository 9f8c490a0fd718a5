import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { CanarySpec } from '../api/index.js';
import { nameOf, readObjects, type Written } from '../lint/documents.js';
import type { Finding } from '../lint/finding.js';
import { readCanary, type TextFile } from '../lint/lint.js';
import { schemaFindings } from '../lint/schema.js';
import { CliError } from './errors.js';

const isManifest = (name: string): boolean => /\.(ya?ml|json)$/i.test(name) && !name.startsWith('.');

/**
 * Files of manifests: each as it is, all *.yaml, *.yml and *.json of a folder and of those in it, and standard input for `-`.
 * @throws CliError that names what cannot be read
 */
export async function readFiles(names: readonly string[]): Promise<TextFile[]> {
  const found = await Promise.all(names.map(filesOf));
  return await Promise.all([...new Set(found.flat())].map(async (file) => ({ file, text: await readText(file), named: names.includes(file) })));
}

async function filesOf(name: string): Promise<string[]> {
  if (name === '-') return [name];
  const info = await stat(name).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(name, error);
  });
  if (!info.isDirectory()) return [name];
  const entries = await readdir(name, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && isManifest(entry.name)).map((entry) => path.join(entry.parentPath, entry.name));
  if (files.length === 0) throw new CliError(`${name} holds no *.yaml, *.yml or *.json; name the folder or the file that does`);
  return files.toSorted();
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
  } catch (error) {
    throw unreadable(file, error as NodeJS.ErrnoException);
  }
}

const WHY: Record<string, string> = { ENOENT: 'does not exist', EACCES: 'may not be read by you', EISDIR: 'is a folder' };
const unreadable = (file: string, { code = 'unknown error' }: NodeJS.ErrnoException): CliError => new CliError(`${file} ${WHY[code] ?? `cannot be read (${code})`}; name a file with a Canary`);

/** A Canary of a file, and what else the file holds. */
export interface CanaryFile {
  written: Written;
  spec: CanarySpec;
  others: Written[];
}

/**
 * The Canary of a file; of several, the one with the name.
 * @throws CliError when there is none, or what is wrong with it
 */
export async function readCanaryFile(file: string, name: string | undefined): Promise<CanaryFile> {
  const read = (await readFiles([file])).map((one) => readObjects(one.file, one.text, one.named));
  const [broken] = read.flatMap(({ findings }) => findings);
  const objects = read.flatMap((one) => one.objects);
  const canaries = objects.filter(({ manifest }) => manifest.kind === 'Canary' && manifest.apiVersion.startsWith('sluice.dev/'));
  if (canaries.length === 0 && broken) throw new CliError(words(broken));
  if (canaries.length === 0) throw new CliError(`${file} holds no Canary (kind: Canary, apiVersion: sluice.dev/v1beta1); name the file that does`);
  const wanted = name === undefined ? canaries : canaries.filter(({ manifest }) => manifest.metadata.name === name);
  const [written, another] = wanted;
  const names = canaries.map(({ manifest }) => manifest.metadata.name).join(', ');
  if (!written) throw new CliError(`${file} holds no Canary ${name}; it holds ${names}`);
  if (another) throw new CliError(`${file} holds several Canaries (${names}); choose one with --name`);
  const [wrong] = schemaFindings(written);
  if (wrong) throw new CliError(`${words(wrong)}; see all that is wrong with: sluice lint ${file}`);
  const spec = readCanary(written);
  if (!spec) throw new CliError(`${written.file}:${written.lineOf([])} ${nameOf(written.manifest)} cannot be used; see why with: sluice lint ${file}`);
  return { written, spec, others: objects.filter((one) => one !== written) };
}

/** `canary.yaml:12 Canary shop/reviews spec.analysis.interval: …`. */
export const words = ({ file, line, object, field, message }: Finding): string => `${file}:${line} ${[object, field].filter((part) => part !== undefined).join(' ')}${object === undefined ? '' : ': '}${message}`;
