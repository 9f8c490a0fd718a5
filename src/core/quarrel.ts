import type { SlotName } from '../api/index.js';
import type { Draft } from './draft.js';
import { otherSlot } from './names.js';

/** Lines that keep a tool from writing the routes again, by the name of its field manager. */
const ADVICE: [RegExp, (name: string) => string][] = [
  [/^argocd/, (name) => `in the Argo CD Application, add to spec.ignoreDifferences {group: networking.istio.io, kind: VirtualService, name: ${name}, jsonPointers: [/spec/http]}, and RespectIgnoreDifferences=true to spec.syncPolicy.syncOptions`],
  [/^kustomize-controller/, (name) => `in Git, annotate VirtualService ${name} with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent`],
  [/^helm-controller/, (name) => `in the HelmRelease, add to spec.driftDetection.ignore {paths: [/spec/http], target: {kind: VirtualService, name: ${name}}}`],
  [/^(helm|pulumi|terraform)/i, (name) => `let that tool ignore spec.http of VirtualService ${name}, or take it out of what the tool applies`],
  [/^kubectl/, () => 'a person wrote them: change the plan of the Canary, or use sluice promote or sluice abort instead'],
];

function advice(manager: string, virtualService: string): string {
  const known = ADVICE.find(([pattern]) => pattern.test(manager));
  return known ? known[1](virtualService) : `let ${manager} leave spec.http of VirtualService ${virtualService} alone`;
}

/** What the routes gave a slot when we last looked or wrote. */
function expected(draft: Draft, canary: SlotName): number {
  return draft.status.run ? draft.status.canaryWeight : canary === draft.stableSlot ? 100 : 0;
}

/** Say who reset the weights, and how to make it stop. They are put back by whatever keeps them in force. */
export function nameForeignManager(draft: Draft): void {
  const { weights, foreignManager } = draft.observed.routes;
  const { adoptedAt, canary, run } = draft.status;
  if (foreignManager === undefined || !adoptedAt || run?.ending) return;
  const slot = canary?.slot ?? otherSlot(draft.stableSlot);
  if (weights?.[slot] === expected(draft, slot)) return;
  const found = weights ? `${weights[slot]} % for slot ${slot} instead of ${expected(draft, slot)} %` : 'destinations other than the slots';
  const virtualService = draft.spec.service.virtualService?.name ?? draft.spec.service.name ?? draft.spec.targetRef.name;
  draft.event('Warning', 'OverlayRestored', `${draft.observed.name}: ${foreignManager} wrote ${found} into VirtualService ${virtualService}; the weights are put back. To end this: ${advice(foreignManager, virtualService)}`);
}
