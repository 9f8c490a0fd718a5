import { Labels, SluiceResources, type Canary } from '../src/api/index.js';
import { podTemplateSchema } from '../src/core/pod-template.js';
import { makeRevision } from '../src/core/revision.js';
import { isAlreadyExists, Resources, type KubeClient, type KubeObject, type Resource } from '../src/kube/index.js';
import { appName, forEachApp, NAMESPACE } from './fleet.js';

const PATTERN = appName(0);
/** Fewer at once than a fleet of hundreds is made with: each must be answered in time for as long as this takes. */
const PARALLEL = 12;
/** In this order the objects of one Canary are made: a Service comes before its slices. */
const KINDS = [
  Resources.Deployment,
  Resources.Service,
  Resources.EndpointSlice,
  Resources.VirtualService,
  Resources.ControllerRevision,
] as Resource<KubeObject>[];

/**
 * Copies an adopted Canary with all that belongs to it `count - 1` times, under other names and without pods: so a fleet of
 * thousands is there in a minute, and looks to the controller as if it had adopted each of them. Nothing of ours or of
 * kube-controller-manager's may run meanwhile.
 */
export async function stampFleet(client: KubeClient, count: number): Promise<void> {
  const originals = new Map<Resource<KubeObject>, KubeObject[]>();
  for (const kind of KINDS)
    originals.set(
      kind,
      (await client.list(kind, { namespace: NAMESPACE })).items.map((object) => withTypes(kind, object)).filter(belongs),
    );
  const canary = withTypes(
    SluiceResources.Canary as Resource<KubeObject>,
    await client.get(SluiceResources.Canary, NAMESPACE, PATTERN),
  ) as Canary;
  const target = originals.get(KINDS[0] as Resource<KubeObject>)?.find((object) => object.metadata.name === PATTERN);
  const old = canary.status?.stable?.revision;
  if (!target || !old) throw new Error(`Canary ${NAMESPACE}/${PATTERN} is not adopted: it cannot be copied`);
  const make = async (index: number): Promise<void> => {
    const name = appName(index + 1);
    const revision = revisionOf(copy(target, name, old, old));
    for (const [kind, objects] of originals)
      for (const object of objects) await create(client, kind, copy(object, name, old, revision));
    const { status, ...rest } = copy(canary, name, old, revision) as Canary;
    const created = await client.create(SluiceResources.Canary, { ...rest, spec: { ...rest.spec, replicas: 0 } });
    await client.update(
      SluiceResources.Canary,
      { ...created, status: { ...status, targetReplicas: 0, seededReplicas: 0 } as Canary['status'] },
      { subresource: 'status' },
    );
  };
  await forEachApp(count - 1, make, PARALLEL);
}

const withTypes = (kind: Resource<KubeObject>, object: KubeObject): KubeObject => ({
  ...object,
  kind: kind.kind,
  apiVersion: object.apiVersion ?? kind.version,
});

function belongs({ metadata }: KubeObject): boolean {
  return metadata.name === PATTERN || metadata.name.startsWith(`${PATTERN}-`) || metadata.labels?.[Labels.canary] === PATTERN;
}

function revisionOf(target: KubeObject): string {
  const { template } = target['spec'] as { template: unknown };
  return makeRevision(podTemplateSchema.parse(template), []).name;
}

/** The object as another Canary's: names and the revision are replaced wherever they occur, and it asks for no pods. */
function copy(object: KubeObject, name: string, old: string, revision: string): KubeObject {
  const {
    uid: _uid,
    resourceVersion: _version,
    creationTimestamp: _created,
    managedFields: _fields,
    ownerReferences: _owners,
    generation: _generation,
    ...metadata
  } = object.metadata;
  const { clusterIP: _ip, clusterIPs: _ips, ...spec } = (object['spec'] ?? {}) as Record<string, unknown>;
  // Without addresses: the API server hands them out one at a time.
  if (object.kind === 'Service') Object.assign(spec, { clusterIP: 'None' });
  const plain = {
    ...object,
    metadata,
    ...(object['spec'] === undefined ? {} : { spec: { ...spec, ...('replicas' in spec ? { replicas: 0 } : {}) } }),
  };
  if (object.kind === 'EndpointSlice') Object.assign(plain, { endpoints: [] });
  return JSON.parse(JSON.stringify(plain).replaceAll(PATTERN, name).replaceAll(old, revision)) as KubeObject;
}

async function create(client: KubeClient, kind: Resource<KubeObject>, object: KubeObject): Promise<void> {
  await client.create(kind, object).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
}
