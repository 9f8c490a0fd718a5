import { z } from 'zod';
import { withRules } from '../common.js';

const guid = () =>
  z
    .string()
    .max(36)
    .regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/);

/** `provider.azuremonitor` of a MetricTemplate. With neither of both, `provider.address` is that of an Azure Monitor workspace, and the query PromQL. */
export const azuremonitorSettings = withRules(
  z.object({
    resource: z
      .string()
      .max(1024)
      .regex(/^\/subscriptions\/[^?#\s]+$/)
      .optional()
      .describe('Id of the resource whose metrics are read: the query is that of the Metrics API, such as `metricnames=Http5xx&aggregation=Total`.'),
    workspace: guid().optional().describe('Id of the Log Analytics workspace that is asked: the query is KQL.'),
    cloud: z.enum(['public', 'usgovernment', 'china']).default('public').describe('The Azure cloud that the resource or workspace is in.'),
  }),
  [{ rule: '!(has(self.resource) && has(self.workspace))', message: 'set resource (metrics) or workspace (KQL), not both' }],
);
export type AzureMonitorSettings = z.infer<typeof azuremonitorSettings>;
