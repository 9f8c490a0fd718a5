import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * Texts for `kubectl explain` of built-in kinds. The client library carries them in its type declarations; they are read when an
 * OpenAPI document is first asked for, and left out where the declarations were not installed.
 */
interface TypeText {
  type?: string;
  fields: Map<string, string>;
}

const memo = new Map<string, TypeText>();
const require = createRequire(import.meta.url);

function load(typeName: string): TypeText {
  const known = memo.get(typeName);
  if (known !== undefined) return known;
  let source = '';
  try {
    source = readFileSync(require.resolve(`@kubernetes/client-node/dist/gen/models/${typeName}.d.ts`), 'utf8');
  } catch {
    // Without declarations there are no texts; everything else works.
  }
  const fields = new Map<string, string>();
  for (const match of source.matchAll(/\/\*\*\n\s*\* ([^\n]*)\n\s*\*\/\n\s*'([^']+)'\??:/g)) {
    if (match[1] !== undefined && match[2] !== undefined) fields.set(match[2], clean(match[1]));
  }
  const type = /\/\*\*\n\* ([^\n]*)\n\*\/\nexport declare class/.exec(source)?.[1];
  const result: TypeText = { fields, ...(type === undefined ? {} : { type: clean(type) }) };
  memo.set(typeName, result);
  return result;
}

const clean = (text: string): string => text.replaceAll(/\\(['"])/g, '$1').trim();

export const describeType = (typeName: string): string | undefined => load(typeName).type;
export const describeField = (typeName: string, field: string): string | undefined =>
  load(typeName).fields.get(field.startsWith('_') ? field.slice(1) : field);
