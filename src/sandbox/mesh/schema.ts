import { z } from 'zod';

/** The parts of Kubernetes and Istio objects that a mesh reads. Unknown fields are allowed and ignored. */

const UNIT_MS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, ns: 0.000001 };

/** Go's duration syntax, as Istio's fields take it (`1.5s`, `1m30s`); the value is in milliseconds. */
const duration = z.string().transform((text, context) => {
  if (!/^([0-9]+(\.[0-9]+)?(h|ms|m|s|us|ns))+$/.test(text)) {
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not a duration such as "1.5s" or "200ms"` });
    return z.NEVER;
  }
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(h|ms|m|s|us|ns)/g)) ms += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return ms;
});

const strings = z.record(z.string(), z.string());
const labels = strings.nullish().transform((value) => value ?? {});

/** A pattern that cannot be compiled would make the real proxy refuse the whole configuration. */
const pattern = z
  .string()
  .refine((text) => isPattern(text), {
    message: 'is not a regular expression of RE2, which has neither lookaround nor back references',
  });

/** What JavaScript knows and RE2 does not: looking around, and back references. */
const NOT_RE2 = /\(\?(?:=|!|<=|<!)|\\[1-9]/;

const isPattern = (text: string): boolean => {
  if (NOT_RE2.test(text)) return false;
  try {
    toRegExp(text, false);
    return true;
  } catch {
    return false;
  }
};

/** RE2 text as a JavaScript expression for whole strings. @throws SyntaxError for what is no expression. */
export const toRegExp = (text: string, ignoreCase: boolean): RegExp => {
  const inline = text.startsWith('(?i)');
  const body = text.replace(/^\(\?i\)/, '').replaceAll('(?P<', '(?<');
  return new RegExp(`^(?:${body})$`, ignoreCase || inline ? 'i' : '');
};

const stringMatch = z.object({ exact: z.string().optional(), prefix: z.string().optional(), regex: pattern.optional() });

const port = z.number().int().min(1).max(65_535);
const percent = z.number().min(0).max(100);
const percentage = z.object({ value: percent.optional() });
const httpStatus = z.number().int().min(200).max(599);

const headerOperations = z.object({ set: strings.optional(), add: strings.optional(), remove: z.array(z.string()).optional() });
const headerRules = z.object({ request: headerOperations.optional(), response: headerOperations.optional() });

const destination = z.object({
  host: z.string().min(1),
  subset: z.string().optional(),
  port: z.object({ number: port.optional() }).optional(),
});

const match = z.object({
  name: z.string().optional(),
  uri: stringMatch.optional(),
  ignoreUriCase: z.boolean().optional(),
  scheme: stringMatch.optional(),
  method: stringMatch.optional(),
  authority: stringMatch.optional(),
  headers: z.record(z.string(), stringMatch).optional(),
  withoutHeaders: z.record(z.string(), stringMatch).optional(),
  queryParams: z.record(z.string(), stringMatch).optional(),
  port: port.optional(),
  sourceLabels: strings.optional(),
  sourceNamespace: z.string().optional(),
  gateways: z.array(z.string()).optional(),
});

const httpRoute = z.object({
  name: z.string().optional(),
  match: z.array(match).optional(),
  route: z
    .array(z.object({ destination, weight: z.number().int().min(0).optional(), headers: headerRules.optional() }))
    .optional(),
  redirect: z
    .object({
      uri: z.string().optional(),
      authority: z.string().optional(),
      scheme: z.string().optional(),
      port: port.optional(),
      redirectCode: httpStatus.optional(),
    })
    .optional(),
  directResponse: z
    .object({ status: httpStatus, body: z.object({ string: z.string().optional(), bytes: z.string().optional() }).optional() })
    .optional(),
  delegate: z.object({ name: z.string().min(1), namespace: z.string().optional() }).optional(),
  rewrite: z
    .object({
      uri: z.string().optional(),
      authority: z.string().optional(),
      uriRegexRewrite: z.object({ match: pattern, rewrite: z.string() }).optional(),
    })
    .optional(),
  timeout: duration.optional(),
  retries: z
    .object({ attempts: z.number().int().min(0).optional(), perTryTimeout: duration.optional(), retryOn: z.string().optional() })
    .optional(),
  fault: z
    .object({
      delay: z.object({ percentage: percentage.optional(), percent: percent.optional(), fixedDelay: duration }).optional(),
      abort: z.object({ percentage: percentage.optional(), httpStatus: httpStatus.optional() }).optional(),
    })
    .optional(),
  mirror: destination.optional(),
  mirrorPercentage: percentage.optional(),
  mirror_percent: percent.optional(),
  mirrors: z.array(z.object({ destination, percentage: percentage.optional() })).optional(),
  headers: headerRules.optional(),
});

const metadata = z.object({
  name: z.string().min(1),
  namespace: z.string().min(1),
  creationTimestamp: z.string().optional(),
  labels,
  annotations: labels,
});

export const virtualServiceSchema = z.object({
  metadata,
  spec: z.object({
    hosts: z.array(z.string().min(1)).optional(),
    gateways: z.array(z.string()).optional(),
    exportTo: z.array(z.string()).optional(),
    http: z.array(httpRoute).optional(),
  }),
});

export const destinationRuleSchema = z.object({
  metadata,
  spec: z.object({
    host: z.string().min(1),
    exportTo: z.array(z.string()).optional(),
    workloadSelector: z.unknown().optional(),
    trafficPolicy: z
      .object({
        loadBalancer: z.object({ simple: z.string().optional() }).optional(),
        connectionPool: z.object({ tcp: z.object({ connectTimeout: duration.optional() }).optional() }).optional(),
      })
      .optional(),
    subsets: z.array(z.object({ name: z.string().min(1), labels: strings.optional() })).optional(),
  }),
});

export const serviceSchema = z.object({
  metadata,
  spec: z.object({
    type: z.string().optional(),
    ports: z
      .array(z.object({ name: z.string().optional(), port, protocol: z.string().optional(), appProtocol: z.string().optional() }))
      .nullish()
      .transform((value) => value ?? []),
  }),
});

export const endpointSliceSchema = z.object({
  metadata,
  ports: z
    .array(z.object({ name: z.string().nullish(), port: port.nullish() }))
    .nullish()
    .transform((value) => value ?? []),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()).min(1),
        conditions: z.object({ ready: z.boolean().nullish() }).nullish(),
        targetRef: z
          .object({ kind: z.string().optional(), name: z.string().optional(), namespace: z.string().optional() })
          .nullish(),
      }),
    )
    .nullish()
    .transform((value) => value ?? []),
});

export const podSchema = z.object({
  metadata: metadata.extend({
    ownerReferences: z.array(z.object({ kind: z.string(), name: z.string(), controller: z.boolean().optional() })).nullish(),
  }),
  status: z.object({ podIP: z.string().nullish() }).nullish(),
});

export type VirtualService = z.infer<typeof virtualServiceSchema>;
export type HttpRoute = z.infer<typeof httpRoute>;
export type HttpMatch = z.infer<typeof match>;
export type Destination = z.infer<typeof destination>;
export type HeaderRulesInput = z.infer<typeof headerRules>;
export type StringMatchInput = z.infer<typeof stringMatch>;
export type DestinationRule = z.infer<typeof destinationRuleSchema>;
export type Service = z.infer<typeof serviceSchema>;
export type EndpointSlice = z.infer<typeof endpointSliceSchema>;
export type Pod = z.infer<typeof podSchema>;
