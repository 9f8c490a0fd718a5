const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-/:-@[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/**
 * Compiles a regular expression of Go's RE2 syntax, matching the whole value, where `.` also matches a new line.
 * @throws Error in Go's wording (`error parsing regexp: …`) when the expression is not valid there.
 */
export function anchoredRegExp(source: string): RegExp {
  const flags = /^\(\?([is]+)\)/.exec(source);
  const body = flags === null ? source : source.slice(flags[0].length);
  rejectUnsupported(body);
  try {
    return new RegExp(`^(?:${toJavaScript(body)})$`, flags?.[1]?.includes('i') === true ? 'si' : 's');
  } catch {
    throw new Error(`error parsing regexp: ${explain(source)}`);
  }
}

/** RE2 has neither look-around nor back references; JavaScript would quietly accept them. */
function rejectUnsupported(body: string): void {
  const look = /(?<!\\)\(\?(?:<?[=!])/.exec(body);
  if (look !== null) throw new Error(`error parsing regexp: invalid or unsupported Perl syntax: \`${look[0].slice(0, 3)}\``);
  const back = /(?<!\\)(?:\\\\)*(\\[1-9])/.exec(body);
  if (back !== null) throw new Error(`error parsing regexp: invalid escape sequence: \`${back[1]}\``);
  if (
    /^[*+?]|[(|][*+?]/.test(
      body
        .replace(/\\./g, '__')
        .replace(/\[[^\]]*\]/g, '_')
        .replace(/\(\?/g, '(_'),
    )
  ) {
    throw new Error(`error parsing regexp: missing argument to repetition operator: \`${/[*+?]/.exec(body)?.[0] ?? ''}\``);
  }
}

function toJavaScript(body: string): string {
  return body
    .replace(/\(\?P</g, '(?<')
    .replace(/\[:(\^?)(\w+):\]/g, (whole, negated: string, name: string) =>
      negated === '' ? (POSIX_CLASSES[name] ?? whole) : whole,
    )
    .replace(/\\A/g, '^')
    .replace(/\\z/g, '$')
    .replace(/\\Q([\s\S]*?)\\E/g, (_, text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .replace(/\\x\{([0-9a-fA-F]+)\}/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
}

function explain(source: string): string {
  const plain = source.replace(/\\./g, '__');
  const classes = plain.replace(/\[\^?\]?[^\]]*\]/g, '_');
  if (classes.includes('[')) return `missing closing ]: \`${source.slice(plain.indexOf('['))}\``;
  const open = classes.split('(').length;
  const closed = classes.split(')').length;
  if (open > closed) return `missing closing ): \`${source}\``;
  if (open < closed) return `unexpected ): \`${source}\``;
  if (/(^|[^\\])(\\\\)*\\$/.test(source)) return 'trailing backslash at end of expression: ``';
  return `invalid expression: \`${source}\``;
}
