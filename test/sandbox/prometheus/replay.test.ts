import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPrometheus, type Prometheus } from '../../../src/sandbox/prometheus/index.js';
import { ask, Recording, type Answer } from './recording.js';

const recording = Recording.parse(JSON.parse(readFileSync(new URL('answers.json', import.meta.url), 'utf8')));
const times = recording.scrapes.map(({ timeMs }) => timeMs);

/** Transcendental functions differ in the last digit between Go and JavaScript; everything else must be equal. */
function canonicalNumber(text: string): string {
  const value = Number(text);
  return Number.isFinite(value) ? value.toPrecision(13) : text;
}

function canonical(answer: Answer, ordered: boolean): unknown {
  if (answer.status === 'error') return answer;
  const { data, httpStatus } = answer;
  if (data.resultType === 'scalar')
    return { httpStatus, type: data.resultType, value: [data.result[0], canonicalNumber(data.result[1])] };
  if (data.resultType === 'string') return { httpStatus, type: data.resultType, value: data.result };
  const rows = data.result.map((row) => {
    const points = 'values' in row ? row.values : [row.value];
    const metric = Object.entries(row.metric).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return JSON.stringify([metric, points.map(([time, value]) => [time, canonicalNumber(value)])]);
  });
  return { httpStatus, type: data.resultType, rows: ordered ? rows : rows.toSorted() };
}

describe(`answers of Prometheus ${recording.version}`, () => {
  let prometheus: Prometheus;
  let exporter: http.Server;

  beforeAll(async () => {
    let now = 0;
    let body = '';
    exporter = http.createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1');
    await once(exporter, 'listening');
    const url = `http://127.0.0.1:${(exporter.address() as AddressInfo).port}/metrics`;
    const targets = () => [{ job: 'mesh', instance: 'exporter', url, labels: { cluster: 'sandbox' } }];
    prometheus = await startPrometheus({ scrapeIntervalMs: 0, targets, now: () => now });
    for (const scrape of recording.scrapes) {
      now = scrape.timeMs;
      body = scrape.body.join('\n');
      await prometheus.scrapeOnce();
    }
  });

  afterAll(async () => {
    await prometheus.stop();
    exporter.close();
  });

  it.each(
    recording.cases.map((one) => ({ ...one, name: `${one.question.query} @ ${one.question.scrape}+${one.question.offsetMs}` })),
  )('$name', async ({ question, answer }) => {
    const ours = await ask(prometheus.url, question, times);
    expect(canonical(ours, question.ordered === true)).toEqual(canonical(answer, question.ordered === true));
  });
});
