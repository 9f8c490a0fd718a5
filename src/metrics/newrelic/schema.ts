import { z } from 'zod';

/** Columns by name; facets are text, numbers may lie deeper (`percentile.duration: {"99": 1.2}`). */
const row = z.record(z.string(), z.unknown());

/** The answer of NerdGraph to the question in query.ts; errors come with status 200. */
export const newrelicAnswer = z.object({
  data: z.object({
    actor: z.object({
      account: z.object({
        nrql: z.object({
          results: z.array(row),
          metadata: z.object({ facets: z.array(z.string()).nullish() }).nullish(),
        }),
      }),
    }),
  }),
});
export type NewRelicAnswer = z.infer<typeof newrelicAnswer>;

export const newrelicErrors = z.object({
  errors: z
    .array(z.object({ message: z.string(), extensions: z.object({ errorClass: z.string().nullish(), errorCode: z.string().nullish() }).nullish() }))
    .min(1),
});
