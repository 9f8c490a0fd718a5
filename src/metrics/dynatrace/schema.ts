import { z } from 'zod';

/** The answer of `GET /api/v2/metrics/query`, as Dynatrace's API reference has it. */
export const dynatraceAnswer = z.object({
  nextPageKey: z.string().nullish(),
  resolution: z.string().nullish(),
  result: z.array(
    z.object({
      metricId: z.string(),
      data: z.array(
        z
          .object({
            dimensionMap: z.record(z.string(), z.string().nullable()).default({}),
            timestamps: z.array(z.number()),
            values: z.array(z.number().nullable()),
          })
          .refine((series) => series.timestamps.length === series.values.length, 'a value for every timestamp'),
      ),
      warnings: z.array(z.string()).nullish(),
    }),
  ),
});
export type DynatraceAnswer = z.infer<typeof dynatraceAnswer>;

export const dynatraceError = z.object({
  error: z.object({
    code: z.number(),
    message: z.string(),
    constraintViolations: z.array(z.object({ message: z.string() })).nullish(),
  }),
});
