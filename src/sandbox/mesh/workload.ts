import type { Source, SourceSpec, Workload } from './types.js';

const UNKNOWN = 'unknown';

/** Istio's names for a workload: canonical service and revision fall back over labels in the order of its proxy injector. */
export const describeWorkload = (workload: string, namespace: string, labels: Record<string, string>): Workload => ({
  workload,
  namespace,
  app: labels['app'] ?? UNKNOWN,
  version: labels['version'] ?? UNKNOWN,
  canonicalService: labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? workload,
  canonicalRevision:
    labels['service.istio.io/canonical-revision'] ?? labels['app.kubernetes.io/version'] ?? labels['version'] ?? 'latest',
});

/** Fill in what a source left out. */
export const describeSource = (spec: SourceSpec): Source => {
  const labels = { ...spec.labels };
  if (spec.app !== undefined) labels['app'] ??= spec.app;
  if (spec.version !== undefined) labels['version'] ??= spec.version;
  return { ...describeWorkload(spec.workload, spec.namespace, labels), labels, gateway: spec.gateway ?? 'mesh' };
};

export const UNKNOWN_WORKLOAD: Workload = {
  workload: UNKNOWN,
  namespace: UNKNOWN,
  app: UNKNOWN,
  version: UNKNOWN,
  canonicalService: UNKNOWN,
  canonicalRevision: 'latest',
};
