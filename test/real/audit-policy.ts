import { stringify } from 'yaml';

/** Groups whose writes are kept in full: what Sluice and its peers write, and what end-to-end tests assert on. */
const GROUPS_OF_INTEREST = [
  'sluice.dev',
  'flagger.app',
  'argoproj.io',
  'networking.istio.io',
  'gateway.networking.k8s.io',
  'apps',
  'autoscaling',
  'policy',
];

/** An `audit.k8s.io/v1` policy: writes of interest with their bodies, everything else by its metadata, each request once. */
export function auditPolicy(): string {
  return stringify({
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    omitManagedFields: true,
    rules: [
      { level: 'None', nonResourceURLs: ['/healthz*', '/livez*', '/readyz*'] },
      {
        level: 'RequestResponse',
        verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'],
        resources: [
          ...GROUPS_OF_INTEREST.map((group) => ({ group })),
          { group: '', resources: ['services', 'services/status', 'configmaps'] },
        ],
      },
      { level: 'Metadata' },
    ],
  });
}
