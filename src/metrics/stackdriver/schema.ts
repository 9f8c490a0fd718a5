import { z } from 'zod';

/** A key of a service account, as Google gives it out. Other kinds of credentials may name files and addresses, and are refused. */
export const serviceAccountKey = z.object({
  type: z.literal('service_account'),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
  token_uri: z.url().default('https://oauth2.googleapis.com/token'),
  project_id: z.string().optional(),
});
export type ServiceAccountKey = z.infer<typeof serviceAccountKey>;

const typedValue = z.object({
  doubleValue: z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]).optional(),
  /** JSON has no 64-bit integers. */
  int64Value: z
    .string()
    .regex(/^-?\d+$/)
    .transform(Number)
    .optional(),
});

/** The answer of `timeSeries:query` (MQL). */
export const mqlAnswer = z.object({
  timeSeriesDescriptor: z
    .object({
      labelDescriptors: z.array(z.object({ key: z.string() })).default([]),
      pointDescriptors: z.array(z.object({ key: z.string().optional() })).default([]),
    })
    .default({ labelDescriptors: [], pointDescriptors: [] }),
  timeSeriesData: z
    .array(
      z.object({
        labelValues: z
          .array(z.object({ stringValue: z.string().optional(), int64Value: z.string().optional(), boolValue: z.boolean().optional() }))
          .default([]),
        pointData: z
          .array(z.object({ values: z.array(typedValue), timeInterval: z.object({ startTime: z.string().optional(), endTime: z.string() }) }))
          .default([]),
      }),
    )
    .default([]),
  nextPageToken: z.string().optional(),
  partialErrors: z.array(z.object({ message: z.string().optional() })).optional(),
});
export type MqlAnswer = z.infer<typeof mqlAnswer>;

/** An error as all APIs of Google have it. */
export const googleError = z.object({ error: z.object({ code: z.number().optional(), message: z.string(), status: z.string().optional() }) });
