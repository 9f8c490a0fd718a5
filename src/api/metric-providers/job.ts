import { z } from 'zod';
import { opaqueObject } from '../common.js';

/** `provider.job` of a MetricTemplate. */
export const jobSettings = z.object({
  spec: opaqueObject().describe(
    '`spec` of the Job that is made for each check, in the namespace of the Canary; placeholders in its strings are filled in. Default there: `backoffLimit: 0`, `activeDeadlineSeconds: 600`, `ttlSecondsAfterFinished: 3600`, `restartPolicy: Never`.',
  ),
});
