import { z } from 'zod';

/** `MetricDataQueries` of GetMetricData; what is not named here is passed on as it is. */
export const metricDataQueries = z
  .array(
    z.looseObject({
      Id: z.string().min(1),
      Period: z.int().positive().optional(),
      MetricStat: z.looseObject({ Period: z.int().positive() }).optional(),
    }),
  )
  .min(1)
  .max(500);
export type MetricDataQueries = z.infer<typeof metricDataQueries>;

const message = z.object({ Code: z.string().nullish(), Value: z.string().nullish() });

/** The answer of GetMetricData in AWS JSON 1.0; moments are unix seconds. */
export const cloudwatchAnswer = z.object({
  MetricDataResults: z.array(
    z
      .object({
        Id: z.string(),
        Label: z.string().nullish(),
        StatusCode: z.enum(['Complete', 'InternalError', 'PartialData', 'Forbidden']).nullish(),
        Timestamps: z.array(z.number()).default([]),
        Values: z.array(z.union([z.number(), z.literal('NaN').transform(() => Number.NaN)])).default([]),
        Messages: z.array(message).nullish(),
      })
      .refine((result) => result.Timestamps.length === result.Values.length, 'a value for every timestamp'),
  ),
  Messages: z.array(message).nullish(),
  NextToken: z.string().nullish(),
});
export type CloudWatchAnswer = z.infer<typeof cloudwatchAnswer>;

export const awsJsonError = z.object({ __type: z.string(), message: z.string().optional(), Message: z.string().optional() });

/** What STS answers, taken out of its XML. */
export const stsAnswer = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  SessionToken: z.string().min(1),
  Expiration: z.iso.datetime(),
});
export const stsError = z.object({ Code: z.string(), Message: z.string() });

/** What the agent of EKS Pod Identity answers. */
export const podIdentityAnswer = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().min(1),
  Expiration: z.iso.datetime(),
});
