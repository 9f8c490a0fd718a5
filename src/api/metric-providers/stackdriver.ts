import { z } from 'zod';

/** `provider.stackdriver` of a MetricTemplate: Google Cloud Monitoring. */
export const stackdriverSettings = z.object({
  project: z
    .string()
    .max(64)
    .regex(/^[a-z][-a-z0-9.:]*[a-z0-9]$/)
    .optional()
    .describe('Id of the project whose metrics are read; `project` of the Secret, then that of its service account key, where it is absent.'),
  language: z.enum(['promql', 'mql']).default('promql').describe('Language of the query. Google takes MQL no longer in new places; write new queries in PromQL.'),
  location: z
    .string()
    .max(64)
    .regex(/^[a-z0-9-]+$/)
    .default('global')
    .describe('Location of the Prometheus API of Cloud Monitoring.'),
});
export type StackdriverSettings = z.infer<typeof stackdriverSettings>;
