import { z } from 'zod';

/** `provider.dynatrace` of a MetricTemplate. */
export const dynatraceSettings = z.object({
  resolution: z
    .string()
    .max(8)
    .regex(/^([1-9][0-9]{0,3}(m|h|d)?|Inf)$/)
    .default('1m')
    .describe('Length of one point, such as `1m`; `Inf` makes one point of the whole interval. A number alone is how many points are wished for.'),
  entitySelector: z.string().max(2000).optional().describe('Entities that are measured, where the metric selector does not say it.'),
});
