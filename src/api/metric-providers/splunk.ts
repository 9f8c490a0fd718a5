import { z } from 'zod';
import { DURATION_PATTERN } from '../common.js';

/** `provider.splunk` of a MetricTemplate: Splunk Observability Cloud. */
export const splunkSettings = z.object({
  realm: z
    .string()
    .max(32)
    .regex(/^[a-z0-9]+$/)
    .optional()
    .describe('Realm of the organization, such as `us1` or `eu0`; required where `provider.address` is not set.'),
  resolution: z.string().max(32).regex(DURATION_PATTERN).optional().describe('Length of one point. Default is what the data of the program have.'),
});
