import type { World } from './harness.js';
import { Resources, type KubeObject, type Resource } from '../../src/kube/index.js';

const admission = (plural: string, kind: string): Resource => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced: false,
});
const Policy = admission('validatingadmissionpolicies', 'ValidatingAdmissionPolicy');
const Binding = admission('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding');
const NAME = 'closed.e2e.invalid';
const apiVersion = 'admissionregistration.k8s.io/v1';

/** From its return on, the API server refuses every change of a VirtualService by the user; what it returns ends that. */
export async function refuseRoutes(world: World): Promise<() => Promise<void>> {
  const { client } = world.plane;
  const resourceRules = [
    {
      apiGroups: ['networking.istio.io'],
      apiVersions: ['*'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      resources: ['virtualservices'],
    },
  ];
  const policy: KubeObject = {
    apiVersion,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: NAME },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: { resourceRules },
      validations: [{ expression: 'false', message: 'routes are closed for maintenance' }],
    },
  };
  const binding: KubeObject = {
    apiVersion,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: NAME },
    spec: { policyName: NAME, validationActions: ['Deny'] },
  };
  await client.create(Policy, policy);
  await client.create(Binding, binding);
  await world.until('the policy to be in force', () => refused(world));
  return async () => {
    await client.delete(Binding, undefined, NAME);
    await client.delete(Policy, undefined, NAME);
    await world.until('the policy to be gone', async () => !(await refused(world)));
  };
}

/** Asked without doing it. */
async function refused(world: World): Promise<boolean> {
  const change = { metadata: { annotations: { 'e2e.invalid/asked': String(Date.now()) } } };
  return world.plane.client.patch(Resources.VirtualService, 'default', 'reviews', change, 'merge', { dryRun: true }).then(
    () => false,
    (error: unknown) => String(error).includes('closed for maintenance'),
  );
}
