import { z } from 'zod';

const account = () => z.string().min(1).max(253);

/** `provider.kayenta` of a MetricTemplate. */
export const kayentaSettings = z.object({
  application: z.string().min(1).max(253).describe('Application that owns the canary configuration.'),
  canaryConfigName: z.string().min(1).max(253).describe('Name of the canary configuration.'),
  metricsAccountName: account().describe('Account that Kayenta reads metrics with.'),
  configurationAccountName: account().describe('Account that keeps the canary configuration.'),
  storageAccountName: account().describe('Account that keeps the results.'),
  thresholds: z
    .object({
      pass: z.number().min(0).max(100).describe('Score from which the judge calls the canary good.'),
      marginal: z.number().min(0).max(100).describe('Score below which the judge calls it bad.'),
    })
    .describe('What the judge is told; whether the check passes is decided by `thresholdRange` of the metric, on the score.'),
});
export type KayentaSettings = z.infer<typeof kayentaSettings>;
