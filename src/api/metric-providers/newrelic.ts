import { z } from 'zod';

/** `provider.newrelic` of a MetricTemplate. */
export const newrelicSettings = z.object({
  region: z.enum(['us', 'eu']).default('us').describe('Where the account keeps its data; not used where `provider.address` is set.'),
  accountId: z
    .int()
    .min(1)
    .max(9_007_199_254_740_991)
    .optional()
    .describe('The account that is asked; `newrelic_account_id` of the Secret where it is absent.'),
});
