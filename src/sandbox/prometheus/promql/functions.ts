import { Labels } from '../labels.js';
import { anchoredRegExp } from '../storage/regexp.js';
import { sortSamples } from './aggregate.js';
import { EvaluationError } from './errors.js';
import { bucketFraction, bucketQuantile, collectBuckets } from './histogram.js';
import { clampValue, DATE_FUNCTIONS, NUMBER_FUNCTIONS, roundTo } from './instant-functions.js';
import type { Sample, Value } from './value.js';

/**
 * Calls a function of scalars, strings and instant vectors; the types have been checked by the parser.
 * @throws EvaluationError in Prometheus's words when an argument's value is not usable.
 */
export function callVectorFunction(name: string, args: readonly Value[], atMs: number): Value {
  if (name === 'scalar') {
    const [only, ...more] = samplesOf(args[0]);
    return { type: 'scalar', v: only !== undefined && more.length === 0 ? only.v : Number.NaN };
  }
  return { type: 'vector', samples: vectorResult(name, args, atMs) };
}

function vectorResult(name: string, args: readonly Value[], atMs: number): Sample[] {
  const numeric = NUMBER_FUNCTIONS.get(name);
  if (numeric !== undefined) return mapValues(samplesOf(args[0]), numeric);
  const date = DATE_FUNCTIONS.get(name);
  if (date !== undefined) {
    const samples = args.length === 0 ? [{ labels: Labels.empty, v: atMs / 1000 }] : samplesOf(args[0]);
    return mapValues(samples, (seconds) => (Number.isFinite(seconds) ? date(new Date(Math.trunc(seconds) * 1000)) : Number.NaN));
  }
  switch (name) {
    case 'vector':
      return [{ labels: Labels.empty, v: numberOf(args[0]) }];
    case 'timestamp':
      return mapValues(samplesOf(args[0]), () => atMs / 1000);
    case 'sort':
      return sortSamples(samplesOf(args[0]), 'asc');
    case 'sort_desc':
      return sortSamples(samplesOf(args[0]), 'desc');
    case 'clamp':
      return clamped(samplesOf(args[0]), numberOf(args[1]), numberOf(args[2]));
    case 'clamp_min':
      return mapValues(samplesOf(args[0]), (value) => Math.max(numberOf(args[1]), value));
    case 'clamp_max':
      return mapValues(samplesOf(args[0]), (value) => Math.min(numberOf(args[1]), value));
    case 'round':
      return mapValues(samplesOf(args[0]), (value) => roundTo(value, args[1] === undefined ? 1 : numberOf(args[1])));
    case 'label_replace':
      return labelReplace(samplesOf(args[0]), args.slice(1).map(textOf));
    case 'label_join':
      return labelJoin(samplesOf(args[0]), args.slice(1).map(textOf));
    case 'histogram_quantile': {
      const q = numberOf(args[0]);
      return collectBuckets(samplesOf(args[1])).map(({ labels, buckets }) => ({ labels, v: bucketQuantile(q, buckets) }));
    }
    case 'histogram_fraction': {
      const [lower, upper] = [numberOf(args[0]), numberOf(args[1])];
      return collectBuckets(samplesOf(args[2])).map(({ labels, buckets }) => ({
        labels,
        v: bucketFraction(lower, upper, buckets),
      }));
    }
    default:
      // histogram_sum and its kin are about native histograms, of which a text exposition has none.
      return [];
  }
}

function samplesOf(value: Value | undefined): Sample[] {
  return value?.type === 'vector' ? value.samples : [];
}

function numberOf(value: Value | undefined): number {
  return value?.type === 'scalar' ? value.v : Number.NaN;
}

function textOf(value: Value): string {
  return value.type === 'string' ? value.v : '';
}

function mapValues(samples: Sample[], compute: (value: number) => number): Sample[] {
  return samples.map(({ labels, v }) => ({ labels: labels.withoutName(), v: compute(v) }));
}

function clamped(samples: Sample[], min: number, max: number): Sample[] {
  return max < min ? [] : mapValues(samples, (value) => clampValue(value, min, max));
}

function labelReplace(samples: Sample[], [target = '', replacement = '', source = '', pattern = '']: string[]): Sample[] {
  const compiled = compile(pattern);
  if (target === '') throw new EvaluationError(`invalid destination label name in label_replace(): ${target}`);
  return samples.map((sample) => {
    const match = compiled.exec(sample.labels.get(source));
    if (match === null) return sample;
    return { labels: sample.labels.with([[target, expand(replacement, match)]]), v: sample.v };
  });
}

function compile(pattern: string): RegExp {
  try {
    return anchoredRegExp(pattern);
  } catch {
    throw new EvaluationError(`invalid regular expression in label_replace(): ${pattern}`);
  }
}

/** `$1`, `${1}`, `$name` and `$$` as Go's regexp expands them: `$1x` is the group named "1x", which is empty. */
function expand(template: string, match: RegExpExecArray): string {
  return template.replace(/\$(?:\$|(\w+)|\{(\w+)\})/g, (whole, bare: string | undefined, braced: string | undefined) => {
    const name = bare ?? braced;
    if (name === undefined) return whole.slice(1);
    return (/^\d+$/.test(name) ? match[Number(name)] : match.groups?.[name]) ?? '';
  });
}

function labelJoin(samples: Sample[], [target = '', separator = '', ...sources]: string[]): Sample[] {
  if (target === '') throw new EvaluationError(`invalid destination label name in label_join(): ${target}`);
  const empty = sources.find((source) => source === '');
  if (empty !== undefined) throw new EvaluationError(`invalid source label name in label_join(): ${empty}`);
  return samples.map(({ labels, v }) => ({
    labels: labels.with([[target, sources.map((source) => labels.get(source)).join(separator)]]),
    v,
  }));
}
