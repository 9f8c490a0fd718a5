/** `error`: it cannot work as it is written. `warning`: it works, and probably not as was meant. `note`: it could not be told. */
export const SEVERITIES = ['error', 'warning', 'note'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Something about a manifest that its author should know. */
export interface Finding {
  severity: Severity;
  /** Names the rule that found it. */
  rule: string;
  file: string;
  line: number;
  /** `Canary shop/reviews`. */
  object?: string;
  /** `spec.analysis.metrics[0].thresholdRange.min`. */
  field?: string;
  /** What is wrong, what was expected and what to do. */
  message: string;
}
