import { z } from 'zod';
import { withRules } from '../common.js';

/** `provider.influxdb` of a MetricTemplate. */
export const influxdbSettings = withRules(
  z.object({
    database: z.string().min(1).max(253).optional().describe('Of InfluxDB 1: the query is InfluxQL.'),
    retentionPolicy: z.string().min(1).max(253).optional().describe('Of the database; default is its own.'),
    org: z.string().min(1).max(253).optional().describe('Organisation, of InfluxDB 2: the query is Flux. Default is `org` in the Secret.'),
  }),
  [
    { rule: '!(has(self.database) && has(self.org))', message: 'database (InfluxQL) and org (Flux) exclude each other' },
    { rule: '!has(self.retentionPolicy) || has(self.database)', message: 'retentionPolicy goes with database only' },
  ],
);
export type InfluxdbSettings = z.infer<typeof influxdbSettings>;
