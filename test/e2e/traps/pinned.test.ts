import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ensureHelm, template } from '../../../scripts/helm.js';
import { createInformer, createKubeClient, Resources, type KubeObject, type OwnedKubeClient, type Resource } from '../../../src/kube/index.js';
import { Flux, type Item } from '../../tools/flux.js';
import { ControllerProcess } from '../controller-process.js';
import { TrapWorld } from './world.js';

const CONTROLLER = 'system:serviceaccount:sluice-system:sluice';
const groups = ['system:masters'];

let world: TrapWorld;
let flux: OwnedKubeClient;
beforeAll(async () => {
  world = await TrapWorld.start({
    users: [{ name: CONTROLLER, groups }, { name: 'flux', groups }],
    apiServerFlags: ['--feature-gates=MutatingAdmissionPolicy=true', '--runtime-config=admissionregistration.k8s.io/v1beta1=true'],
    controller: (needs, plane) => ControllerProcess.start({ ...needs, kubeconfig: plane.kubeconfigFor(CONTROLLER) }),
  });
  flux = await createKubeClient({ kubeconfig: world.plane.kubeconfigFor('flux') });
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const text = await template(await ensureHelm(), root, ['--namespace', 'sluice-system', '--set', 'overlayPolicy.enabled=true', '--show-only', 'templates/overlaypolicy.yaml']);
  const policies = parseAllDocuments(text).flatMap((document) => (document.toJS() as KubeObject | null) ?? []);
  expect(policies).toHaveLength(4);
  for (const policy of policies) {
    const [group = '', version = ''] = policy.apiVersion.split('/');
    const plural = policy.kind === 'MutatingAdmissionPolicy' ? 'mutatingadmissionpolicies' : 'mutatingadmissionpolicybindings';
    const resource: Resource = { group, version, plural, kind: policy.kind, namespaced: false };
    await world.client.create(resource, policy);
  }
});
afterAll(async () => {
  flux?.close();
  await world?.stop();
});

describe('G1: where the cluster keeps the overlays', () => {
  it('callers without a proxy never meet a version that is being analysed, whatever selector a tool applies every second, and it sees no drift', async () => {
    const app = await world.app('pinned');
    await app.adopt({ replicas: 2, canary: { analysis: { stepWeights: null, steps: [{ weight: 50, approve: true }] } } });
    const selector = { app: 'shop' };
    const of = (apiVersion: string, kind: string, spec: object): KubeObject => ({ apiVersion, kind, metadata: { name: 'shop' }, spec });
    const items: Item[] = [
      { resource: Resources.Service, manifest: of('v1', 'Service', { selector, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }) },
      { resource: Resources.PodDisruptionBudget, manifest: of('policy/v1', 'PodDisruptionBudget', { minAvailable: 1, selector: { matchLabels: selector } }) },
    ];
    const tool = new Flux(flux, 'pinned');
    await tool.reconcile(items);
    await world.until('the budget of the slot', async () => JSON.stringify((await app.get(Resources.PodDisruptionBudget, 'shop'))['spec']).includes('sluice.dev/slot'));
    // Policies are in force a moment after they were made: from then on, nothing of ours goes missing.
    await world.until('the policy', async () => (await tool.reconcile(items)).length === 0);

    await app.change();
    await app.weight(50);
    const met: string[] = [];
    const ending = new AbortController();
    const slices = createInformer(app.client, Resources.EndpointSlice, { namespace: 'pinned', labelSelector: 'kubernetes.io/service-name=shop' });
    slices.onChange((_, slice) => met.push(...((slice?.['endpoints'] ?? []) as { targetRef?: { name: string } }[]).map(({ targetRef }) => targetRef?.name ?? '')));
    slices.start(ending.signal);
    await slices.whenSynced();
    // Written over without asking what is there: by a forced apply, and by a replace of the selector.
    for (let round = 0; round < 10; round += 1) {
      await flux.patch(Resources.Service, 'pinned', 'shop', { ...items[0]?.manifest, metadata: { name: 'shop', namespace: 'pinned' } }, 'apply', { fieldManager: 'another-tool', force: true });
      await flux.patch(Resources.Service, 'pinned', 'shop', [{ op: 'replace', path: '/spec/selector', value: selector }], 'json');
      expect(await tool.reconcile(items)).toEqual([]);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    ending.abort();
    expect(met.length).toBeGreaterThan(0);
    expect(met.filter((name) => !name.startsWith('shop-blue-')), 'pods behind the Service that are not of the stable slot').toEqual([]);
    expect((await app.condition('Contested')).status).toBe('Unknown');

    // Sluice itself moves them, at the promotion and in the end.
    await app.act('approve');
    expect((await app.ended(1)).result).toBe('Succeeded');
    expect(((await app.get(Resources.Service, 'shop'))['spec'] as { selector: object }).selector).toMatchObject({ 'sluice.dev/slot': 'green' });
    await tool.reconcile([{ resource: Resources.Service, manifest: of('v1', 'Service', { selector: { ...selector, tier: 'web' }, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }) }]);
    expect(((await app.get(Resources.Service, 'shop'))['spec'] as { selector: object }).selector).toMatchObject({ tier: 'web', 'sluice.dev/slot': 'green' });
  });
});
