/** A number as the HTTP API writes it: `1.5`, `1e-07`, `NaN`, `+Inf`. JavaScript changes to exponents where Prometheus does. */
export function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  if (Object.is(value, -0)) return '-0';
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** A number without exponent, as `count_values` writes it into a label. */
export function formatPlain(value: number): string {
  const text = formatValue(value);
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (match === null) return text;
  const [, sign, head = '', tail = '', exponent] = match;
  const digits = head + tail;
  const point = Number(exponent) + 1;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return sign + (point >= digits.length ? digits.padEnd(point, '0') : `${digits.slice(0, point)}.${digits.slice(point)}`);
}

/** A bucket bound as Prometheus 3 stores it: always recognisable as a float (`1` becomes `1.0`, a million `1e+06`). */
export function formatBound(value: number): string {
  if (!Number.isFinite(value)) return formatValue(value);
  const [mantissa, exponent] = value.toExponential().split('e');
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 6)) {
    return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  const plain = formatPlain(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}

/** A duration as Prometheus writes it: `1s`, `1m30s`, `250ms`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  const units: [string, number][] = [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ];
  let rest = Math.round(ms);
  let text = '';
  for (const [unit, size] of units) {
    const amount = Math.floor(rest / size);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * size;
  }
  return text;
}
