import { expect } from 'vitest';
import { blue, type Situation } from './builders.js';
import { sentences } from './sentences.js';

/** Another field manager wrote the weights. */
const reset = (canary: Situation, weightOfBlue: number, foreignManager: string): Situation => canary.sees({ routes: { weights: blue(weightOfBlue), consistent: true, foreignManager } }).decide();

sentences('somebody else sets the weights', {
  'they are put back in the same decision, and the field manager is named': (canary) => {
    reset(canary.running(20), 100, 'terraform');
    expect(canary.written).toEqual(blue(80));
    expect(canary.said).toEqual([
      'OverlayRestored: reviews: terraform wrote 0 % for slot green instead of 20 % into VirtualService reviews; the weights are put back. To end this: let that tool ignore spec.http of VirtualService reviews, or take it out of what the tool applies',
    ]);
  },
  'Argo CD is told to ignore differences': (canary) => {
    expect(reset(canary.running(20), 100, 'argocd-controller').said.join()).toContain('spec.ignoreDifferences {group: networking.istio.io, kind: VirtualService, name: reviews, jsonPointers: [/spec/http]}');
  },
  'Flux is told to write it once only': (canary) => {
    expect(reset(canary.running(20), 100, 'kustomize-controller').said.join()).toContain('kustomize.toolkit.fluxcd.io/ssa: IfNotPresent');
  },
  'helm-controller is told to leave drift alone': (canary) => {
    expect(reset(canary.running(20), 100, 'helm-controller').said.join()).toContain('spec.driftDetection.ignore');
  },
  'a person is told what to use instead': (canary) => {
    expect(reset(canary.running(20), 0, 'kubectl-edit').said.join()).toContain('sluice promote or sluice abort');
  },
  'an unknown tool is named all the same': (canary) => {
    expect(reset(canary.running(20), 100, 'acme-sync').said.join()).toContain('let acme-sync leave spec.http of VirtualService reviews alone');
  },
  'the VirtualService that I named is the one that is named': (canary) => {
    canary.with({ service: { virtualService: { name: 'shop', routes: ['stars'] } } });
    expect(reset(canary.running(20), 100, 'kustomize-controller').said.join()).toContain('annotate VirtualService shop with');
  },
  'without a run, too': (canary) => {
    reset(canary, 30, 'argocd-controller');
    expect(canary.written).toEqual(blue(100));
    expect(canary.said.join()).toContain('argocd-controller wrote 70 % for slot green instead of 0 %');
  },
  'routes that lead past the slots are put back': (canary) => {
    canary.sees({ routes: { consistent: false, foreignManager: 'helm' } }).decide();
    expect(canary.written).toEqual(blue(100));
    expect(canary.said.join()).toContain('helm wrote destinations other than the slots');
  },
  'an edit of mine that leaves the weights alone is nobody’s business': (canary) => {
    expect(reset(canary.running(20), 80, 'kubectl-edit').said).toEqual([]);
    expect(canary.written).toBeUndefined();
  },
  'the clock of the step starts again: it is never shorter than its hold': (canary) => {
    reset(canary.running(20, 8), 100, 'helm');
    expect(canary.status.nextStepTime).toBe('2030-01-01T00:00:18.000Z');
  },
  'weights that everybody set as planned are no quarrel': (canary) => {
    canary.running(20, 10).sees({ routes: { weights: blue(80), consistent: true, foreignManager: 'kubectl-edit' } }).decide();
    expect(canary.written).toEqual(blue(50));
    expect(canary.said).toEqual(['WeightSet: reviews weight 50 %, step 2 of 2']);
  },
});
