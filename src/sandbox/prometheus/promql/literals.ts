const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};
const DURATION = /^(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?$/;

/** A Prometheus duration (`1h30m`) in milliseconds; undefined when the text is not one. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '' || !DURATION.test(text)) return text === '0' ? 0 : undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return total;
}

/** A number as Go's ParseFloat reads it, without `_`; undefined when the text is not one. */
export function parseFloatStrict(text: string): number | undefined {
  const word = /^([+-]?)(inf(?:inity)?|nan)$/i.exec(text);
  if (word !== null) {
    if (word[2]?.toLowerCase() === 'nan') return Number.NaN;
    return word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  return undefined;
}

/** A PromQL number literal: decimal, hexadecimal, Inf, NaN or a duration (then in seconds); without sign. */
export function parseNumberLiteral(text: string): number {
  const plain = text.replaceAll('_', '');
  if (/^0x[\da-f]+$/i.test(plain)) return Number(plain);
  if (/^0[0-7]+$/.test(plain)) return Number.parseInt(plain, 8);
  const number = parseFloatStrict(plain);
  if (number !== undefined) return number;
  const duration = parseDurationMs(plain);
  return duration === undefined ? Number.NaN : duration / 1000;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The text of a PromQL string literal, or undefined when it is not properly quoted or has a bad escape. */
export function unquote(literal: string): string | undefined {
  const quote = literal[0];
  if (literal.length < 2 || literal.at(-1) !== quote) return undefined;
  const body = literal.slice(1, -1);
  if (quote === '`') return body;
  let valid = true;
  const text = body.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|([\s\S]))/g,
    (
      _whole,
      hex: string | undefined,
      short: string | undefined,
      long: string | undefined,
      octal: string | undefined,
      single: string,
    ) => {
      const code = hex ?? short ?? long;
      if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      if (single === '\\' || single === quote) return single;
      const escaped = ESCAPES[single];
      if (escaped === undefined) valid = false;
      return escaped ?? '';
    },
  );
  return valid ? text : undefined;
}

/** Why unquote() refused a literal, in Prometheus's words. */
export function describeBadString(literal: string): string {
  for (const [, char = ''] of literal.slice(1, -1).matchAll(/\\(.)/gsu)) {
    if (/[abfnrtv\\xuU0-7]/.test(char) || char === literal[0]) continue;
    const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return `unknown escape sequence U+${code} '${char}'`;
  }
  return `error unquoting string ${JSON.stringify(literal)}: invalid syntax`;
}
