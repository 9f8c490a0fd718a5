import { z } from 'zod';
import type { Question } from './expressions.js';

const Point = z.tuple([z.number(), z.string()]);
const Metric = z.record(z.string(), z.string());
const Data = z.discriminatedUnion('resultType', [
  z.object({ resultType: z.literal('vector'), result: z.array(z.object({ metric: Metric, value: Point })) }),
  z.object({ resultType: z.literal('matrix'), result: z.array(z.object({ metric: Metric, values: z.array(Point) })) }),
  z.object({ resultType: z.literal('scalar'), result: Point }),
  z.object({ resultType: z.literal('string'), result: Point }),
]);

/** An answer of the HTTP API; warnings and infos are not compared. */
const Answer = z.discriminatedUnion('status', [
  z.object({ status: z.literal('success'), data: Data, httpStatus: z.number() }),
  z.object({ status: z.literal('error'), errorType: z.string(), error: z.string(), httpStatus: z.number() }),
]);
export type Answer = z.infer<typeof Answer>;

export const Recording = z.object({
  version: z.string(),
  scrapes: z.array(z.object({ timeMs: z.number(), body: z.array(z.string()) })),
  cases: z.array(
    z.object({
      question: z.object({
        query: z.string(),
        scrape: z.number(),
        offsetMs: z.number(),
        range: z.object({ backMs: z.number(), stepMs: z.number() }).optional(),
        ordered: z.boolean().optional(),
      }),
      answer: Answer,
    }),
  ),
});
export type Recording = z.infer<typeof Recording>;

/** Asks a Prometheus over HTTP. */
export async function ask(url: string, question: Question, scrapedAtMs: readonly number[]): Promise<Answer> {
  const end = (scrapedAtMs[question.scrape]! + question.offsetMs) / 1000;
  const { range } = question;
  const body = new URLSearchParams({ query: question.query.replaceAll('<start>', String(scrapedAtMs[8]! / 1000)) });
  if (range === undefined) body.set('time', String(end));
  else {
    body.set('start', String(end - range.backMs / 1000));
    body.set('end', String(end));
    body.set('step', String(range.stepMs / 1000));
  }
  const response = await fetch(`${url}/api/v1/${range === undefined ? 'query' : 'query_range'}`, { method: 'POST', body });
  return Answer.parse({ ...z.record(z.string(), z.unknown()).parse(await response.json()), httpStatus: response.status });
}
