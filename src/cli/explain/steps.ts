import { canarySpec, type Canary } from '../../api/index.js';
import { compilePlan, findStep, nextStepIndex, stepWords } from '../../core/plan.js';
import { statusOf } from '../canaries.js';

export interface StepView {
  /** Percent of the traffic; 100 is the promotion itself. */
  weight: number;
  /** What the step does beside the weight, in words: `weight 0 %, copies of 50 % of the requests`. */
  does?: string;
  /** Milliseconds. */
  holdMs?: number;
  approve?: boolean;
  /** Checks that must pass, where that is more than one. */
  passes?: number;
  /** Pods of the canary, where they are not as many as the stable version's. */
  replicas?: number | string;
  state: 'done' | 'current' | 'next' | 'later';
}

/** The steps of the run in progress, or of the next one, with the promotion as the last. */
export function stepsOf(canary: Canary): StepView[] {
  const spec = canarySpec.safeParse(canary.spec);
  if (!spec.success) return [];
  const { run, step, phase } = statusOf(canary);
  const plan = compilePlan(spec.data.analysis);
  const promoting =
    phase === 'Promoting' ||
    phase === 'Finalising' ||
    (run !== undefined && (run.skipAnalysis || run.promote) && phase === 'Progressing');
  // By weight, as the run itself goes on: the plan may have been edited meanwhile.
  const at = promoting ? plan.length : step === undefined ? -1 : (findStep(plan, step) ?? plan.findIndex(({ weight }) => weight >= step.weight));
  const next = promoting ? undefined : step === undefined ? 0 : (nextStepIndex(plan, step) ?? plan.length);
  const state = (index: number): StepView['state'] =>
    run === undefined ? 'later' : index === at ? 'current' : index === next ? 'next' : index < at ? 'done' : 'later';
  return [
    ...plan.map(({ weight, holdMs, approve, passes, replicas, ...extras }, index) => ({
      weight,
      ...(Object.keys(extras).length > 0 ? { does: stepWords({ weight, ...extras }) } : {}),
      holdMs,
      ...(passes > 1 ? { passes } : {}),
      ...(replicas === undefined ? {} : { replicas }),
      ...(approve ? { approve } : {}),
      state: state(index),
    })),
    { weight: 100, state: state(plan.length) },
  ];
}
