import { Failure } from '../json-api.js';
import { newestComplete, type Point } from '../points.js';
import type { Sample } from '../prometheus/client.js';
import type { NewRelicAnswer } from './schema.js';

type Row = Record<string, unknown>;

/** Columns that say which row it is. */
const TIME_COLUMNS = ['beginTimeSeconds', 'endTimeSeconds'];
const NOT_VALUES = new Set([...TIME_COLUMNS, 'facet', 'inspectedCount', 'timestamp']);

/**
 * One sample per facet. Of a TIMESERIES it is the newest bucket that lies wholly in [from, to], unix milliseconds; otherwise the
 * aggregate that the query gives.
 * @throws Failure when a row has several numbers: which one is meant, the query has to say
 */
export function newrelicSamples(answer: NewRelicAnswer, from: number, to: number): Sample[] {
  const { results, metadata } = answer.data.actor.account.nrql;
  const facets = metadata?.facets ?? [];
  const series = new Map<string, { labels: Record<string, string>; rows: Row[] }>();
  for (const row of results) {
    const labels = labelsOf(row, facets);
    const key = JSON.stringify(labels);
    const one = series.get(key) ?? { labels, rows: [] };
    one.rows.push(row);
    series.set(key, one);
  }
  return [...series.values()].flatMap(({ labels, rows }) => {
    const isSeries = rows.some((row) => TIME_COLUMNS.every((column) => typeof row[column] === 'number'));
    if (!isSeries) return rows.map((row) => ({ labels, value: valueOf(row, facets) ?? Number.NaN }));
    const points = rows.map((row): Point => ({ from: seconds(row, 'beginTimeSeconds'), to: seconds(row, 'endTimeSeconds'), value: valueOf(row, facets) }));
    return [{ labels, value: newestComplete(points, from, to) }];
  });
}

const seconds = (row: Row, column: string): number => (typeof row[column] === 'number' ? row[column] * 1000 : Number.NaN);

function labelsOf(row: Row, facets: string[]): Record<string, string> {
  const names = facets.length > 0 ? facets : ['facet'];
  const labels: Record<string, string> = {};
  const values = Array.isArray(row['facet']) ? (row['facet'] as unknown[]) : [row['facet']];
  names.forEach((name, index) => {
    const value = row[name] ?? values[index];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') labels[name] = String(value);
  });
  return labels;
}

/** The one number of a row; null where its column is there and empty. */
function valueOf(row: Row, facets: string[]): number | null {
  const columns = Object.entries(row).filter(([name]) => !NOT_VALUES.has(name) && !facets.includes(name));
  const values = columns.flatMap(([name, value]) => leaves(name, value));
  const [only] = values;
  if (values.length === 1 && only) return only[1];
  const names = values.map(([name]) => name).join(', ');
  throw new Failure(values.length === 0 ? 'the query gives no number' : `the query gives several numbers (${names}); select one of them`, true);
}

/** Numbers in a column, which may lie one level deeper. Text and flags are none. */
function leaves(name: string, value: unknown): [name: string, value: number | null][] {
  if (typeof value === 'number' || value === null) return [[name, value]];
  if (typeof value !== 'object' || Array.isArray(value)) return [];
  return Object.entries(value as Row).flatMap(([key, inner]) => leaves(`${name} ${key}`, inner));
}
