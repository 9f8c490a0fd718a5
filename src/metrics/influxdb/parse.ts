import { shortened } from '../../core/text.js';
import { Failure } from '../json-api.js';
import { sampleValue } from '../prometheus/schema.js';
import type { Sample } from '../prometheus/client.js';
import type { FluxAnswer, InfluxqlAnswer } from './schema.js';

const noNumber = (value: unknown): Failure => new Failure(`InfluxDB answered ${shortened(JSON.stringify(value), 40)} where a number belongs`, false);

/** The newest value of each series and column. @throws Failure */
export function influxqlSamples({ results }: InfluxqlAnswer): Sample[] {
  const failed = results.find(({ error }) => error !== undefined)?.error;
  if (failed !== undefined) throw new Failure(`InfluxDB refused the query: ${shortened(failed, 400)}`, /pars|database not found|retention policy not found/.test(failed));
  return results.flatMap(({ series }) =>
    series.flatMap(({ name = '', tags = {}, columns, values }) => {
      const rows = values.toSorted((a, b) => Number(a[columns.indexOf('time')] ?? 0) - Number(b[columns.indexOf('time')] ?? 0));
      return columns.flatMap((column, index) => {
        if (column === 'time') return [];
        const newest = rows.findLast((row) => row[index] !== null && row[index] !== undefined)?.[index] ?? Number.NaN;
        if (typeof newest !== 'number') throw noNumber(newest);
        return [{ labels: { ...tags, name, column }, value: newest }];
      });
    }),
  );
}

/** Columns that tell where a value is from in the answer, not what it is of. */
const PLACES = new Set(['result', 'table', '_start', '_stop', '_time', '_value']);

/** The newest value of each table. @throws Failure */
export function fluxSamples({ rows }: FluxAnswer): Sample[] {
  const tables = new Map<string, { labels: Record<string, string>; at: string; text: string }>();
  for (const row of rows) {
    if (row['error']) throw new Failure(`InfluxDB failed in the middle of the query: ${shortened(row['error'], 400)}`, false);
    if (row['_value'] === undefined) throw new Failure('the query gives tables without a column _value; let it end in one, by rename() for example', true);
    const key = `${row['result'] ?? ''}/${row['table'] ?? ''}`;
    const known = tables.get(key);
    const at = row['_time'] ?? '';
    const labels = Object.fromEntries(Object.entries(row).filter(([name]) => !PLACES.has(name)));
    // A row without a value says nothing, and without times the last row is the newest.
    if (!known || (row['_value'] !== '' && (known.text === '' || timeOf(at) >= timeOf(known.at)))) tables.set(key, { labels, at, text: row['_value'] });
  }
  return [...tables.values()].map(({ labels, text }) => {
    const value = text === '' ? Number.NaN : sampleValue(text);
    if (value === undefined) throw noNumber(text);
    return { labels, value };
  });
}

const timeOf = (text: string): number => Date.parse(text) || 0;
