import type { ValueType } from './ast.js';

export interface Signature {
  readonly args: readonly ValueType[];
  /** How many arguments may be added to or left out at the end: 0 none, n at most n of them, -1 any number. */
  readonly variadic: number;
  readonly returns: ValueType;
}

const TYPES: Readonly<Record<string, ValueType>> = { v: 'vector', m: 'matrix', s: 'scalar', t: 'string' };

function signature(args: string, variadic = 0, returns: ValueType = 'vector'): Signature {
  return { args: args.split('').map((letter) => TYPES[letter] ?? 'vector'), variadic, returns };
}

function all(names: string, same: Signature): [string, Signature][] {
  return names.split(' ').map((name) => [name, same]);
}

/** The functions of Prometheus that work without an experimental feature flag, with their argument types. */
export const SIGNATURES: ReadonlyMap<string, Signature> = new Map<string, Signature>([
  ...all(
    'abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh timestamp',
    signature('v'),
  ),
  ...all('histogram_avg histogram_count histogram_stddev histogram_stdvar histogram_sum', signature('v')),
  ...all(
    'absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate last_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time',
    signature('m'),
  ),
  ...all('day_of_month day_of_week day_of_year days_in_month hour minute month year', signature('v', 1)),
  ['clamp', signature('vss')],
  ['clamp_max', signature('vs')],
  ['clamp_min', signature('vs')],
  ['histogram_fraction', signature('ssv')],
  ['histogram_quantile', signature('sv')],
  ['label_join', signature('vttt', -1)],
  ['label_replace', signature('vtttt')],
  ['pi', signature('', 0, 'scalar')],
  ['predict_linear', signature('ms')],
  ['quantile_over_time', signature('sm')],
  ['round', signature('vs', 1)],
  ['scalar', signature('v', 0, 'scalar')],
  ['time', signature('', 0, 'scalar')],
  ['vector', signature('s')],
]);

/** Functions that a Prometheus without feature flags knows but refuses. */
export const EXPERIMENTAL_FUNCTIONS: ReadonlySet<string> = new Set(
  'double_exponential_smoothing end histogram_quantiles info mad_over_time max_of min_of range sort_by_label sort_by_label_desc start start_timestamp step ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time'.split(
    ' ',
  ),
);
