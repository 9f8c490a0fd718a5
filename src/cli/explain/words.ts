import type { Effect, Needs } from '../../core/observation.js';
import { stepWords } from '../../core/plan.js';
import { duration, plural } from '../format.js';

/** What the next check asks for, one line each. */
export function needWords({ metrics, windows, hooks }: Needs): string[] {
  const compared = (windows ?? []).filter(({ of }) => of === 'run');
  return [
    ...compared.map(({ metric, from, to }) => `canary and stable by ${metric} over the last ${duration(to - from)}`),
    ...metrics.map(({ metric, from, to }) => `${metric} over the last ${duration(to - from)}`),
    ...hooks.map(({ name, type }) => `webhook ${name} (${type})`),
  ];
}

/** What an effect does, in words; nothing for what every decision makes sure of anyway. */
export function effectWords(effect: Effect): string[] {
  return effect.type === 'createSlotServices' ? [] : [words(effect)];
}

function words(effect: Exclude<Effect, { type: 'createSlotServices' }>): string {
  switch (effect.type) {
    case 'setWeights':
      return `set the weights: blue ${effect.weights.blue} %, green ${effect.weights.green} %${effect.extras ? `; ${stepWords({ ...effect.extras, weight: effect.weights[effect.extras.slot] })}` : ''}`;
    case 'fillSlot':
      return `fill slot ${effect.slot} with revision ${effect.revision}, ${plural(effect.replicas, 'pod')}`;
    case 'scaleSlot':
      return `scale slot ${effect.slot} to ${plural(effect.replicas, 'pod')}: ${effect.why}`;
    case 'restartSlot':
      return `replace the pods of slot ${effect.slot}, as kubectl rollout restart asked at ${effect.at}`;
    case 'selectService':
      return `lead callers outside the mesh to slot ${effect.slots.join(' and ')}`;
    case 'finishAction':
      return `answer CanaryAction ${effect.name}: ${effect.result}: ${effect.message}`;
    case 'keepRevision':
      return `keep revision ${effect.revision}`;
    case 'seedReplicas':
      return `note that ${plural(effect.replicas, 'pod')} are wanted`;
    case 'restoreTarget':
      return `give the target its ${plural(effect.replicas, 'pod')} back`;
    default:
      return OTHER_EFFECTS[effect.type];
  }
}

const OTHER_EFFECTS = {
  addFinalizer: 'put the finalizer on the Canary',
  overlayTarget: 'keep the target itself at no pods',
  attach: 'lead budgets and autoscalers to where the pods are',
  prepareRoutes: 'give the DestinationRule its subsets before a route names them',
  releaseRoutes: 'give the routes back',
  markTarget: 'mark the pods of the target itself',
  selectTarget: 'lead callers to the pods of the target itself',
  unmarkTarget: 'take the marks off the pods of the target',
  releaseServices: 'give the Services back',
  deleteSlots: 'delete both slots',
  deleteControl: 'delete the Services of the control arm, which nobody wants any more',
  removeFinalizer: 'take the finalizer off the Canary',
  pruneRevisions: 'delete revisions beyond the history',
} as const;
