import { z } from 'zod';

/** `ExternalMetricValueList` of external.metrics.k8s.io/v1beta1. */
export const externalMetrics = z.object({
  items: z.array(z.object({ metricName: z.string().optional(), metricLabels: z.record(z.string(), z.string()).nullish(), value: z.union([z.string(), z.number()]) })).nullable(),
});
export type ExternalMetrics = z.infer<typeof externalMetrics>;
