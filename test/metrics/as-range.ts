interface Vector {
  result: { metric: Record<string, string>; value: [number, string] }[];
}
interface Matrix {
  status: 'success';
  data: { resultType: 'matrix'; result: { metric: Record<string, string>; values: [number, string][] }[] };
}

/** Times that a query is about, milliseconds: those of `query_range`, or the one of `query`. */
export function timesOf(form: URLSearchParams): number[] {
  const ms = (field: string): number => Math.round(Number(form.get(field)) * 1000);
  if (!form.has('step')) return [ms('time')];
  const [start, end, step] = [ms('start'), ms('end'), ms('step')];
  return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step);
}

/** What `query_range` answers where `query` would have answered `at(time)` at each of its times. */
export function asRange(times: readonly number[], at: (time: number) => Vector['result']): Matrix {
  const series = new Map<string, Matrix['data']['result'][number]>();
  for (const time of times) {
    for (const { metric, value } of at(time)) {
      const key = JSON.stringify(metric);
      const known = series.get(key);
      if (known) known.values.push([time / 1000, value[1]]);
      else series.set(key, { metric, values: [[time / 1000, value[1]]] });
    }
  }
  return { status: 'success', data: { resultType: 'matrix', result: [...series.values()] } };
}
