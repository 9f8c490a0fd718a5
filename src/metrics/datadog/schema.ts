import { z } from 'zod';

/** A moment in unix milliseconds, and null where nothing was measured. */
const point = z.tuple([z.number(), z.number().nullable()]);

/** The answer of `GET /api/v1/query`, as Datadog's API reference has it. */
export const datadogAnswer = z.object({
  status: z.literal('ok'),
  series: z.array(
    z.object({
      expression: z.string().optional(),
      metric: z.string().nullish(),
      tag_set: z.array(z.string()).default([]),
      /** Seconds that a point stands for. */
      interval: z.number().nonnegative().nullish(),
      pointlist: z.array(point),
    }),
  ),
});
export type DatadogAnswer = z.infer<typeof datadogAnswer>;

/** An error has one text or several, with status 200 as well. */
export const datadogError = z
  .object({ error: z.string().min(1).optional(), errors: z.array(z.string()).min(1).optional() })
  .refine((body) => body.error !== undefined || body.errors !== undefined);
