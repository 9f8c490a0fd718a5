import { z } from 'zod';

const scope = z.looseObject({ scope: z.string().min(1), start: z.string().optional(), end: z.string().optional(), step: z.number().positive().optional() });

/** The query: the scopes of a canary analysis by name, as Kayenta's API has them. What is not named here is passed on as it is. */
export const kayentaScopes = z.record(z.string().min(1), z.looseObject({ controlScope: scope, experimentScope: scope })).refine((scopes) => Object.keys(scopes).length > 0, 'at least one scope is needed');
export type KayentaScopes = z.infer<typeof kayentaScopes>;

export const configList = z.array(z.object({ id: z.string().min(1), name: z.string() }));
export type ConfigList = z.infer<typeof configList>;

export const started = z.object({ canaryExecutionId: z.string().min(1) });
export type Started = z.infer<typeof started>;

/** State and result of a canary analysis. */
export const execution = z.object({
  complete: z.boolean(),
  status: z.string().nullish(),
  exception: z.object({ details: z.object({ errors: z.array(z.string()).nullish() }).nullish() }).nullish(),
  result: z
    .object({
      judgeResult: z
        .object({
          score: z
            .object({
              score: z.union([z.number(), z.literal('NaN').transform(() => Number.NaN)]),
              classification: z.string().nullish(),
              classificationReason: z.string().nullish(),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
});
export type Execution = z.infer<typeof execution>;

/** How Spring tells of an error. */
export const kayentaError = z.object({ message: z.string().nullish(), error: z.string().nullish(), status: z.union([z.number(), z.string()]).nullish() }).refine((body) => Boolean(body.message ?? body.error));
