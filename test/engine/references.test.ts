import { expect, it } from 'vitest';
import { canarySpec, type Canary } from '../../src/api/index.js';
import { referenceProblems, type EvidenceOptions } from '../../src/engine/evidence.js';

/** What is wrong with a Canary of namespace `shop` whose second step has faults in what it asks of this host. */
function problemsOf(host: string, allowCrossNamespace = false): string[] {
  const spec = canarySpec.parse({
    targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'reviews' },
    service: { port: 9080 },
    analysis: { steps: [{ weight: 10 }, { weight: 20, fault: { host, abort: { httpStatus: 503 } } }], metrics: [] },
  });
  const canary = {
    apiVersion: 'sluice.dev/v1beta1',
    kind: 'Canary',
    metadata: { name: 'reviews', namespace: 'shop' },
    spec,
  } as Canary;
  // Without metrics of one's own nothing is looked up.
  return referenceProblems({ allowCrossNamespace } as EvidenceOptions, canary).map(
    ({ reason, message }) => `${reason}: ${message}`,
  );
}

it.each([
  'ratings',
  'ratings.shop',
  'ratings.shop.svc',
  'ratings.shop.svc.cluster.local',
  'api.example.com',
  'www.api.example.com',
])('faults in what is asked of %s are this namespace’s own affair', (host) => {
  expect(problemsOf(host)).toEqual([]);
});

it.each(['ratings.billing', 'ratings.billing.svc', 'ratings.billing.svc.cluster.local'])(
  'faults in what is asked of %s are refused by name, unless other namespaces are allowed',
  (host) => {
    expect(problemsOf(host)).toEqual([
      `InvalidSpec: Canary reviews: spec.analysis.steps[1].fault.host ${host} is in namespace billing; name a Service in shop, or start the controller with --allow-cross-namespace`,
    ]);
    expect(problemsOf(host, true)).toEqual([]);
  },
);
