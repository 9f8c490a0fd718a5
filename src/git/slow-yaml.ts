import { isScalar, visit, type Document } from 'yaml';

/** Lines, items and fields of one document: reading it takes about a second and holds up everything else. */
const MAX_PARTS = 200_000;

/** Why a file is not even parsed: what is written to be slow to read would hold up every release. */
export function excess(text: string, maxDocuments: number): { line?: number; message: string } | undefined {
  const documents = text.split(/^---(?=\s|$)/m);
  if (documents.length > maxDocuments + 1) return { message: `has ${documents.length - 1} documents; at most ${maxDocuments} are read. Divide it into several files` };
  let line = 1;
  for (const document of documents) {
    const lines = document.split('\n').length - 1;
    const parts = lines + (document.match(/[,[{]/g)?.length ?? 0);
    if (parts > MAX_PARTS) return { line, message: `has about ${parts} lines, items and fields; at most ${MAX_PARTS} are read of one document` };
    line += lines;
  }
  return undefined;
}

/** The second of two equal keys of one mapping. In linear time, unlike the parser's own check. */
export function duplicateKey(document: Document.Parsed): { key: string; node: unknown } | undefined {
  let found: { key: string; node: unknown } | undefined;
  visit(document, {
    Map: (_, map) => {
      const keys = new Set<string>();
      for (const { key } of map.items) {
        const text = keyText(key);
        if (text === undefined || text === '<<') continue;
        if (keys.has(text)) found ??= { key: text, node: key };
        keys.add(text);
      }
      return found ? visit.BREAK : undefined;
    },
  });
  return found;
}

function keyText(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  const { value } = key;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : undefined;
}

/** An alias may hold itself, and then a value has no end; no manifest is as deep as this. */
const DEEPEST = 500;

/** Whether a value is longer than `limit` characters when it is written out, aliases and all; stops counting there. */
export function isLonger(value: unknown, limit: number): boolean {
  let left = limit;
  const count = (part: unknown, depth: number): boolean => {
    if (depth > DEEPEST) return false;
    left -= 1;
    if (typeof part === 'string') left -= part.length;
    else if (Array.isArray(part)) for (const item of part) if (!count(item, depth + 1)) return false;
    if (typeof part === 'object' && part !== null && !Array.isArray(part))
      for (const [key, item] of Object.entries(part)) {
        left -= key.length;
        if (!count(item, depth + 1)) return false;
      }
    return left >= 0;
  };
  return !count(value, 0);
}
