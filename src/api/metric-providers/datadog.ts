import { z } from 'zod';

/** `provider.datadog` of a MetricTemplate. */
export const datadogSettings = z.object({
  site: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
    .default('datadoghq.com')
    .describe('Site of the organization, such as `datadoghq.eu` or `us5.datadoghq.com`; not used where `provider.address` is set.'),
});
