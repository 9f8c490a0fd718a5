import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceResources } from '../../../src/api/index.js';
import { isNotFound, Resources, type KubeObject } from '../../../src/kube/index.js';
import { auditedWrites } from '../audit.js';
import { readyAfter, TrapWorld } from './world.js';

const SLOT = 'sluice.dev/slot';
const metadataOf = (object: KubeObject): KubeObject['metadata'] => object.metadata;
const replicasOf = (object: KubeObject): number => (object['spec'] as { replicas?: number }).replicas ?? 0;

/** Steps that are held until somebody approves. */
const HELD = { analysis: { stepWeights: null, steps: [{ weight: 50, approve: true }] } };

let world: TrapWorld;
beforeAll(async () => {
  world = await TrapWorld.start();
});
afterAll(() => world?.stop());

describe.concurrent('K1: foreground deletion deletes dependents at once', () => {
  it('a Canary deleted with its dependents first keeps the pods that serve until the target has its own', async () => {
    const app = await world.app('k1');
    await app.adopt({ template: readyAfter(2_000), canary: { revisions: { drainFor: '2s' } } });
    await app.client.delete(SluiceResources.Canary, 'k1', 'shop', { propagationPolicy: 'Foreground' });
    const gone = async (): Promise<boolean> => app.canary().then(() => false, isNotFound);
    while (!(await gone())) {
      const serving = [...(await app.endpoints('shop-blue')), ...(await app.endpoints('shop'))];
      expect(serving.length, 'pods that serve while the Canary goes').toBeGreaterThan(0);
    }
    expect(replicasOf(await app.get(Resources.Deployment, 'shop'))).toBe(2);
    expect(await app.endpoints('shop')).toHaveLength(2);
    await expect(app.get(Resources.Deployment, 'shop-blue')).rejects.toSatisfy(isNotFound);
  });

  it('slots belong to nobody, and carry no tracking metadata of other tools', async () => {
    const app = await world.app('k1-metadata');
    await app.deploy();
    const foreign = {
      labels: { 'app.kubernetes.io/instance': 'argo-app', 'kustomize.toolkit.fluxcd.io/name': 'apps' },
      annotations: {
        'argocd.argoproj.io/tracking-id': 'app:apps/Deployment:k1/shop',
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
      },
    };
    await app.client.patch(Resources.Deployment, 'k1-metadata', 'shop', { metadata: foreign }, 'merge');
    // The target has been through another version: its revision annotation is not that of a first one.
    await app.client.create(Resources.ConfigMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'k1-metadata' }, data: { a: 'b' } });
    await app.change({ spec: { containers: [{ name: 'shop', envFrom: [{ configMapRef: { name: 'settings' } }] }] } });
    await world.until('the second version', async () => (await app.get(Resources.Deployment, 'shop')).metadata.annotations?.['deployment.kubernetes.io/revision'] === '2');
    await app.createCanary({ service: { trafficPolicy: { connectionPool: { tcp: { maxConnections: 100 } } } } });
    await app.adopted();
    // All that Sluice made: garbage collection takes what has an owner, and pods cannot start without their frozen configuration.
    const made = await Promise.all(
      [Resources.Deployment, Resources.Service, Resources.VirtualService, Resources.DestinationRule, Resources.ConfigMap, Resources.ControllerRevision].map(
        async (resource) => (await app.client.list(resource, { namespace: 'k1-metadata', labelSelector: 'sluice.dev/canary=shop' })).items.map((object) => ({ ...object, kind: resource.kind })),
      ),
    );
    for (const objects of made) {
      expect(objects.length).toBeGreaterThan(0);
      expect(objects.filter(({ metadata }) => (metadata.ownerReferences ?? []).length > 0).map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([]);
    }
    const [creation] = (await auditedWrites(world.plane.auditLogPath)).filter(
      ({ verb, objectRef }) => verb === 'create' && objectRef?.namespace === 'k1-metadata' && objectRef.resource === 'deployments' && objectRef.name === 'shop-blue',
    );
    expect(creation?.requestObject).toBeDefined();
    expect(JSON.stringify(creation?.requestObject)).not.toContain('deployment.kubernetes.io/revision');
    for (const resource of [Resources.Deployment, Resources.Service]) {
      const slot = metadataOf(await app.get(resource, 'shop-blue'));
      expect(slot.ownerReferences ?? []).toEqual([]);
      expect(
        Object.keys({ ...slot.labels, ...slot.annotations }).filter((key) => /argo|flux|last-applied|instance/.test(key)),
      ).toEqual([]);
    }
  });

  it('the target and the Canary deleted together, as a prune does: the pods that serve stay until nothing asks for them', async () => {
    const app = await world.app('k1-prune');
    await app.adopt();
    await app.client.delete(Resources.Deployment, 'k1-prune', 'shop', { propagationPolicy: 'Foreground' });
    await world.until('the target to be gone', () => app.get(Resources.Deployment, 'shop').then(() => false, isNotFound));
    expect(await app.endpoints('shop-blue'), 'the slot serves on without its target').toHaveLength(2);
    await world.until('the condition', async () => (await app.condition('Stalled')).reason === 'TargetNotFound');
    await app.remove({ propagationPolicy: 'Foreground' });
  });
});

describe.concurrent('K2: any Service that matches the labels of the pods feeds pods that were not analysed', () => {
  it('other Services select the slot that serves, before, during and after a release; one that appears in the middle too', async () => {
    const app = await world.app('k2');
    await app.deploy();
    await app.service('shop-grpc', { ports: [{ name: 'grpc', port: 90 }] });
    await app.createCanary(HELD);
    await app.adopted();
    const stable = await app.stableSlot();
    const free = await app.freeSlot();
    const podsOf = async (slot: string): Promise<string[]> =>
      (await app.pods(`${SLOT}=${slot}`)).map(({ metadata }) => metadata.name).toSorted();
    await app.change();
    await app.weight(50);
    await app.service('shop-late', { selector: { app: 'shop' } });
    for (const service of ['shop', 'shop-grpc', 'shop-late'])
      await world.until(
        `${service} to select the stable pods only`,
        async () => JSON.stringify((await app.endpoints(service)).toSorted()) === JSON.stringify(await podsOf(stable)),
      );
    await app.act('approve');
    await app.ended(1);
    for (const service of ['shop', 'shop-grpc', 'shop-late'])
      await world.until(
        `${service} to select the new pods only`,
        async () => JSON.stringify((await app.endpoints(service)).toSorted()) === JSON.stringify(await podsOf(free)),
      );
    // The warm pods of the old version are still there, or were a moment ago, and nobody may be sent to them.
    expect(await app.stableSlot()).toBe(free);
  });

  it('a ServiceEntry that selects the pods leads to the slot that serves, and is given back', async () => {
    const app = await world.app('k2-entry');
    await app.deploy();
    const spec = { hosts: ['shop.example'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'STATIC', workloadSelector: { labels: { app: 'shop' } } };
    await app.client.create(Resources.ServiceEntry, { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name: 'shop', namespace: 'k2-entry' }, spec });
    const written = (await app.get(Resources.ServiceEntry, 'shop'))['spec'];
    const leads = async (): Promise<string | undefined> => {
      const { workloadSelector } = (await app.get(Resources.ServiceEntry, 'shop'))['spec'] as { workloadSelector: { labels: Record<string, string> } };
      return workloadSelector.labels[SLOT];
    };
    await app.createCanary(HELD);
    await app.adopted();
    const [stable, free] = [await app.stableSlot(), await app.freeSlot()];
    await world.until('the slot that serves', async () => (await leads()) === stable);
    await app.change();
    await app.weight(50);
    expect(await leads()).toBe(stable);
    await app.act('approve');
    await app.ended(1);
    await world.until('the promoted slot', async () => (await leads()) === free);
    await app.remove();
    expect((await app.get(Resources.ServiceEntry, 'shop'))['spec']).toEqual(written);
  });

  it('gives every Service its selector back', async () => {
    const app = await world.app('k2-back');
    await app.deploy();
    await app.service('shop-grpc', { ports: [{ name: 'grpc', port: 90 }] });
    const before = [await app.get(Resources.Service, 'shop'), await app.get(Resources.Service, 'shop-grpc')].map(
      (service) => service['spec'],
    );
    await app.createCanary();
    await app.adopted();
    await app.remove();
    expect(
      [await app.get(Resources.Service, 'shop'), await app.get(Resources.Service, 'shop-grpc')].map((service) => service['spec']),
    ).toEqual(before);
  });
});

describe.concurrent('K6: frozen Secrets outlive what was rotated', () => {
  const env = (extra: object[] = []) => ({
    spec: { containers: [{ name: 'shop', image: 'shop:1', envFrom: [{ secretRef: { name: 'password' } }, ...extra] }] },
  });
  const secret = (namespace: string, name: string, value: string, type?: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    ...(type ? { type } : {}),
    stringData: { value, ...(type === 'kubernetes.io/tls' ? { 'tls.crt': value, 'tls.key': value } : {}), ...(type?.includes('docker') ? { '.dockerconfigjson': '{"auths":{}}', '.dockercfg': '{}' } : {}) },
  });

  it('a Secret is shared: both slots read the live object, and a rotation starts no run', async () => {
    const app = await world.app('k6');
    await app.client.create(Resources.Secret, secret('k6', 'password', 'one'));
    await app.adopt({ template: env() });
    const slot = JSON.stringify((await app.get(Resources.Deployment, 'shop-blue'))['spec']);
    expect(slot).toContain('"secretRef":{"name":"password"}');
    await app.client.patch(Resources.Secret, 'k6', 'password', { stringData: { value: 'two' } }, 'merge');
    await app.change();
    await app.ended(1);
    expect((await app.canary()).status?.history).toHaveLength(1);
    const names = (await app.client.list(Resources.Secret, { namespace: 'k6' })).items.map(({ metadata }) => metadata.name);
    expect(names).toEqual(['password']);
  });

  it.each([
    ['k6-tls', 'kubernetes.io/tls', 'is of type kubernetes.io/tls'],
    ['k6-registry', 'kubernetes.io/dockerconfigjson', 'is of type kubernetes.io/dockerconfigjson'],
    ['k6-old-registry', 'kubernetes.io/dockercfg', 'is of type kubernetes.io/dockercfg'],
    ['k6-token', 'bootstrap.kubernetes.io/token', 'is of type bootstrap.kubernetes.io/token'],
    ['k6-owned', undefined, 'is managed by Deployment shop'],
  ])('%s: a Secret that somebody renews cannot be tracked: the error names it', async (namespace, type, words) => {
    const app = await world.app(namespace);
    await app.client.create(Resources.Secret, secret(namespace, 'password', 'one'));
    await app.deploy({ template: env([{ secretRef: { name: 'certificate' } }]) });
    const { uid = '' } = (await app.get(Resources.Deployment, 'shop')).metadata;
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop', uid, controller: true };
    const renewed = secret(namespace, 'certificate', 'pem', type);
    await app.client.create(Resources.Secret, type ? renewed : { ...renewed, metadata: { ...renewed.metadata, ownerReferences: [owner] } });
    await app.createCanary({ revisions: { configs: [{ kind: 'Secret', name: 'certificate', mode: 'track' }] } });
    const { message } = await world.until('the refusal', async () => {
      const stalled = await app.condition('Stalled');
      return stalled.status === 'True' && stalled;
    });
    expect(message).toContain(`Secret certificate ${words}`);
  });

  it('a tracked Secret is part of the revision and is frozen with it; a missing optional one is a state', async () => {
    const app = await world.app('k6-track');
    await app.client.create(Resources.Secret, secret('k6-track', 'password', 'one'));
    await app.adopt({
      template: env([{ configMapRef: { name: 'absent', optional: true } }]),
      canary: { revisions: { configs: [{ kind: 'Secret', name: 'password', mode: 'track' }] } },
    });
    await app.client.patch(Resources.Secret, 'k6-track', 'password', { stringData: { value: 'two' } }, 'merge');
    const entry = await app.ended(1);
    expect(entry).toMatchObject({ result: 'Succeeded' });
    const frozen = (await app.client.list(Resources.Secret, { namespace: 'k6-track', labelSelector: 'sluice.dev/canary=shop' }))
      .items;
    expect(frozen.map(({ data }) => Buffer.from((data as { value: string }).value, 'base64').toString()).toSorted()).toEqual([
      'one',
      'two',
    ]);
    expect(frozen.every(({ immutable }) => immutable === true)).toBe(true);
  });
});

describe.concurrent('K8: templates and replicas are written in one way only', () => {
  it('kubectl rollout restart rolls the stable slot in place; neither it nor its removal is a release', async () => {
    const app = await world.app('k8');
    await app.adopt();
    const before = (await app.pods(`${SLOT}=blue`)).map(({ metadata }) => metadata.uid);
    const annotate = (value: string | null) =>
      app.client.patch(
        Resources.Deployment,
        'k8',
        'shop',
        { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': value } } } } },
        'merge',
      );
    await annotate(new Date().toISOString());
    await world.until('new pods in the stable slot', async () => {
      const now = await app.pods(`${SLOT}=blue`);
      return (
        now.length === 2 &&
        now.every(({ metadata }) => !before.includes(metadata.uid)) &&
        (await app.endpoints('shop')).length === 2
      );
    });
    await annotate(null);
    // A version that comes after it is the first run: had the annotation made one, there would be two.
    await app.change();
    await app.ended(1);
    expect((await app.canary()).status?.history).toHaveLength(1);
  });

  it('somebody edits a slot in the middle of a release: the run is taken back, and the message names the slot', async () => {
    const app = await world.app('k8-edited');
    await app.adopt({ canary: HELD });
    await app.change();
    await app.weight(50);
    const free = await app.freeSlot();
    const patch = {
      spec: {
        template: {
          metadata: { labels: { 'sluice.dev/revision': 'mine' } },
          spec: { containers: [{ name: 'shop', image: 'evil:1' }] },
        },
      },
    };
    await app.client.patch(Resources.Deployment, 'k8-edited', `shop-${free}`, patch, 'strategic');
    const entry = await app.ended(1);
    expect(entry).toMatchObject({ result: 'Failed', reason: 'SlotEdited' });
    expect(entry.message).toContain(`shop-${free}`);
    expect(await app.weights()).toMatchObject({ [free]: 0 });
  });

  it('slots are scaled through deployments/scale; their templates are written only while they are empty', async () => {
    const app = await world.app('k8-writes');
    await app.adopt();
    await app.change();
    await app.ended(1);
    await app.change();
    await app.ended(2);
    // One that was refused, because the object had changed meanwhile, was made anew.
    const writes = (await auditedWrites(world.plane.auditLogPath)).filter(
      ({ objectRef, userAgent, responseStatus }) =>
        userAgent === 'sluice-controller' &&
        (responseStatus?.code ?? 500) < 300 &&
        objectRef?.namespace === 'k8-writes' &&
        objectRef.resource === 'deployments' &&
        /^shop-(blue|green)$/.test(objectRef.name ?? ''),
    );
    const kinds = new Set(writes.map(({ verb, objectRef }) => `${verb} ${objectRef?.subresource ?? ''}`.trim()));
    expect([...kinds].toSorted()).toEqual(['create', 'patch scale', 'update']);
    const asked = new Map<string, number>();
    for (const { verb, objectRef, requestObject } of writes) {
      const { metadata, spec } = requestObject as unknown as KubeObject & { spec?: { replicas?: number } };
      const slot = objectRef?.name ?? '';
      if (verb === 'update') {
        expect(metadata.resourceVersion, 'what it saw').toBeTruthy();
        expect(asked.get(slot), `pods that slot ${slot} was last asked for when it took another revision`).toBe(0);
      }
      asked.set(slot, spec?.replicas ?? 0);
    }
  });

  it('an image tag that may move is named', async () => {
    const app = await world.app('k8-latest');
    await app.adopt();
    await app.change({ spec: { containers: [{ name: 'shop', image: 'shop:latest' }] } });
    await app.ended(1);
    await world.until('the warning', async () => {
      const { items } = await app.client.list(Resources.Event, { namespace: 'k8-latest' });
      return items.some((event) => event['type'] === 'Warning' && String(event['message']).includes('shop:latest'));
    });
  });
});

describe.concurrent('K9: two copies of one application repel each other', () => {
  const selector = { matchLabels: { app: 'shop' } };

  it('rules by which pods avoid their own kind count only pods of the same slot', async () => {
    const app = await world.app('k9');
    const podAntiAffinity = {
      requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: selector, topologyKey: 'kubernetes.io/hostname' }],
    };
    const topologySpreadConstraints = [
      { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule', labelSelector: selector },
    ];
    await app.adopt({ template: { spec: { affinity: { podAntiAffinity }, topologySpreadConstraints } } });
    await app.change();
    await app.ended(1);
    for (const slot of ['blue', 'green']) {
      const { template } = (await app.get(Resources.Deployment, `shop-${slot}`))['spec'] as {
        template: { spec: { affinity: unknown; topologySpreadConstraints: unknown } };
      };
      expect(JSON.stringify(template.spec.affinity)).toContain(`"${SLOT}":"${slot}"`);
      expect(JSON.stringify(template.spec.topologySpreadConstraints)).toContain(`"${SLOT}":"${slot}"`);
    }
  });

  it.each([
    { name: 'k9-recreate', deployment: { strategy: { type: 'Recreate' } }, words: /Recreate/ },
    {
      name: 'k9-hostport',
      template: { spec: { containers: [{ name: 'shop', image: 'shop:1', ports: [{ containerPort: 80, hostPort: 8080 }] }] } },
      words: /hostPort 8080/,
    },
    {
      name: 'k9-volume',
      template: { spec: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'shop-data' } }] } },
      words: /PersistentVolumeClaim shop-data/,
    },
  ])('$name: what cannot run twice is refused by name, before anything is touched', async ({ name, words, ...over }) => {
    const app = await world.app(name);
    await app.client.create(
      { group: '', version: 'v1', plural: 'persistentvolumeclaims', kind: 'PersistentVolumeClaim', namespaced: true },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'shop-data', namespace: name },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    );
    await app.deploy(over);
    await app.createCanary();
    const { message } = await world.until('the refusal', async () => {
      const stalled = await app.condition('Stalled');
      return stalled.status === 'True' && stalled;
    });
    expect(message).toMatch(words);
    expect(replicasOf(await app.get(Resources.Deployment, 'shop'))).toBe(2);
  });
});

describe.concurrent('K10: status.replicas leaves out pods that are being deleted', () => {
  it('a slot is not refilled while a pod of it is not being deleted, whatever the Deployment counts', async () => {
    const app = await world.app('k10');
    await app.adopt({ canary: { revisions: { warmFor: '500ms' } } });
    await app.change();
    await app.ended(1);
    const free = await app.freeSlot();
    await world.until('the old slot to be empty', async () => (await app.pods(`${SLOT}=${free}`)).length === 0);
    const stray: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'stray', namespace: 'k10', labels: { app: 'shop', 'sluice.dev/canary': 'shop', [SLOT]: free } },
      spec: { containers: [{ name: 'shop', image: 'shop:0' }] },
    };
    await app.client.create(Resources.Pod, stray);
    // The selector of a ReplicaSet names its template, so this pod is nobody's, and no status counts it.
    await app.change();
    await world.until('the wait', async () => (await app.condition('Progressing')).reason === 'EmptyingSlot');
    const { status } = await app.get(Resources.Deployment, `shop-${free}`);
    expect((status as { replicas?: number }).replicas ?? 0).toBe(0);
    expect((await app.condition('Progressing')).message).toMatch(/1 pod/);
    await app.client.delete(Resources.Pod, 'k10', 'stray');
    expect((await app.ended(2)).result).toBe('Succeeded');
  });

  it('pods that take their time to end hold up nothing, and get no traffic', async () => {
    const app = await world.app('k10-slow');
    await app.adopt({ canary: { ...HELD, revisions: { warmFor: '500ms' } } });
    await app.change();
    await app.weight(50);
    const free = await app.freeSlot();
    const slow = (await app.pods(`${SLOT}=${free}`)).map(({ metadata }) => metadata.name);
    for (const name of slow)
      await app.client.patch(Resources.Pod, 'k10-slow', name, { metadata: { finalizers: ['e2e.invalid/slow'] } }, 'merge');
    await app.change();
    expect((await app.ended(1)).result).toBe('Superseded');
    await app.weight(50);
    const all = await app.pods(`${SLOT}=${free}`);
    expect(
      all
        .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
        .map(({ metadata }) => metadata.name)
        .toSorted(),
    ).toEqual(slow.toSorted());
    expect((await app.endpoints(`shop-${free}`)).filter((name) => slow.includes(name))).toEqual([]);
    await app.act('approve');
    expect((await app.ended(2)).result).toBe('Succeeded');
    for (const name of slow) await app.client.patch(Resources.Pod, 'k10-slow', name, { metadata: { finalizers: null } }, 'merge');
  });
});
