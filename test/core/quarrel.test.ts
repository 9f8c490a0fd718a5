import { expect } from 'vitest';
import { blue, type Situation } from './builders.js';
import { sentences } from './sentences.js';

/** Another field manager wrote the weights, long after we did. */
const reset = (canary: Situation, weightOfBlue: number, foreignManager: string): Situation => canary.later(6).sees({ routes: { weights: blue(weightOfBlue), consistent: true, foreignManager } }).decide();

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
    reset(canary.running(20, 2), 100, 'helm');
    expect(canary.status.nextStepTime).toBe('2030-01-01T00:00:18.000Z');
  },
  'a tool that writes what it had just read, a moment too late, contests nothing; the weights are put back all the same': (canary) => {
    canary.running(20, 10).decide().weights(50).decide();
    expect(canary.status.run?.weights).toEqual([20, 50]);
    canary.later(2).sees({ routes: { weights: blue(80), consistent: true, foreignManager: 'argocd-controller' } }).decide();
    expect(canary.written).toEqual(blue(50));
    expect(canary.said.join()).not.toContain('OverlayRestored');
    expect(canary.status.contested).toBeUndefined();
  },
  'weights that were never ours are somebody\'s wish, however soon they come': (canary) => {
    canary.running(20, 10).decide().weights(50).decide();
    canary.later(2).sees({ routes: { weights: blue(65), consistent: true, foreignManager: 'argocd-controller' } }).decide();
    expect(canary.said.join()).toContain('argocd-controller wrote 35 % for slot green instead of 50 %');
  },
  'and so are destinations other than the slots': (canary) => {
    canary.running(20).sees({ routes: { consistent: false, foreignManager: 'argocd-controller' } }).decide();
    expect(canary.said.join()).toContain('argocd-controller wrote destinations other than the slots');
  },
  'weights that everybody set as planned are no quarrel': (canary) => {
    canary.running(20, 10).sees({ routes: { weights: blue(80), consistent: true, foreignManager: 'kubectl-edit' } }).decide();
    expect(canary.written).toEqual(blue(50));
    expect(canary.said).toEqual(['WeightSet: reviews weight 50 %, step 2 of 2']);
  },
});

const FIELDS = {
  service: { kind: 'Service', name: 'reviews', field: '/spec/selector' },
  deployment: { kind: 'Deployment', name: 'reviews', field: '/spec/replicas' },
  budget: { kind: 'PodDisruptionBudget', name: 'reviews', field: '/spec/selector' },
  daemonSet: { kind: 'DaemonSet', name: 'reviews', field: '/spec/template/spec/nodeSelector' },
  rule: { kind: 'DestinationRule', name: 'reviews', field: '/spec/subsets' },
  autoscaler: { kind: 'HorizontalPodAutoscaler', name: 'reviews', field: '/spec/scaleTargetRef' },
};
/** Another field manager wrote over overlays. */
const resets = (canary: Situation, manager: string, ...fields: (keyof typeof FIELDS)[]): Situation => canary.sees({ resets: fields.map((field) => ({ ...FIELDS[field], manager })) }).decide();
const contested = (canary: Situation): string => canary.condition('Contested').message;

sentences('somebody else sets a field that an overlay lies on', {
  'the event names the manager, the field and the line that ends it': (canary) => {
    expect(resets(canary, 'argocd-controller', 'service').said).toEqual([
      'OverlayRestored: reviews: argocd-controller reset spec.selector of Service reviews; it is put back. To end this: in the Argo CD Application, add to spec.ignoreDifferences {kind: Service, name: reviews, jsonPointers: [/spec/selector]}, and RespectIgnoreDifferences=true to spec.syncPolicy.syncOptions',
    ]);
  },
  'the condition tells all that one tool resets in one sentence': (canary) => {
    resets(canary, 'argocd-controller', 'service', 'deployment', 'budget', 'autoscaler');
    expect(canary.condition('Contested')).toMatchObject({ status: 'True', reason: 'OverlayRestored' });
    expect(contested(canary)).toBe(
      'argocd-controller resets spec.replicas of Deployment reviews, spec.scaleTargetRef of HorizontalPodAutoscaler reviews, spec.selector of PodDisruptionBudget reviews, spec.selector of Service reviews. To end this: in the Argo CD Application, add to spec.ignoreDifferences {group: apps, kind: Deployment, name: reviews, jsonPointers: [/spec/replicas]}, {group: autoscaling, kind: HorizontalPodAutoscaler, name: reviews, jsonPointers: [/spec/scaleTargetRef]}, {group: policy, kind: PodDisruptionBudget, name: reviews, jsonPointers: [/spec/selector]}, {kind: Service, name: reviews, jsonPointers: [/spec/selector]}, and RespectIgnoreDifferences=true to spec.syncPolicy.syncOptions',
    );
  },
  'Flux gets its own line, and the one for older versions': (canary) => {
    resets(canary, 'kustomize-controller', 'service', 'deployment');
    expect(contested(canary)).toContain('add to spec.ignore {paths: [/spec/replicas], target: {kind: Deployment, name: reviews}}, {paths: [/spec/selector], target: {kind: Service, name: reviews}}');
    expect(contested(canary)).toContain('before Flux 2.9, in Git leave spec.replicas out of Deployment reviews and annotate Service reviews with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent');
  },
  'a person who scales the target is told of the Canary': (canary) => {
    expect(resets(canary, 'kubectl', 'deployment').said.join()).toContain('kubectl scale canary/reviews --replicas=N');
  },
  'a DaemonSet is never to be applied once only: no new version of it would come': (canary) => {
    expect(resets(canary, 'kustomize-controller', 'daemonSet').said.join()).toMatch(/\{paths: \[\/spec\/template\/spec\/nodeSelector\].*before Flux 2\.9, in Git change nothing for DaemonSet reviews/);
    expect(contested(canary)).not.toContain('IfNotPresent');
  },
  'subsets are a field of a DestinationRule': (canary) => {
    resets(canary, 'argocd-controller', 'rule');
    expect(contested(canary)).toContain('argocd-controller resets spec.subsets of DestinationRule reviews. To end this:');
    expect(contested(canary)).toContain('{group: networking.istio.io, kind: DestinationRule, name: reviews, jsonPointers: [/spec/subsets]}');
    expect(resets(canary, 'kustomize-controller', 'rule').said.join()).toContain('{paths: [/spec/subsets], target: {kind: DestinationRule, name: reviews}}');
    expect(resets(canary, 'kubectl-edit', 'rule').said.join()).toContain('leave spec.subsets of DestinationRule reviews as it is while Canary reviews exists');
  },
  'whoever hides is somebody': (canary) => {
    canary.sees({ resets: [FIELDS.budget] }).decide();
    expect(contested(canary)).toContain('somebody resets spec.selector of PodDisruptionBudget reviews');
  },
  'routes are in the condition, too': (canary) => {
    reset(canary.running(20), 100, 'kustomize-controller');
    expect(contested(canary)).toContain('kustomize-controller resets spec.http of VirtualService reviews');
  },
  'and go by the list that was written': (canary) => {
    canary.running(20).later(6).sees({ routes: { weights: blue(100), consistent: true, foreignManager: 'argocd-controller', foreignField: '/spec/tcp' } }).decide();
    expect(contested(canary)).toContain('argocd-controller resets spec.tcp of VirtualService reviews');
    expect(contested(canary)).toContain('jsonPointers: [/spec/tcp]');
  },
  'a reset every second changes the status once in five minutes': (canary) => {
    resets(canary, 'kustomize-controller', 'service');
    const before = JSON.stringify(canary.status);
    expect(JSON.stringify(canary.later(1).decide().status)).toBe(before);
    expect(JSON.stringify(canary.later(298).decide().status)).toBe(before);
    expect(JSON.stringify(canary.later(1).decide().status)).not.toBe(before);
  },
  'an hour without one ends it': (canary) => {
    resets(canary, 'kustomize-controller', 'service').sees({ resets: [] }).decide();
    expect(canary.condition('Contested').status).toBe('True');
    expect(canary.wakesIn).toBe(3600);
    expect(canary.later(3600).decide().condition('Contested')).toMatchObject({ status: 'False', reason: 'Configured' });
    expect(canary.status.contested).toBeUndefined();
  },
  'nobody, no condition': (canary) => {
    expect(() => canary.decide().condition('Contested')).toThrow('there is no condition');
  },
});
