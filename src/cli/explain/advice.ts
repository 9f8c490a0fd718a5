import type { CanaryStatus } from '../../api/index.js';
import { Labels } from '../../api/index.js';
import { conditionOf, namespaceFlag } from '../canaries.js';

/** A command that helps here, and what for. */
export interface Advice {
  command: string;
  why: string;
}

/** Reasons that the pods themselves explain best. */
const POD_REASONS = new Set(['StartingPods', 'ScalingUp', 'EmptyingSlot', 'PodsFailing', 'StableNotReady', 'Adopting']);

/** What a person can do now, in the order of what is most likely wanted. */
export function adviceFor(name: string, namespace: string, status: CanaryStatus, reason: string | undefined): Advice[] {
  const flag = namespaceFlag(namespace);
  const say = (verb: string, why: string): Advice => ({ command: `sluice ${verb} ${name}${flag}`, why });
  const { run, canary } = status;
  const advice: Advice[] = [];
  if (reason === 'WaitingForApproval') advice.push(say('approve', 'let the release go on'));
  if (run?.held) advice.push(say('resume', 'let the release go on'));
  if (reason === 'Quarantined') advice.push(say('retry', 'release the same revision again; or commit a change'));
  if (reason === 'Suspended')
    advice.push({
      command: `kubectl patch canary ${name}${flag} --type merge -p '{"spec":{"suspend":false}}'`,
      why: 'let releases go on; where Git keeps the Canary, change it there',
    });
  if (reason && POD_REASONS.has(reason))
    advice.push(...podAdvice(name, flag, reason === 'StableNotReady' || !canary ? status.stable?.slot : canary.slot));
  if (run && !run.ending) {
    if (!run.held) advice.push(say('hold', 'keep the weight as it is'));
    if (status.phase !== 'Promoting' && status.phase !== 'Finalising')
      advice.push(say('promote', 'send all traffic to the canary now, unjudged'));
    advice.push(say('abort', 'take the canary back'));
  }
  const stalled = conditionOf(status, 'Stalled');
  if (stalled?.status === 'True')
    advice.push({ command: `kubectl describe canary ${name}${flag}`, why: 'see the events beside the message above' });
  if (run) advice.push({ command: `sluice wait ${name}${flag}`, why: 'follow this release to its end' });
  return advice;
}

function podAdvice(name: string, flag: string, slot: string | undefined): Advice[] {
  const selector = `-l ${Labels.canary}=${name}${slot ? `,${Labels.slot}=${slot}` : ''}`;
  return [
    { command: `kubectl describe pods${flag} ${selector}`, why: 'see why pods are not ready' },
    { command: `kubectl logs${flag} ${selector} --tail=50`, why: 'see what they say' },
  ];
}
