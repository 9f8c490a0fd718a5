import { z } from 'zod';

/** `provider.prometheus` of a MetricTemplate. */
export const prometheusSettings = z.object({
  dialect: z
    .enum(['promql', 'metricsql'])
    .default('promql')
    .describe('Language of the query. `promql` is checked before a release begins; `metricsql`, that of VictoriaMetrics, is not.'),
});
