import { template } from './helm.js';

/** Path of the plain manifests from the root of the checkout. */
export const MANIFESTS = 'charts/manifests/sluice.yaml';

const HEADER = `# Generated from charts/sluice by \`npx tsx scripts/manifests.ts\`. Change it there.
# Install with: kubectl apply --server-side -f ${MANIFESTS}
---
apiVersion: v1
kind: Namespace
metadata:
  name: sluice-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
`;

/** The chart with its default values, its namespace and its CustomResourceDefinitions, without what only Helm understands. */
export async function plainManifests(helm: string, root: string): Promise<string> {
  const rendered = await template(helm, root, ['--include-crds', '--no-hooks']);
  const lines = rendered.split('\n').filter((line) => !/^\s*(helm\.sh\/chart|app\.kubernetes\.io\/managed-by): /.test(line) && !/^# (Source|Generated)/.test(line));
  return `${HEADER}${lines.join('\n').trimEnd()}\n`;
}
