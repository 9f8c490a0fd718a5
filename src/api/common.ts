import { z } from 'zod';

export const GROUP = 'sluice.dev';
export const VERSION = 'v1beta1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** A CEL rule of `x-kubernetes-validations`; the API server evaluates it at admission. */
export interface CelRule {
  rule: string;
  message: string;
  fieldPath?: string;
}

/** Attach CEL rules to a schema; they appear in the generated CRD. */
export const withRules = <T extends z.ZodType>(schema: T, rules: CelRule[]): T =>
  schema.meta({ ...schema.meta(), 'x-kubernetes-validations': rules });

/** A Kubernetes object name (DNS-1123 subdomain, at most 253 characters). */
export const objectName = () =>
  z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

export const DURATION_PATTERN = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;

/** A duration such as `30s`, `1m30s` or `500ms`; the pattern is the one Flux and Gateway API use. */
export const duration = () => z.string().max(32).regex(DURATION_PATTERN);

const UNIT_MS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/**
 * Milliseconds of a duration string.
 * @throws RangeError when the string is not a duration; the CRD schema refuses such strings at admission.
 */
export function durationMs(text: string): number {
  if (!DURATION_PATTERN.test(text)) throw new RangeError(`"${text}" is not a duration such as 30s, 1m30s or 500ms`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g)) total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return total;
}

/** An instant as RFC 3339 text, the way Kubernetes writes `metav1.Time` (milliseconds kept: steps are shorter than a second in tests). */
export const instant = () => z.string().max(40).meta({ format: 'date-time' });

/** A value that Sluice passes on without reading it; unknown fields of newer versions survive. */
export const opaqueObject = () =>
  z.record(z.string(), z.unknown()).meta({ 'x-kubernetes-preserve-unknown-fields': true });

export const localReference = () => z.object({ name: objectName().describe('Name of the object, in the same namespace.') });

export const condition = z.object({
  type: z.string().max(316).describe('Type of the condition.'),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().max(1024).describe('A documented constant, in CamelCase.'),
  message: z.string().max(4096).describe('For people: what is so, and what to do.'),
  lastTransitionTime: instant().describe('When `status` last changed.'),
  observedGeneration: z.int().optional(),
});
export type Condition = z.infer<typeof condition>;

export const conditions = () =>
  z
    .array(condition)
    .max(16)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });
