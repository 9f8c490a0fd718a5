import type { SyntaxNode, Tree } from '@lezer/common';
import { ParseError } from './errors.js';

interface Unclosed {
  readonly at: number;
  readonly reason: string;
}

/** The first place where the query departs from the grammar, told in Prometheus's words; undefined when it does not. */
export function syntaxError(query: string, tree: Tree): ParseError | undefined {
  const unclosed = findUnclosed(query);
  const node = firstError(tree.topNode);
  if (node === undefined && unclosed?.reason !== 'unterminated quoted string') return undefined;
  const at = node === undefined ? query.length : node.from + /^\s*/.exec(query.slice(node.from))![0].length;
  if (unclosed !== undefined && unclosed.at <= at + 1) return new ParseError(query, unclosed.at, unclosed.reason);
  return node === undefined ? undefined : unexpected(query, node, at);
}

function unexpected(query: string, node: SyntaxNode, at: number): ParseError {
  const number = /(?<![\w.])\d[\d.]*$/.exec(query.slice(0, at))?.[0];
  if (number !== undefined && /\w/.test(query[at] ?? '')) {
    return new ParseError(query, at - number.length, `bad number or duration syntax: "${number}"`);
  }
  const unknown = /(?:^|[^\w:"'`])([a-zA-Z_:][\w:]*)\s*$/.exec(query.slice(0, at));
  const callee = node.prevSibling?.name === 'Identifier' ? unknown?.[1] : undefined;
  if (query[at] === '(' && callee !== undefined && !KEYWORDS.test(callee)) {
    return new ParseError(
      query,
      at - (unknown![0].length - unknown![0].indexOf(callee)),
      `unknown function with name "${callee}"`,
    );
  }
  if (query[at - 1] === ',' && query[at] === ')' && node.parent?.name === 'FunctionCallBody') {
    return new ParseError(query, at - 1, 'trailing commas not allowed in function call args');
  }
  return new ParseError(
    query,
    at,
    `unexpected ${describeToken(query.slice(at))}${context(node, query.slice(node.parent?.from, at))}`,
  );
}

function firstError(root: SyntaxNode): SyntaxNode | undefined {
  const cursor = root.cursor();
  do {
    if (cursor.type.isError) return cursor.node;
  } while (cursor.next());
  return undefined;
}

/** Finds what is still open at the end of the query, or where a string is not closed. */
function findUnclosed(query: string): Unclosed | undefined {
  const open: string[] = [];
  for (let i = 0; i < query.length; i++) {
    const char = query[i]!;
    if (char === '#') {
      const end = query.indexOf('\n', i);
      if (end === -1) break;
      i = end;
    } else if (char === '"' || char === "'" || char === '`') {
      const end = stringEnd(query, i);
      if (end === undefined) return { at: i, reason: char === '`' ? 'unterminated raw string' : 'unterminated quoted string' };
      i = end;
    } else if ('([{'.includes(char)) open.push(char);
    else if (')]}'.includes(char)) {
      const opener = open.pop();
      if (opener === undefined && char === ')') return { at: i + 1, reason: `unexpected right parenthesis ')'` };
      if (opener === undefined && char === ']') return { at: i, reason: `unexpected right bracket ']'` };
    }
  }
  const at = query.length;
  if (open.includes('{')) return { at, reason: 'unexpected end of input inside braces' };
  if (open.includes('[')) {
    return { at, reason: /\[\s*$/.test(query) ? 'unexpected end of input in duration expression' : 'unclosed left bracket' };
  }
  return open.includes('(') ? { at, reason: 'unclosed left parenthesis' } : undefined;
}

function stringEnd(query: string, start: number): number | undefined {
  const quote = query[start]!;
  for (let i = start + 1; i < query.length; i++) {
    if (query[i] === quote) return i;
    if (quote === '`') continue;
    if (query[i] === '\n') return undefined;
    if (query[i] === '\\') i++;
  }
  return undefined;
}

const KEYWORDS =
  /^(?:and|or|unless|atan2|by|without|on|ignoring|group_left|group_right|bool|offset|sum|avg|min|max|count|group|topk|bottomk|quantile|stddev|stdvar|count_values)$/i;
const AGGREGATORS = /^(?:sum|avg|min|max|count|group|topk|bottomk|quantile|stddev|stdvar|count_values)$/i;
const SET_OR_MATH = /^(?:and|or|unless|atan2)$/i;

function describeToken(rest: string): string {
  if (rest === '') return 'end of input';
  const string = /^("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)/.exec(rest);
  if (string !== null) return `string ${JSON.stringify(string[0])}`;
  const duration = /^(?:\d+(?:ms|[smhdwy]))+(?![\w.])/.exec(rest);
  if (duration !== null) return `number ${JSON.stringify(duration[0])}`;
  const number = /^(?:0x[\da-f]+|\d*\.?\d+(?:e[+-]?\d+)?)/i.exec(rest);
  if (number !== null) return `number ${JSON.stringify(number[0])}`;
  const word = /^[a-zA-Z_:][\w:]*/.exec(rest)?.[0];
  if (rest[0] === ':') return `colon ':'`;
  if (word === undefined) return describeSymbol(/^(?:[=!<>]=|=~|!~|.)/su.exec(rest)![0]);
  if (!KEYWORDS.test(word)) return `${word.includes(':') ? 'metric identifier' : 'identifier'} ${JSON.stringify(word)}`;
  if (AGGREGATORS.test(word)) return `<aggr:${word.toLowerCase()}>`;
  return SET_OR_MATH.test(word) ? `<op:${word.toLowerCase()}>` : `<${word.toLowerCase()}>`;
}

function describeSymbol(symbol: string): string {
  if (/^(?:[-+*/%^<>]|[=!<>]=|=~|!~)$/.test(symbol)) return `<op:${symbol}>`;
  return /^[()[\]{},=@;]$/.test(symbol) ? JSON.stringify(symbol) : `character: '${symbol}'`;
}

function context(error: SyntaxNode, before: string): string {
  const parent = error.parent;
  switch (parent?.name) {
    case 'AggregateExpr':
      return ' in aggregation';
    case 'GroupingLabels':
      if (!/\([^)]*$/.test(before)) return ' in grouping opts, expected "("';
      return error.prevSibling?.name === 'LabelName'
        ? ' in grouping opts, expected "," or ")"'
        : ' in grouping opts, expected label';
    case 'AggregateModifier':
    case 'MatchingModifierClause':
      return ' in grouping opts, expected "("';
    case 'LabelMatchers':
      return error.prevSibling?.name.endsWith('Matcher') === true && !/,\s*$/.test(before)
        ? ' in label matching, expected "," or "}"'
        : ' in label matching, expected identifier or "}"';
    case 'UnquotedLabelMatcher':
    case 'QuotedLabelMatcher':
      return error.prevSibling?.name === 'MatchOp'
        ? ' in label matching, expected string'
        : ' in label matching, expected label matching operator';
    case 'OffsetExpr':
    case 'OffsetDurationExpr':
      return ' in offset, expected number, duration, step(), or range()';
    case 'StepInvariantExpr':
      return ' in @, expected timestamp';
    default:
      return '';
  }
}
