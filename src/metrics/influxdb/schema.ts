import { z } from 'zod';

const cell = z.union([z.number(), z.string(), z.boolean(), z.null()]);

/** The answer of `/query` of InfluxDB 1, with `epoch=ms`. */
export const influxqlAnswer = z.object({
  results: z.array(
    z.object({
      error: z.string().optional(),
      series: z
        .array(
          z.object({
            name: z.string().optional(),
            tags: z.record(z.string(), z.string()).optional(),
            columns: z.array(z.string()),
            values: z.array(z.array(cell)).default([]),
          }),
        )
        .default([]),
    }),
  ),
});
export type InfluxqlAnswer = z.infer<typeof influxqlAnswer>;

/** What went wrong, of either version; `code` is that of InfluxDB 2. */
export const influxError = z.union([z.object({ error: z.string(), code: z.string().optional() }), z.object({ message: z.string(), code: z.string().optional() })]);

/** A table of Flux: its columns by name, and its rows. */
export const fluxAnswer = z.object({ rows: z.array(z.record(z.string(), z.string())) });
export type FluxAnswer = z.infer<typeof fluxAnswer>;
