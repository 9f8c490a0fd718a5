import { badRequest, type ApiError } from './errors.js';
import { dns1123Subdomain } from './validation/names.js';

/** A label selector in its text form, parsed as the real server does and with its messages. */
export type LabelTest = (labels: Record<string, string>) => boolean;

type Kind = 'end' | 'identifier' | 'in' | 'notin' | '=' | '==' | '!=' | '>' | '<' | '!' | '(' | ')' | ',' | 'other';
interface Token {
  kind: Kind;
  text: string;
}

const SYMBOLS: ReadonlySet<string> = new Set(['=', '==', '!=', '>', '<', '!', '(', ')', ',']);
const SPECIAL = '=!(),><';
const OPERATORS = 'in, notin, =, ==, !=, gt, lt';
const NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const MAX_LENGTH = 63;

function tokens(text: string): Token[] {
  const result: Token[] = [];
  let position = 0;
  const take = (matches: (char: string) => boolean): string => {
    const start = position;
    while (position < text.length && matches(text[position] ?? '')) position++;
    return text.slice(start, position);
  };
  const blank = (char: string): boolean => /\s/.test(char);
  for (;;) {
    take(blank);
    const char = text[position];
    if (char === undefined) return [...result, { kind: 'end', text: '' }];
    if (SPECIAL.includes(char)) {
      const two = text.slice(position, position + 2);
      const symbol = SYMBOLS.has(two) ? two : char;
      position += symbol.length;
      result.push({ kind: SYMBOLS.has(symbol) ? (symbol as Kind) : 'other', text: symbol });
    } else {
      const word = take((next) => !blank(next) && !SPECIAL.includes(next));
      result.push({ kind: word === 'in' || word === 'notin' ? word : 'identifier', text: word });
    }
  }
}

const found = (token: Token, expected: string): ApiError => badRequest(`found '${token.text}', expected: ${expected}`);
const END: Token = { kind: 'end', text: '' };

class Parser {
  private readonly rest: Token[];

  constructor(text: string) {
    this.rest = tokens(text);
  }

  parse(): LabelTest[] {
    const tests: LabelTest[] = [];
    for (;;) {
      const next = this.peek();
      if (next.kind === 'end') return tests;
      if (next.kind !== 'identifier' && next.kind !== '!') throw found(next, "!, identifier, or 'end of string'");
      tests.push(this.requirement());
      const after = this.take();
      if (after.kind === 'end') return tests;
      if (after.kind !== ',') throw found(after, "',' or 'end of string'");
      const following = this.peek();
      if (following.kind !== 'identifier' && following.kind !== '!') throw found(following, "identifier after ','");
    }
  }

  /** Where a name or a value is expected, `in` and `notin` are words like others. */
  private peek(): Token {
    const [token = END] = this.rest;
    return token.kind === 'in' || token.kind === 'notin' ? { ...token, kind: 'identifier' } : token;
  }

  private take(): Token {
    const token = this.peek();
    if (this.rest.length > 1) this.rest.shift();
    return token;
  }

  private requirement(): LabelTest {
    try {
      return this.readRequirement();
    } catch (error) {
      throw badRequest(`unable to parse requirement: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private readRequirement(): LabelTest {
    const negated = this.peek().kind === '!';
    if (negated) this.take();
    const key = this.take();
    if (key.kind !== 'identifier') throw found(key, 'identifier');
    checkKey(key.text);
    const has = (labels: Record<string, string>): boolean => Object.hasOwn(labels, key.text);
    if (negated) return (labels) => !has(labels);
    if (this.peek().kind === 'end' || this.peek().kind === ',') return has;
    const [operator = END] = this.rest;
    if (this.rest.length > 1) this.rest.shift();
    switch (operator.kind) {
      case 'in':
      case 'notin':
        return among(key.text, this.values(), operator.kind === 'in');
      case '=':
      case '==':
        return among(key.text, [this.value()], true);
      case '!=':
        return among(key.text, [this.value()], false);
      case '>':
      case '<':
        return compared(key.text, this.value(), operator.kind === '>');
      default:
        throw found(operator, OPERATORS);
    }
  }

  private value(): string {
    const next = this.peek();
    if (next.kind === 'end' || next.kind === ',') return '';
    const token = this.take();
    if (token.kind !== 'identifier') throw found(token, 'identifier');
    return token.text;
  }

  private values(): string[] {
    const open = this.take();
    if (open.kind !== '(') throw badRequest(`found '${open.text}' expected: '('`);
    const first = this.peek();
    if (first.kind !== 'identifier' && first.kind !== ',' && first.kind !== ')') throw found(first, "',', ')' or identifier");
    const values: string[] = [];
    let current = '';
    for (;;) {
      const token = this.take();
      if (token.kind === 'identifier') {
        current = token.text;
        const next = this.peek();
        if (next.kind !== ',' && next.kind !== ')') throw found(next, "',' or ')'");
      } else if (token.kind === ',' || token.kind === ')') {
        if (token.kind === ',' || values.length > 0 || current !== '') values.push(current);
        current = '';
        if (token.kind === ')') return values;
      } else throw found(token, "',', or identifier");
    }
  }
}

function checkKey(key: string): void {
  const [prefix, name] = key.includes('/')
    ? [key.slice(0, key.lastIndexOf('/')), key.slice(key.lastIndexOf('/') + 1)]
    : [undefined, key];
  const valid = NAME.test(name) && name.length <= MAX_LENGTH && (prefix === undefined || dns1123Subdomain(prefix).length === 0);
  if (!valid) throw badRequest(`key: Invalid value: ${JSON.stringify(key)}: is no valid label key`);
}

function checkValue(key: string, value: string, index: number): void {
  if (value === '' || (NAME.test(value) && value.length <= MAX_LENGTH)) return;
  throw badRequest(`values[${index}][${key}]: Invalid value: ${JSON.stringify(value)}: is no valid label value`);
}

function among(key: string, values: string[], wanted: boolean): LabelTest {
  if (values.length === 0) throw badRequest("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
  values.forEach((value, index) => checkValue(key, value, index));
  return (labels) => (Object.hasOwn(labels, key) && values.includes(labels[key] ?? '')) === wanted;
}

function compared(key: string, value: string, above: boolean): LabelTest {
  if (!/^[-+]?\d+$/.test(value))
    throw badRequest(
      `values[0]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
    );
  const limit = Number(value);
  return (labels) => Object.hasOwn(labels, key) && (above ? Number(labels[key]) > limit : Number(labels[key]) < limit);
}

/**
 * Parses a label selector (equality and set based).
 * @throws ApiError 400 with what was found and what was expected
 */
export const parseLabelSelector = (text: string): LabelTest[] => new Parser(text).parse();
