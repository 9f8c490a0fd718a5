import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
  type ParsedNode,
} from 'yaml';
import { z } from 'zod';
import { Annotations, type GitSourceStatus } from '../api/index.js';
import type { KubeObject } from '../kube/types.js';
import { likeKubectl } from '../kube/yaml.js';
import type { LocalRepository } from './fetch.js';
import { buildKustomization, isKustomization, type Built } from './kustomize.js';
import { SyncError } from './reasons.js';
import { duplicateKey, excess, isLonger } from './slow-yaml.js';
import { listTree, readFiles, type TreeEntry } from './tree.js';

const MAX_BYTES = 10 * 1024 * 1024;
/** More than the API server takes of one object, many times; a larger file would hold up everything else. */
const MAX_FILE_BYTES = 5 * 1024 * 1024;
/** As many as the inventory in the status holds. */
export const MAX_OBJECTS = 500;
const MAX_ALIASES = 100;
/** How every pointer file of Git LFS begins. */
const LFS_POINTER = 'version https://git-lfs.github.com/spec/v1';

export type ObjectFailure = NonNullable<GitSourceStatus['failures']>[number];

/** One object that the commit declares. */
export interface Declared {
  manifest: KubeObject;
  file: string;
  line: number;
  /** Where it is made of more files than one. */
  files?: string[];
}

export interface Rendered {
  objects: Declared[];
  /** Files and objects that cannot be used; `objects` holds the others. */
  failures: ObjectFailure[];
}

/**
 * The objects that are declared below `path` of a commit: all *.yaml, *.yml and *.json in byte order of their paths, hidden ones left out.
 * @throws SyncError PathNotFound, or InvalidManifest when nothing of it can be used safely.
 */
export async function renderTree(repository: LocalRepository, path: string, defaultNamespace: string): Promise<Rendered> {
  await repository.sparse?.bring(repository.commit);
  const entries = (await listTree(repository, path)).filter(({ path: file }) => !isHidden(posix.relative(path, file)));
  const kustomizations = entries.filter(({ path: file }) => isKustomization(file));
  if (kustomizations.some(({ path: file }) => posix.dirname(file) === (path || '.'))) return renderBuilt(await buildKustomization(repository, path), path, defaultNamespace);
  const [nested] = kustomizations;
  if (nested) {
    throw new SyncError(
      'InvalidManifest',
      `${nested.path}: a kustomization in a folder below spec.path; point spec.path at the folder that is to be built, or add a kustomization.yaml there. Nothing was applied`,
    );
  }
  const manifests = entries.filter(({ kind, path: file }) => kind === 'file' && isManifest(file));
  const files = manifests.filter(({ size }) => size <= MAX_FILE_BYTES);
  checkSize(files);
  const contents = await readFiles(repository, files);
  const failures = [...entries.filter(mayMatter).map(notFollowed), ...manifests.filter(({ size }) => size > MAX_FILE_BYTES).map(tooLarge)];
  const objects: Declared[] = [];
  for (const [index, { path: file }] of files.entries()) {
    await somethingElse();
    const text = (contents[index] ?? Buffer.alloc(0)).toString('utf8');
    if (text.startsWith(LFS_POINTER)) {
      failures.push(failure(file, 1, 'is a pointer of Git LFS, whose content is not fetched; commit the manifest itself ("git lfs untrack", then add it again)'));
      continue;
    }
    const parsed = parseManifests(file, text);
    objects.push(...parsed.objects);
    failures.push(...parsed.failures);
  }
  return bounded(objects, failures, defaultNamespace);
}

/** What Kustomize made of a folder: the file of every object is the kustomization. */
function renderBuilt({ text, files }: Built, path: string, defaultNamespace: string): Rendered {
  const file = posix.join(path, 'kustomization.yaml');
  const { objects, failures } = parseManifests(file, text);
  return bounded(objects.map((object) => ({ ...object, line: 1, files })), failures, defaultNamespace);
}

function bounded(objects: Declared[], failures: ObjectFailure[], defaultNamespace: string): Rendered {
  const unique = refuseDuplicates(objects, defaultNamespace);
  if (unique.objects.length > MAX_OBJECTS) {
    throw new SyncError(
      'InvalidManifest',
      `spec.path declares ${unique.objects.length} objects; at most ${MAX_OBJECTS} fit into one GitSource: use several with different paths. Nothing was applied`,
    );
  }
  return { objects: unique.objects, failures: [...failures, ...unique.failures] };
}

/** Reading takes long enough that what is due meanwhile must have its turn. */
const somethingElse = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Reads one file. Documents that cannot be used become failures, with their line; the others are objects. */
export function parseManifests(file: string, text: string): Rendered {
  const much = excess(text, 2 * MAX_OBJECTS);
  if (much) return { objects: [], failures: [failure(file, much.line, `${much.message}. Nothing of it was applied`)] };
  const lines = new LineCounter();
  const documents = parseAllDocuments<ParsedNode>(text, {
    version: '1.1',
    merge: true,
    customTags: likeKubectl,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
    uniqueKeys: false,
  });
  const result: Rendered = { objects: [], failures: [] };
  if (!Array.isArray(documents)) return result;
  for (const document of documents) {
    const problem = document.errors[0];
    const twice = problem ? undefined : duplicateKey(document);
    if (problem) result.failures.push(failure(file, lines.linePos(problem.pos[0]).line, `is not YAML: ${unquoted(problem.message)}`));
    else if (twice) result.failures.push(failure(file, lineOf(twice.node, lines), `is not YAML: keys must be unique, and ${JSON.stringify(twice.key.slice(0, 100))} comes twice`));
    else readDocument(document, (node) => lineOf(node, lines), file, result);
  }
  return result;
}

/**
 * What is wrong, without what is quoted of the file: a value that begins with `*`, `!`, `|` or `>` and has no quotes around it may
 * be somebody's password.
 */
const unquoted = (message: string): string =>
  message
    .replace(/: .*$/s, '')
    .replace(/^The .* tag has no suffix/s, 'A tag has no suffix')
    .replace(/, so .* is invalid/s, '')
    .replace(/^Unresolved alias.*/s, 'an alias has no anchor before it; put a value that begins with "*" into quotes');

/** Identifies the content of a manifest, whatever the order of its keys. */
export const digestOf = (manifest: KubeObject): string =>
  createHash('sha256').update(canonical(manifest)).digest('hex').slice(0, 32);

function readDocument(document: Document.Parsed, lineAt: (node: unknown) => number, file: string, result: Rendered): void {
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    result.failures.push(
      failure(file, lineAt(contents), `cannot be read: ${unquoted(error instanceof Error ? error.message : String(error))}`),
    );
    return;
  }
  if (isLonger(value, MAX_BYTES)) {
    result.failures.push(failure(file, lineAt(contents), `has more than ${MAX_BYTES} characters with its aliases filled in; write less of it. Nothing of it was applied`));
    return;
  }
  collect(value, contents, lineAt, file, result);
}

function collect(value: unknown, node: Node | null, lineAt: (node: unknown) => number, file: string, result: Rendered): void {
  const line = lineAt(node);
  const items = listItems(value);
  if (items) {
    const nodes = isMap(node) ? node.get('items', true) : undefined;
    for (const [index, item] of items.entries()) {
      const child = isSeq(nodes) ? nodes.items[index] : undefined;
      collect(item, (child as Node | undefined) ?? node, lineAt, file, result);
    }
    return;
  }
  const parsed = objectSchema.safeParse(value);
  if (parsed.success) result.objects.push({ manifest: withoutServerFields(parsed.data as KubeObject), file, line });
  else
    result.failures.push(
      failure(
        file,
        line,
        `is not a Kubernetes object: ${describe(parsed.error)}; every object needs apiVersion, kind and metadata.name`,
      ),
    );
}

const required = (what: string) => z.string(`${what} is missing or not text`).min(1, `${what} is empty`);
const texts = z.record(z.string(), z.string('values must be text: put them in quotes')).nullish();
const objectSchema = z.looseObject(
  {
    apiVersion: required('apiVersion').regex(/^([a-z0-9.-]+\/)?v[a-z0-9]+$/, 'apiVersion is not GROUP/VERSION'),
    kind: required('kind').regex(/^[A-Za-z][A-Za-z0-9]*$/, 'kind is not the name of a kind'),
    metadata: z.looseObject(
      {
        name: required('metadata.name')
          .max(253)
          .regex(/^[^/%\s]+$/, 'metadata.name holds "/", "%" or a blank'),
        namespace: z
          .string()
          .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'metadata.namespace is not the name of a namespace')
          .nullish(),
        labels: texts,
        annotations: texts,
      },
      'metadata is missing',
    ),
  },
  'expected a mapping',
);

const describe = (error: z.ZodError): string => {
  const [issue] = error.issues;
  const path = issue?.path.join('.') ?? '';
  return issue ? (issue.message.startsWith(path) ? issue.message : `${path}: ${issue.message}`) : 'unknown shape';
};

function listItems(value: unknown): unknown[] | undefined {
  const list = z
    .looseObject({
      kind: z.string().regex(/List$/),
      items: z.array(z.unknown()),
      metadata: z.looseObject({ name: z.undefined() }).nullish(),
    })
    .safeParse(value);
  return list.success ? list.data.items : undefined;
}

/** What only the server or Sluice writes, and people copy along when they save a live object. */
function withoutServerFields(object: KubeObject): KubeObject {
  const { status: _status, ...manifest } = object;
  const {
    managedFields: _m,
    resourceVersion: _r,
    uid: _u,
    generation: _g,
    creationTimestamp: _c,
    selfLink: _s,
    ...metadata
  } = object.metadata as KubeObject['metadata'] & { selfLink?: string };
  if (!metadata.namespace) delete metadata.namespace;
  for (const field of ['labels', 'annotations'] as const) if (!metadata[field]) delete metadata[field];
  if (metadata.annotations) {
    const kept = Object.entries(metadata.annotations).filter(([key]) => !OURS.has(key));
    metadata.annotations = Object.fromEntries(kept);
    if (kept.length === 0) delete metadata.annotations;
  }
  return { ...manifest, metadata } as KubeObject;
}

const { overlay, commit, commits, author, subject, source, syncedAt } = Annotations;
const OURS = new Set<string>([overlay, commit, commits, author, subject, source, syncedAt]);

/** None of several declarations of one object is applied: which one was meant cannot be known. */
function refuseDuplicates(objects: Declared[], defaultNamespace: string): Rendered {
  const places = new Map<string, Declared[]>();
  for (const object of objects) {
    const { apiVersion, kind, metadata } = object.manifest;
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
    const key = [group, kind, metadata.namespace ?? defaultNamespace, metadata.name].join('/');
    places.set(key, [...(places.get(key) ?? []), object]);
  }
  const result: Rendered = { objects: [], failures: [] };
  for (const same of places.values()) {
    const [first, second] = same;
    if (first && !second) result.objects.push(first);
    else if (first && second) {
      const name = `${first.manifest.kind} ${first.manifest.metadata.namespace ?? defaultNamespace}/${first.manifest.metadata.name}`;
      const all = same.map(({ file, line }) => `${file}:${line}`).join(', ');
      result.failures.push(
        failure(second.file, second.line, `declares ${name} again (${all}); keep one. None of them was applied`),
      );
    }
  }
  return result;
}

function checkSize(files: TreeEntry[]): void {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  if (total <= MAX_BYTES) return;
  const largest = files.toSorted((a, b) => b.size - a.size)[0];
  throw new SyncError(
    'InvalidManifest',
    `the manifests below spec.path have ${total} bytes, of which ${largest?.path ?? ''} has ${largest?.size ?? 0}; at most ${MAX_BYTES} are read. Choose a narrower spec.path. Nothing was applied`,
  );
}

const tooLarge = ({ path, size }: TreeEntry): ObjectFailure =>
  failure(path, undefined, `has ${size} bytes; at most ${MAX_FILE_BYTES} are read of one file. Divide it into several files. Nothing of it was applied`);

const isHidden = (path: string): boolean => path.split('/').some((part) => part.startsWith('.'));
const isManifest = (path: string): boolean => /\.(ya?ml|json)$/i.test(path);

/** A link or submodule that may stand for manifests; links such as LICENSE or notes.txt cannot. */
function mayMatter({ kind, path }: TreeEntry): boolean {
  if (kind === 'submodule') return true;
  const name = posix.basename(path);
  return kind === 'symlink' && (isManifest(name) || (!name.includes('.') && name !== name.toUpperCase()));
}

const notFollowed = ({ kind, path, problem }: TreeEntry): ObjectFailure =>
  failure(
    path,
    undefined,
    kind === 'symlink'
      ? 'is a symbolic link, which is never followed; commit the content in its place'
      : `is a submodule${problem === undefined ? ', which is not fetched; set spec.submodules, commit the content, or make it a GitSource of its own' : ` that ${problem}`}`,
  );

const failure = (file: string, line: number | undefined, message: string): ObjectFailure => ({
  file: file.slice(0, 512),
  ...(line === undefined ? {} : { line }),
  message: `${file}${line === undefined ? '' : `:${line}`} ${message}`.slice(0, 1024),
});

const lineOf = (node: unknown, lines: LineCounter): number => {
  const start = isMap(node) || isSeq(node) || isScalar(node) ? node.range?.[0] : undefined;
  return start === undefined ? 1 : lines.linePos(start).line;
};

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, child]) => child !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, child]) => `${JSON.stringify(key)}:${canonical(child)}`).join(',')}}`;
}
