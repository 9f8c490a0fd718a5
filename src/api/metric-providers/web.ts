import { z } from 'zod';
import { withRules } from '../common.js';

/** `provider.web` of a MetricTemplate. */
export const webSettings = withRules(
  z.object({
    method: z.enum(['GET', 'POST']).default('GET').describe('Of the request.'),
    path: z.string().max(2048).optional().describe('Put behind `address`, query string included: `/v1/score?service={{ service }}`. Placeholders are filled in and escaped.'),
    body: z.string().max(8192).optional().describe('Of a POST, with placeholders. It is JSON unless a header says otherwise.'),
  }),
  [{ rule: "!has(self.body) || self.method == 'POST'", message: 'body goes with method: POST only' }],
);
export type WebSettings = z.infer<typeof webSettings>;
