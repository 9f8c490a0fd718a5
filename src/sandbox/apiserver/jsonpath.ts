import { asArray, isObject, own } from './json.js';

type Step =
  | { kind: 'field'; name: string }
  | { kind: 'union'; names: string[] }
  | { kind: 'index'; index: number }
  | { kind: 'all' }
  | { kind: 'filter'; path: Step[]; value: unknown };

/**
 * Compiles the JSONPath subset that printer columns and scale paths use: `.a.b`, `['a']`, `['a','b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`.
 * @returns a function giving every match in order; undefined when the path cannot be read
 */
export function compileJsonPath(path: string): ((value: unknown) => unknown[]) | undefined {
  const steps = parse(path.replace(/^\{|\}$/g, '').replace(/^\$/, ''));
  if (steps === undefined) return undefined;
  return (value) => steps.reduce<unknown[]>((values, step) => values.flatMap((item) => walk(item, step)), [value]);
}

const TOKEN =
  /\.\.?\*|\.((?:[^.[\]\\]|\\.)+)|\[['"]([^'"\]]+)['"]\]|\[((?:['"][^'"\]]+['"]\s*,?\s*){2,})\]|\[(-?\d+)\]|\[\*\]|\[\?\(\s*@((?:\.[^=\s]+))\s*==\s*(?:"([^"]*)"|'([^']*)'|(true|false|-?\d+))\s*\)\]/y;

function parse(path: string): Step[] | undefined {
  const text = path.startsWith('.') || path.startsWith('[') ? path : `.${path}`;
  const steps: Step[] = [];
  // A fresh scanner: filters are parsed by recursion.
  const token = new RegExp(TOKEN);
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (match === null) return undefined;
    const [whole, field, quoted, union, index, filter, double, single, literal] = match;
    if (field !== undefined) steps.push({ kind: 'field', name: field.replaceAll('\\', '') });
    else if (quoted !== undefined) steps.push({ kind: 'field', name: quoted });
    else if (union !== undefined)
      steps.push({ kind: 'union', names: [...union.matchAll(/['"]([^'"]+)['"]/g)].map(([, name]) => name ?? '') });
    else if (index !== undefined) steps.push({ kind: 'index', index: Number(index) });
    else if (filter !== undefined) {
      const inner = parse(filter);
      if (inner === undefined) return undefined;
      steps.push({ kind: 'filter', path: inner, value: double ?? single ?? (JSON.parse(literal ?? 'null') as unknown) });
    } else if (whole.endsWith('*') || whole === '[*]') steps.push({ kind: 'all' });
  }
  return steps;
}

function walk(value: unknown, step: Step): unknown[] {
  switch (step.kind) {
    case 'field': {
      const found = own(value, step.name);
      return found === undefined ? [] : [found];
    }
    case 'union':
      return step.names.flatMap((name) => own(value, name) ?? []);
    case 'index': {
      const found = asArray(value).at(step.index);
      return found === undefined ? [] : [found];
    }
    case 'all':
      return isObject(value) ? Object.values(value) : asArray(value);
    case 'filter':
      return asArray(value).filter(
        (item) =>
          step.path.reduce<unknown[]>((values, inner) => values.flatMap((one) => walk(one, inner)), [item])[0] === step.value,
      );
  }
}
