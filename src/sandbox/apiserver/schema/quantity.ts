const SHAPE = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/;
/** Why a text is no quantity, as the real server says it. */
export const QUANTITY_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** Decimal suffixes from the smallest, each a thousand times the one before. */
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const KILO = 1000n;
const KIBI = 1024n;

interface Parsed {
  /** In billionths. */
  nano: bigint;
  binary: boolean;
  exponent: boolean;
}

/** Reads `500m`, `1Gi`, `0.5`, `1e3` or a number; undefined when it is no quantity. */
function parse(value: string | number): Parsed | undefined {
  const match = SHAPE.exec(String(value));
  if (match?.[1] === undefined) return undefined;
  const suffix = match[2] ?? '';
  const digits = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(match[1]);
  if (digits === null || (digits[2] ?? '') + (digits[3] ?? '') === '') return undefined;
  const [, sign, whole = '', fraction = ''] = digits;
  const factor = factorOf(suffix);
  if (factor === undefined) return undefined;
  const scaled = BigInt(`${whole}${fraction}`) * factor;
  const divisor = 10n ** BigInt(fraction.length);
  // What is smaller than a billionth is rounded up.
  const nano = (scaled + divisor - 1n) / divisor;
  return { nano: sign === '-' ? -nano : nano, binary: suffix.endsWith('i'), exponent: /^[eE]/.test(suffix) && suffix !== 'E' };
}

function factorOf(suffix: string): bigint | undefined {
  const binary = BINARY.indexOf(suffix);
  if (binary >= 0) return KIBI ** BigInt(binary) * KILO ** 3n;
  const decimal = DECIMAL.indexOf(suffix);
  if (decimal >= 0) return KILO ** BigInt(decimal);
  const exponent = /^[eE]([-+]?\d+)$/.exec(suffix)?.[1];
  if (exponent === undefined) return undefined;
  const power = 9 + Number(exponent);
  return power < 0 ? undefined : 10n ** BigInt(power);
}

export const isQuantityText = (value: string | number): boolean => parse(value) !== undefined;

/** The form in which the server keeps a quantity: no fraction, the largest suffix that allows it. What is none stays as it is. */
export function canonicalQuantity(value: string | number): string {
  const parsed = parse(value);
  // Exponents keep their form.
  if (parsed === undefined || parsed.exponent) return String(value);
  const { nano, binary } = parsed;
  if (nano === 0n) return '0';
  if (binary && nano % KILO ** 3n === 0n) return withSuffix(nano / KILO ** 3n, KIBI, BINARY);
  return withSuffix(nano, KILO, DECIMAL);
}

function withSuffix(amount: bigint, base: bigint, suffixes: string[]): string {
  let rest = amount;
  let index = 0;
  while (index < suffixes.length - 1 && rest % base === 0n) {
    rest /= base;
    index++;
  }
  return `${rest}${suffixes[index] ?? ''}`;
}

/** Whether `a` is more than `b`; false when one of them is no quantity. */
export function exceeds(a: string | number, b: string | number): boolean {
  const [left, right] = [parse(a), parse(b)];
  return left !== undefined && right !== undefined && left.nano > right.nano;
}
