import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type ParsedNode } from 'yaml';
import { GROUP } from '../api/common.js';
import { duplicateKey, excess } from '../git/slow-yaml.js';
import type { KubeObject } from '../kube/types.js';
import { likeKubectl } from '../kube/yaml.js';
import type { Finding } from './finding.js';

/** Documents of one file that are read, at most. */
const MAX_DOCUMENTS = 1000;
const MAX_ALIASES = 100;

/** Place of a field: names, and positions in lists. */
export type FieldPath = (string | number)[];

/** An object as somebody wrote it. */
export interface Written {
  file: string;
  manifest: KubeObject;
  /** Line of a field, or of the innermost thing around it that is there. */
  lineOf(path: FieldPath): number;
}

/** `Canary shop/reviews`. */
export const nameOf = ({ kind, metadata }: KubeObject): string => `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;

/** `spec.analysis.metrics[0].name`. */
export const fieldOf = (path: FieldPath): string => path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');

/** The other way round, as the API server writes it: a key of a map in brackets is one part. */
export const pathOf = (field: string): FieldPath => [...field.matchAll(/\[(\d+)\]|\[([^\]]+)\]|([^.[\]]+)/g)].map(([, index, key, name]) => (index === undefined ? (key ?? name ?? '') : Number(index)));

/**
 * Reads YAML or JSON with any number of objects. What cannot be read becomes a finding; the rest is read.
 * @param strict false: what is no object of ours need not be an object at all, as the values of a chart are not
 */
export function readObjects(file: string, text: string, strict = true): { objects: Written[]; findings: Finding[] } {
  const findings: Finding[] = [];
  const objects: Written[] = [];
  const fail = (line: number, message: string): void => void findings.push({ severity: 'error', rule: 'yaml', file, line, message });
  const much = excess(text, MAX_DOCUMENTS);
  if (much) {
    fail(much.line ?? 1, `the file ${much.message}`);
    return { objects, findings };
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments<ParsedNode>(text, { version: '1.1', merge: true, customTags: likeKubectl, lineCounter: lines, prettyErrors: false, logLevel: 'silent', uniqueKeys: false });
  for (const document of Array.isArray(documents) ? documents : []) {
    const [problem] = document.errors;
    const twice = problem ? undefined : duplicateKey(document);
    if (problem) fail(lines.linePos(problem.pos[0]).line, `this is not YAML: ${problem.message}`);
    else if (twice) fail(lineAt(twice.node, lines) ?? 1, `the key ${JSON.stringify(twice.key.slice(0, 100))} comes twice in one mapping; keep one of them`);
    else
      for (const found of objectsIn({ file, document, lines, strict })) {
        if ('manifest' in found) objects.push(found);
        else findings.push(found);
      }
  }
  return { objects, findings };
}

function objectsIn(source: Source): (Written | Finding)[] {
  const { file, document, lines } = source;
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return [];
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    return [{ severity: 'error', rule: 'yaml', file, line: lineAt(contents, lines) ?? 1, message: `this cannot be read: ${error instanceof Error ? error.message : String(error)}` }];
  }
  return collect(value, [], source);
}

interface Source {
  file: string;
  document: Document.Parsed;
  lines: LineCounter;
  strict: boolean;
}

function collect(value: unknown, at: FieldPath, source: Source): (Written | Finding)[] {
  const { file, document, lines, strict } = source;
  const lineOf = (path: FieldPath): number => lineOfPath(document, lines, [...at, ...path]);
  const items = listItems(value);
  if (items) return items.flatMap((item, index) => collect(item, [...at, 'items', index], source));
  if (isManifest(value)) return [{ file, manifest: value, lineOf }];
  if (!strict && !String((value as { apiVersion?: unknown } | null)?.apiVersion).startsWith(`${GROUP}/`)) return [];
  return [{ severity: 'error', rule: 'yaml', file, line: lineOf([]), message: 'this is not a Kubernetes object; every object needs apiVersion, kind and metadata.name' }];
}

function listItems(value: unknown): unknown[] | undefined {
  const list = value as { kind?: unknown; items?: unknown } | null;
  return typeof list?.kind === 'string' && list.kind.endsWith('List') && Array.isArray(list.items) ? list.items : undefined;
}

function isManifest(value: unknown): value is KubeObject {
  const { apiVersion, kind, metadata } = (value ?? {}) as Record<string, unknown>;
  return typeof apiVersion === 'string' && typeof kind === 'string' && typeof (metadata as { name?: unknown } | undefined)?.name === 'string';
}

function lineOfPath(document: Document.Parsed, lines: LineCounter, path: FieldPath): number {
  let node: unknown = document.contents;
  let line = lineAt(node, lines) ?? 1;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === part);
      line = lineAt(pair?.key, lines) ?? line;
      node = pair?.value;
    } else if (isSeq(node)) {
      node = typeof part === 'number' ? node.items[part] : undefined;
      line = lineAt(node, lines) ?? line;
    } else break;
  }
  return line;
}

function lineAt(node: unknown, lines: LineCounter): number | undefined {
  const start = isNode(node) ? node.range?.[0] : undefined;
  return start === undefined ? undefined : lines.linePos(start).line;
}
