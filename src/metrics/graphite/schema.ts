import { z } from 'zod';

/** The answer of `/render?format=json`. */
export const renderAnswer = z.array(
  z.object({
    target: z.string(),
    datapoints: z.array(z.tuple([z.union([z.number(), z.null()]), z.number()])),
    tags: z.record(z.string(), z.string()).optional(),
  }),
);
export type RenderAnswer = z.infer<typeof renderAnswer>;

/** Graphite says what is wrong in text, or as a list by parameter; a page is something else. */
export const renderError = z.union([
  z.object({ text: z.string().regex(/^\s*[^<\s]/) }),
  z.object({ errors: z.record(z.string(), z.unknown()) }),
  z.object({ message: z.string() }),
  z.object({ error: z.string() }),
]);
