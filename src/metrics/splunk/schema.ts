import { z } from 'zod';

/** What SignalFlow sends of a computation, one message after the other. Other kinds of messages are passed over. */
const signalflowMessage = z.discriminatedUnion('event', [
  z.object({ event: z.literal('control-message'), data: z.object({ event: z.string() }) }),
  z.object({
    event: z.literal('metadata'),
    data: z.object({ tsId: z.string(), properties: z.record(z.string(), z.unknown()).default({}) }),
  }),
  z.object({
    event: z.literal('data'),
    data: z.object({
      logicalTimestampMs: z.number(),
      data: z.array(z.object({ tsId: z.string(), value: z.union([z.number(), z.literal('NaN').transform(() => Number.NaN)]).nullable() })),
    }),
  }),
  z.object({
    event: z.literal('error'),
    data: z.object({
      error: z.number().nullish(),
      message: z.string().nullish(),
      errors: z.array(z.object({ message: z.string().nullish(), code: z.string().nullish() })).nullish(),
    }),
  }),
]);

/** A whole computation, or an error instead of one. */
export const signalflowAnswer = z.array(signalflowMessage);
export type SignalFlowAnswer = z.infer<typeof signalflowAnswer>;

export const signalflowError = z.object({ code: z.number().optional(), message: z.string() });
