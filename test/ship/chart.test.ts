import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { Command } from 'commander';
import { parse, parseAllDocuments } from 'yaml';
import { describe, expect, it } from 'vitest';
import { findHelm, template } from '../../scripts/helm.js';
import { generatedFiles } from '../../scripts/generated.js';
import { MANIFESTS, plainManifests } from '../../scripts/plain.js';
import { createCache } from '../../src/engine/cache.js';
import { registerController } from '../../src/cli/commands/controller.js';
import { registerUninstall } from '../../src/cli/commands/uninstall.js';
import type { Cli } from '../../src/cli/io.js';
import type { Informer, KubeClient, KubeObject } from '../../src/kube/index.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const chart = (file: string): string => read(path.join('charts/sluice', file));

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

/** Long flags of a command, negated forms included. */
function flagsOf(register: (program: Command, cli: Cli) => void, name: string): Set<string> {
  const program = new Command();
  // Registration reads neither; only a command that runs would.
  register(program, { io: undefined as unknown as Cli['io'], exit: () => {} });
  const command = program.commands.find((item) => item.name() === name);
  return new Set(command?.options.flatMap((option) => option.long ?? []));
}

const flagsIn = (text: string): string[] => [...text.matchAll(/^\s*- (--[a-z-]+)/gm)].map((match) => match[1] ?? '');

describe('chart', () => {
  it('passes only flags that sluice controller has', () => {
    const used = flagsIn(chart('templates/deployment.yaml'));
    expect(used.length).toBeGreaterThanOrEqual(12);
    const known = flagsOf(registerController, 'controller');
    for (const flag of used) expect([...known]).toContain(flag);
  });

  it('has a value for every flag of sluice controller that means something in a pod', () => {
    const used = new Set(flagsIn(chart('templates/deployment.yaml')));
    // A pod has no kubeconfig.
    const elsewhere = new Set(['--kubeconfig', '--context']);
    for (const flag of flagsOf(registerController, 'controller')) if (!elsewhere.has(flag)) expect([...used]).toContain(flag);
  });

  it('passes only flags that sluice uninstall has', () => {
    const used = flagsIn(chart('templates/uninstall.yaml'));
    expect(used).toContain('--wait');
    const known = flagsOf(registerUninstall, 'uninstall');
    for (const flag of used) expect([...known]).toContain(flag);
  });

  it('has the version of the program', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(parse(chart('Chart.yaml'))).toMatchObject({ version, appVersion: version });
  });

  it('describes every value in its schema', () => {
    const schema = JSON.parse(chart('values.schema.json')) as { properties: Record<string, { properties?: object }> };
    for (const [name, value] of Object.entries(parse(chart('values.yaml')) as Record<string, unknown>)) {
      expect(Object.keys(schema.properties)).toContain(name);
      const inner = schema.properties[name]?.properties;
      if (inner && typeof value === 'object' && value !== null) expect(Object.keys(inner).toSorted()).toEqual(Object.keys(value).toSorted());
    }
  });

  it('holds the CustomResourceDefinitions of this version and no others', () => {
    const wanted = [...generatedFiles().keys()].filter((file) => file.startsWith('charts/sluice/crds/')).map((file) => path.basename(file));
    expect(readdirSync(path.join(root, 'charts/sluice/crds')).toSorted()).toEqual(wanted.toSorted());
  });

  it('lets the controller list and watch exactly what its caches hold', () => {
    const cache = createCache({} as KubeClient);
    const watched = Object.values(cache)
      .filter((item): item is Informer<KubeObject> => typeof item === 'object' && 'resource' in item)
      .map(({ resource }) => `${resource.group}/${resource.plural}`);
    const granted = engineRules()
      .filter(({ verbs }) => verbs.includes('watch'))
      .flatMap(({ apiGroups, resources, verbs }) => {
        expect(verbs).toContain('list');
        return apiGroups.flatMap((group) => resources.map((resource) => `${group}/${resource}`));
      });
    expect(granted.toSorted()).toEqual(watched.toSorted());
  });
});

function engineRules(): Rule[] {
  const [, text] = /define "sluice\.engineRules" -\}\}\n([\s\S]*?)\{\{- end \}\}/.exec(chart('templates/_helpers.tpl')) ?? [];
  return parse(text ?? '') as Rule[];
}

const found = await findHelm();
if (!found) console.warn('SKIPPED: Helm is not here, so the chart is not rendered. Prepare it with `npx tsx scripts/manifests.ts`, or name one in SLUICE_HELM.');
const helm = found ?? '';

async function render(...sets: string[]): Promise<KubeObject[]> {
  const text = await template(
    helm,
    root,
    sets.flatMap((set) => ['--set', set]),
  );
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}

const rulesOf = (object: KubeObject): Rule[] => object['rules'] as Rule[];
const of = (objects: KubeObject[], kind: string, name: string): KubeObject => {
  const one = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (!one) throw new Error(`the chart renders no ${kind} ${name}`);
  return one;
};
const CLUSTER_SCOPED = new Set(['ClusterRole', 'ClusterRoleBinding', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding', 'Namespace', 'CustomResourceDefinition']);

describe.skipIf(!found)('rendered chart', () => {
  it('runs as nobody in particular, on a root file system that cannot be written', async () => {
    const objects = await render();
    for (const workload of [of(objects, 'Deployment', 'sluice'), of(objects, 'Job', 'sluice-uninstall')]) {
      const { template: pod } = workload['spec'] as { template: { spec: { securityContext: object; containers: { securityContext: object }[] } } };
      expect(pod.spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } });
      expect(pod.spec.containers[0]?.securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
    }
  });

  it('gives nobody a wildcard, and nobody a Secret, by default', async () => {
    const rules = (await render()).filter(({ kind }) => kind.endsWith('Role')).flatMap(rulesOf);
    expect(rules.length).toBeGreaterThan(15);
    for (const rule of rules) {
      expect([...rule.apiGroups, ...rule.resources, ...rule.verbs]).not.toContain('*');
      expect(rule.resources).not.toContain('secrets');
    }
  });

  it('opens only the Secrets that are named, only for reading, unless copies are asked for', async () => {
    const read = await render('secrets[0].namespace=shop', 'secrets[0].names={slack,git}');
    const role = read.find(({ kind, metadata }) => kind === 'Role' && metadata.namespace === 'shop');
    expect(role && rulesOf(role)).toEqual([{ apiGroups: [''], resources: ['secrets'], resourceNames: ['slack', 'git'], verbs: ['list', 'watch'] }]);
    const track = await render('secrets[0].namespace=shop', 'secrets[0].names={slack}', 'secrets[0].track=true');
    expect(rulesOf(of(track, 'Role', 'sluice-secrets'))[1]).toEqual({ apiGroups: [''], resources: ['secrets'], verbs: ['create', 'delete'] });
  });

  it('lets nobody make Jobs or read metrics of adapters, unless that is asked for', async () => {
    const groups = async (...sets: string[]) => rulesOf(of(await render(...sets), 'ClusterRole', 'sluice')).filter(({ apiGroups }) => ['batch', 'external.metrics.k8s.io'].includes(apiGroups[0] ?? ''));
    expect(await groups()).toEqual([]);
    expect(await groups('metrics.jobs=true', 'metrics.externalMetrics={queue_messages_ready}')).toEqual([
      { apiGroups: ['external.metrics.k8s.io'], resources: ['queue_messages_ready'], verbs: ['get', 'list'] },
      { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', 'create'] },
    ]);
  });

  it('keeps overlays against everybody but its own account, where that is asked for', async () => {
    expect((await render()).filter(({ kind }) => kind.startsWith('MutatingAdmissionPolicy'))).toEqual([]);
    const policies = (await render('overlayPolicy.enabled=true', 'serviceAccount.name=carrier')).filter(({ kind }) => kind === 'MutatingAdmissionPolicy');
    expect(policies.map(({ metadata }) => metadata.name)).toEqual(['sluice-services', 'sluice-poddisruptionbudgets']);
    for (const policy of policies) expect(JSON.stringify(policy['spec'])).toMatch(/request\.userInfo\.username != 'system:serviceaccount:[a-z-]+:carrier'/);
  });

  it('has nothing cluster-wide for a single namespace but what was left on for people', async () => {
    const objects = await render('watchNamespace=shop', 'rbac.userRoles=false', 'admissionPolicy.enabled=false');
    expect(objects.filter(({ kind }) => CLUSTER_SCOPED.has(kind))).toEqual([]);
    expect(of(objects, 'Role', 'sluice').metadata.namespace).toBe('shop');
    expect(of(objects, 'Role', 'sluice-sync').metadata.namespace).toBe('shop');
    const { containers } = (of(objects, 'Deployment', 'sluice')['spec'] as { template: { spec: { containers: { args: string[] }[] } } }).template.spec;
    expect(containers[0]?.args).toContain('--namespace=shop');
    // Whether or not it watches elsewhere, the Lease is where the pods are.
    expect(of(objects, 'Role', 'sluice-lease').metadata.namespace).toBe('sluice-system');
  });

  it('binds what Git may apply only where it is told', async () => {
    const objects = await render('sync.namespaces={shop,payments}');
    const roles = objects.filter(({ metadata }) => metadata.name === 'sluice-sync');
    expect(roles.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`).toSorted()).toEqual(['Role payments', 'Role shop', 'RoleBinding payments', 'RoleBinding shop']);
  });

  it('turns values into flags', async () => {
    const objects = await render('leaderElection.enabled=false', 'replicas=1', 'controller.metricsGrid=2s', 'controller.concurrency=8', 'controller.allowCrossNamespace=true', 'controller.cluster=eu-1');
    const { args } = (of(objects, 'Deployment', 'sluice')['spec'] as { template: { spec: { containers: { args: string[] }[] } } }).template.spec.containers[0] ?? { args: [] };
    expect(args).toEqual(expect.arrayContaining(['--no-leader-elect', '--metrics-grid=2s', '--concurrency=8', '--allow-cross-namespace', '--cluster=eu-1']));
    expect(args).not.toContain('--leader-elect');
    expect(args).not.toContain('--allow-link-local');
  });

  it.each([
    ['two controllers at once', ['leaderElection.enabled=false'], /replicas above 1 need leaderElection/],
    ['a value that does not exist', ['controler.logLevel=debug'], /additional properties 'controler' not allowed/],
    ['an address that is none', ['controller.metricsServer=prometheus:9090'], /metricsServer/],
  ])('refuses %s', async (_, sets, message) => {
    await expect(render(...sets)).rejects.toThrow(message);
  });

  it('asks for the right to the verb, and for the true name, of who acts', async () => {
    const policy = of(await render(), 'ValidatingAdmissionPolicy', 'sluice-canaryactions');
    const { validations } = policy['spec'] as { validations: { expression: string }[] };
    expect(validations.map(({ expression }) => expression).join('\n')).toContain('object.spec.by == request.userInfo.username');
    expect(validations.map(({ expression }) => expression).join('\n')).toContain('.subresource(object.spec.verb)');
  });

  it(`is what ${MANIFESTS} holds (else run \`npx tsx scripts/manifests.ts\`)`, async () => {
    expect(read(MANIFESTS)).toBe(await plainManifests(helm, root));
  });
});
