import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, posix } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { LocalRepository } from './fetch.js';
import { SyncError } from './reasons.js';
import { listTree, readFiles, type TreeEntry } from './tree.js';

const NAMES = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'];
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_OUTPUT = 32 * 1024 * 1024;
const MAX_WORDS = 500;
const MAX_DEPTH = 30;
const TIMEOUT_MS = 60_000;

/** Lists whose entries are files or folders. */
const PATHS = ['resources', 'bases', 'components', 'crds', 'generators', 'transformers', 'validators', 'configurations'] as const;
/** Below these keys a text is a value and never a place. */
const VALUES = new Set(['literals', 'patch', 'labels', 'commonLabels', 'commonAnnotations', 'annotations', 'options', 'images', 'vars', 'namePrefix', 'nameSuffix', 'namespace', 'value', 'metadata', 'helmCharts', 'helmGlobals', 'buildMetadata', 'name']);
const REMOTE = /^(\w+::|[a-z][a-z0-9+.-]*:\/\/|git@|[\w.-]+@[\w.-]+:)|^(www\.)?(github|gitlab|bitbucket)\.(com|org)[/:]|[?&]ref=/i;

const kustomization = z.looseObject(Object.fromEntries(PATHS.map((key) => [key, z.array(z.unknown()).nullish()])));

export const isKustomization = (path: string): boolean => NAMES.includes(posix.basename(path));

const invalid = (message: string): SyncError => new SyncError('InvalidManifest', `${message}. Nothing was applied`);

/** How Kustomize is run: SLUICE_KUSTOMIZE, else `kustomize`, else `kubectl kustomize`; undefined where there is neither. */
export function findKustomize(env: NodeJS.ProcessEnv = process.env): { program: string; args: string[] } | undefined {
  const chosen = env['SLUICE_KUSTOMIZE'];
  if (chosen) return { program: chosen, args: posix.basename(chosen).startsWith('kubectl') ? ['kustomize'] : ['build'] };
  for (const [name, args] of [['kustomize', ['build']], ['kubectl', ['kustomize']]] as const) {
    const program = (env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, name)).find(isExecutable);
    if (program) return { program, args: [...args] };
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a build gave, and every file that it read or may have. */
export interface Built {
  text: string;
  files: string[];
}

/**
 * Builds the kustomization in a folder of a commit. Only what the commit holds is read: remote bases are refused, and so are bases
 * that lead back to themselves.
 * @throws SyncError InvalidManifest, naming the file.
 */
export async function buildKustomization(repository: LocalRepository, folder: string): Promise<Built> {
  const command = findKustomize();
  if (!command)
    throw invalid(`${posix.join(folder, 'kustomization.yaml')}: neither kustomize nor kubectl is installed beside the controller; use its image, set SLUICE_KUSTOMIZE to the program, or commit the output of "kubectl kustomize"`);
  const entries = (await listTree(repository, '')).filter(({ kind, size }) => kind === 'file' && size <= MAX_FILE_BYTES);
  const graph = new Graph(repository, entries);
  await graph.visit(folder, []);
  const dir = await mkdtemp(join(tmpdir(), 'sluice-kustomize-'));
  try {
    await layOut(repository, entries.filter(({ path }) => graph.mayRead(path)), dir);
    return { text: await run(command, join(dir, folder), dir), files: graph.files };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Walks from one kustomization to all that it names. */
class Graph {
  readonly #byPath: Map<string, TreeEntry>;
  readonly #folders = new Set<string>();
  readonly #done = new Set<string>();

  constructor(
    private readonly repository: LocalRepository,
    entries: TreeEntry[],
  ) {
    this.#byPath = new Map(entries.map((entry) => [entry.path, entry]));
  }

  get files(): string[] {
    return [...this.#byPath.keys()].filter((path) => this.mayRead(path));
  }

  /** Kustomize reads below the folders of kustomizations only. */
  mayRead(path: string): boolean {
    for (let dir = posix.dirname(path); ; dir = posix.dirname(dir)) {
      if (this.#folders.has(dir === '.' ? '' : dir)) return true;
      if (dir === '.' || dir === '/') return false;
    }
  }

  async visit(folder: string, chain: string[]): Promise<void> {
    const at = chain.indexOf(folder);
    if (at >= 0) throw invalid(`${file(folder)}: its bases lead back to it: ${[...chain.slice(at), folder].map(shown).join(' → ')}; take one of them out`);
    if (chain.length > MAX_DEPTH) throw invalid(`${file(folder)}: more than ${MAX_DEPTH} bases stand on each other`);
    if (this.#done.has(folder)) return;
    this.#folders.add(folder);
    const entry = NAMES.map((name) => this.#byPath.get(posix.join(folder, name))).find((found) => found !== undefined);
    if (!entry) throw invalid(`${shown(folder)} has no kustomization.yaml, but ${shown(chain.at(-1) ?? '')} names it; add one`);
    const [content] = await readFiles(this.repository, [entry]);
    const document = read(entry.path, content?.toString('utf8') ?? '');
    refuseRemote(entry.path, document);
    for (const place of placesIn(document)) await this.#follow(entry.path, folder, place, [...chain, folder]);
    this.#done.add(folder);
  }

  async #follow(from: string, folder: string, place: string, chain: string[]): Promise<void> {
    const path = posix.normalize(posix.join(folder, place)).replace(/\/$/, '');
    if (path.startsWith('..') || place.startsWith('/')) throw invalid(`${from}: ${place} leads out of the repository; only what it holds is read`);
    if (this.#byPath.has(path)) return;
    const target = path === '.' ? '' : path;
    const isFolder = [...this.#byPath.keys()].some((known) => target === '' || known.startsWith(`${target}/`));
    if (!isFolder) throw invalid(`${from}: ${place} is neither a file nor a folder of the repository (links are never followed); correct it, or commit it`);
    await this.visit(target, chain);
  }
}

const shown = (folder: string): string => folder || '.';
const file = (folder: string): string => posix.join(folder, 'kustomization.yaml');

function read(path: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    throw invalid(`${path} is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = kustomization.safeParse(value ?? {});
  if (!parsed.success) throw invalid(`${path}: ${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? 'cannot be read'}`);
  return parsed.data;
}

/** Files and folders; an inline object of a generator is none. */
const placesIn = (document: Record<string, unknown>): string[] =>
  PATHS.flatMap((key) => (document[key] as unknown[] | null | undefined) ?? []).filter((item): item is string => typeof item === 'string' && !item.includes('\n'));

function refuseRemote(path: string, value: unknown, key = ''): void {
  if (VALUES.has(key)) return;
  if (typeof value === 'string') {
    // Generators write `KEY=FILE`.
    if (!value.includes('\n') && REMOTE.test(value.replace(/^[\w.-]+=/, ''))) throw invalid(`${path}: ${key} names ${JSON.stringify(value.slice(0, 100))}, and nothing remote is fetched: what is applied must be in the commit. Commit a copy, and name that`);
  } else if (Array.isArray(value)) for (const item of value) refuseRemote(path, item, key);
  else if (typeof value === 'object' && value !== null) for (const [name, item] of Object.entries(value)) refuseRemote(path, item, name);
}

async function layOut(repository: LocalRepository, entries: TreeEntry[], dir: string): Promise<void> {
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  if (total > MAX_BYTES) throw invalid(`the folders that the kustomization needs have ${total} bytes; at most ${MAX_BYTES} are read`);
  const contents = await readFiles(repository, entries);
  for (const folder of new Set(entries.map(({ path }) => dirname(path)))) await mkdir(join(dir, folder), { recursive: true, mode: 0o700 });
  for (const [index, { path }] of entries.entries()) await writeFile(join(dir, path), contents[index] ?? '', { mode: 0o600 });
}

/** The build in a process that can reach nothing: no proxy leads out, and it finds no other program. */
function run({ program, args }: { program: string; args: string[] }, folder: string, root: string): Promise<string> {
  const nowhere = 'http://127.0.0.1:9';
  const env = { HOME: root, PATH: '/nonexistent', HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, NO_PROXY: '', LANG: 'C' };
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args, folder], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS, killSignal: 'SIGKILL' });
    const output: Buffer[] = [];
    let size = 0;
    let words = '';
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT) child.kill('SIGKILL');
      else output.push(chunk);
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (words = (words + chunk).slice(-4 * MAX_WORDS)));
    child.on('error', (error) => reject(invalid(`${program} could not be run: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0 && size <= MAX_OUTPUT) resolve(Buffer.concat(output).toString('utf8'));
      else reject(invalid(`${posix.relative(root, folder) || '.'}: ${essence(words, root) || `kustomize ended with ${code ?? 'a signal'} after at most ${TIMEOUT_MS / 1000} s`}`));
    });
  });
}

/** Kustomize's words without our folder. */
const essence = (words: string, root: string): string =>
  words
    .split('\n')
    .filter((line) => line && !/^(# )?Warning/i.test(line))
    .join(' ')
    .replaceAll(`/private${root}/`, '')
    .replaceAll(`${root}/`, '')
    .replaceAll(root, '.')
    .replace(/\b[EWIF]\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] /g, '')
    .replace(/^[Ee]rror: /, '')
    .slice(0, MAX_WORDS);
