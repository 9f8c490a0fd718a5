import { z } from 'zod';

/** `provider.cloudwatch` of a MetricTemplate. */
export const cloudwatchSettings = z.object({
  region: z
    .string()
    .max(32)
    .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]+$/)
    .optional()
    .describe('Region whose metrics are read, such as `eu-central-1`. Default is AWS_REGION of the controller.'),
  roleArn: z
    .string()
    .max(2048)
    .regex(/^arn:aws[-a-z]*:iam::[0-9]{12}:role\/.+$/)
    .optional()
    .describe('Role to assume with the keys of the Secret before CloudWatch is asked, for metrics of another account.'),
});
