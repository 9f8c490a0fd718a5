import { z } from 'zod';

const aggregates = { average: z.number().nullish(), total: z.number().nullish(), count: z.number().nullish(), minimum: z.number().nullish(), maximum: z.number().nullish() };
export type Aggregate = keyof typeof aggregates;
export const AGGREGATES = Object.keys(aggregates) as Aggregate[];

/** The answer of the Metrics API of Azure Monitor. */
export const metricsAnswer = z.object({
  /** Length of a point, ISO 8601; `FULL` makes one of all. */
  interval: z.string().nullish(),
  value: z.array(
    z.object({
      name: z.object({ value: z.string() }),
      errorCode: z.string().nullish(),
      errorMessage: z.string().nullish(),
      timeseries: z.array(
        z.object({
          metadatavalues: z.array(z.object({ name: z.object({ value: z.string() }), value: z.string() })).default([]),
          data: z.array(z.object({ timeStamp: z.string(), ...aggregates })).default([]),
        }),
      ),
    }),
  ),
});
export type MetricsAnswer = z.infer<typeof metricsAnswer>;

/** The answer of Log Analytics to KQL. */
export const logsAnswer = z.object({
  tables: z
    .array(z.object({ name: z.string(), columns: z.array(z.object({ name: z.string(), type: z.string() })), rows: z.array(z.array(z.unknown())) }))
    .min(1),
});
export type LogsAnswer = z.infer<typeof logsAnswer>;

const detail = z.object({ code: z.string().optional(), message: z.string() });
interface Nested extends z.infer<typeof detail> {
  innererror?: Nested | undefined;
}
const nested: z.ZodType<Nested> = detail.extend({
  get innererror(): z.ZodOptional<z.ZodType<Nested>> {
    return nested.optional();
  },
});

/** Errors of Azure, the older form first; what really is wrong may lie several levels deep. */
export const azureError = z.union([z.object({ error: nested }), nested.transform((error) => ({ error }))]);
