import { Annotations } from '../api/index.js';
import { Resources } from '../kube/resources.js';
import { isConflict, isNotFound, KubeError, type KubeClient, type KubeObject, type Resource } from '../kube/types.js';
import type { Discovery } from './discovery.js';
import {
  describeObject,
  FIELD_MANAGER,
  formatId,
  groupVersion,
  identityKey,
  place,
  sourceLabels,
  type InventoryEntry,
} from './identity.js';
import { digestOf, type Declared, type ObjectFailure } from './manifests.js';
import { inStages } from './order.js';
import { LeadershipLost, requireLeading } from './leading.js';
import { liveProvenance, newProvenance, type Provenance } from './provenance.js';
import { beyondReach, mayReach, type Tenancy } from './tenancy.js';

const CONCURRENCY = 8;
/** Writes of one object that lost a race, before it waits for the next sync. */
const MAX_CONFLICTS = 6;
const ESTABLISHED_WITHIN_MS = 20_000;
const ESTABLISHED_POLL_MS = 100;

/** Lays Sluice's values over a manifest whose live copy carries an overlay. Pure; see engine/overlay.ts. */
export type Overlay = (manifest: KubeObject, live: KubeObject) => KubeObject;

/** Digest and time of what was applied, by {@link identityKey}; kept in memory between syncs of one source. */
export type AppliedMemory = Map<string, { digest: string; at: number }>;

export interface ApplyContext {
  client: KubeClient;
  discovery: Discovery;
  overlay: Overlay;
  tenancy: Tenancy;
  /** A copy that an informer already holds, to save a read; undefined when it does not watch that kind. It may be stale. */
  cached: (resource: Resource, namespace: string | undefined, name: string) => KubeObject | undefined;
  /** Throws when this process must not write any more. */
  assertLeading: () => void;
  now: () => number;
  wait: (ms: number) => Promise<void>;
}

export interface ApplyRequest {
  source: { namespace: string; name: string };
  defaultNamespace: string;
  objects: Declared[];
  inventory: InventoryEntry[];
  provenance: Provenance;
  memory: AppliedMemory;
  /** Objects applied within this many ms are left alone while their manifest is the same. */
  freshForMs: number;
}

export interface ApplyResult {
  /** What the commit declares and is now in the cluster, with what was applied earlier and could not be applied now. */
  inventory: InventoryEntry[];
  failures: ObjectFailure[];
  /** For people: `Deployment shop/reviews`, of what this commit changed. */
  changed: string[];
}

interface Item {
  declared: Declared;
  manifest: KubeObject;
  resource: Resource;
  entry: Required<InventoryEntry>;
  before: InventoryEntry | undefined;
}

/**
 * Server-side applies what the commit declares, in order of dependency. One failed object never stops the others. Rejects only
 * with {@link LeadershipLost}.
 */
export async function applyObjects(context: ApplyContext, request: ApplyRequest): Promise<ApplyResult> {
  const before = new Map(request.inventory.map((entry) => [identityKey(entry.id), entry]));
  const result: ApplyResult = { inventory: [], failures: [], changed: [] };
  for (const stage of inStages(request.objects)) {
    await inParallel(stage, async (declared) => {
      const item = await attempt(declared, result, request, () => identify(context, request, declared, before));
      if (!item) return;
      const applied = await attempt(declared, result, request, () => applyUnlessFresh(context, request, item));
      if (applied === undefined) {
        // A write without an answer may have happened. Without a digest it counts as something to apply, and to prune.
        result.inventory.push(item.before ?? { id: item.entry.id, file: item.entry.file });
        return;
      }
      if (item.before?.digest !== item.entry.digest) result.changed.push(describeObject(idOf(item)));
      result.inventory.push(item.entry);
    });
  }
  return result;
}

async function identify(
  context: ApplyContext,
  request: ApplyRequest,
  declared: Declared,
  before: Map<string, InventoryEntry>,
): Promise<Item> {
  const { apiVersion, kind } = declared.manifest;
  const { group, version } = groupVersion(apiVersion);
  const resource = await context.discovery.find(group, version, kind);
  if (!resource)
    throw new Error(
      `the cluster serves no kind ${kind} in ${apiVersion}; correct it, or install the CustomResourceDefinition. It is tried again`,
    );
  const manifest = place(declared.manifest, resource, request.defaultNamespace);
  const { namespace } = manifest.metadata;
  // Before anything of it is read: rights of the controller are not those of who wrote the GitSource.
  if (!mayReach(context.tenancy, request.source.namespace, namespace)) throw new Error(beyondReach(request.source.namespace, namespace));
  const id = formatId({ group, version, kind, namespace: namespace ?? '', name: manifest.metadata.name });
  return {
    declared,
    manifest,
    resource,
    entry: { id, file: declared.file.slice(0, 512), digest: digestOf(manifest) },
    before: before.get(identityKey(id)),
  };
}

/** True when it was written, false when there was nothing to do. */
async function applyUnlessFresh(context: ApplyContext, request: ApplyRequest, item: Item): Promise<boolean> {
  const { digest, id } = item.entry;
  const key = identityKey(id);
  const remembered = request.memory.get(key);
  const unchanged = item.before?.digest === digest && remembered?.digest === digest && !retries(request, item);
  if (unchanged && context.now() - remembered.at < request.freshForMs) return false;
  await applyOne(context, request, item);
  request.memory.set(key, { digest, at: context.now() });
  if (item.resource.group === Resources.CustomResourceDefinition.group && item.resource.kind === 'CustomResourceDefinition')
    await established(context, item);
  return true;
}

async function applyOne(context: ApplyContext, request: ApplyRequest, item: Item): Promise<void> {
  const { resource, manifest } = item;
  const { namespace, name } = manifest.metadata;
  for (let conflicts = 0; ; conflicts += 1) {
    const cached = conflicts === 0 ? context.cached(resource, namespace, name) : undefined;
    const live = cached ?? (await getLive(context.client, resource, namespace, name));
    if (live?.metadata.deletionTimestamp) throw new Error('is still being deleted; it is applied when it is gone');
    const body = compose(context, request, item, live);
    requireLeading(context);
    try {
      await context.client.patch(resource, namespace, name, body, 'apply', {
        fieldManager: FIELD_MANAGER,
        force: true,
        fieldValidation: 'Strict',
      });
      return;
    } catch (error) {
      if (!isConflict(error) || conflicts >= MAX_CONFLICTS) throw error;
    }
  }
}

/** A commit that asks for a retry marks every workload of its source: which of them failed, the releases know. */
const retries = ({ provenance }: ApplyRequest, { resource }: Item): boolean => provenance.retry === true && resource.group === 'apps';

/** What is sent: the manifest, who applied it and from which commit, and Sluice's values where an overlay lies on the live object. */
function compose(context: ApplyContext, request: ApplyRequest, item: Item, live: KubeObject | undefined): KubeObject {
  const { manifest, before, entry } = item;
  const known = liveProvenance(live);
  const same = before?.digest === entry.digest || known?.[Annotations.commit] === request.provenance.head.sha;
  const provenance = (same && !retries(request, item) ? known : undefined) ?? newProvenance(request.provenance, [entry.file, before?.file, ...(item.declared.files ?? [])]);
  const { source } = request;
  const complete: KubeObject = {
    ...manifest,
    metadata: {
      ...manifest.metadata,
      labels: { ...manifest.metadata.labels, ...sourceLabels(source.namespace, source.name) },
      annotations: { ...manifest.metadata.annotations, ...provenance },
    },
  };
  if (!live) return complete;
  const laid = live.metadata.annotations?.[Annotations.overlay] === undefined ? complete : context.overlay(complete, live);
  // With the version that was looked at, an overlay laid meanwhile is a conflict and not overwritten.
  return { ...laid, metadata: { ...laid.metadata, resourceVersion: live.metadata.resourceVersion } };
}

async function getLive(
  client: KubeClient,
  resource: Resource,
  namespace: string | undefined,
  name: string,
): Promise<KubeObject | undefined> {
  try {
    return await client.get(resource, namespace, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Objects of a new kind are refused until the server says that the kind is Established. */
async function established(context: ApplyContext, item: Item): Promise<void> {
  const { name } = item.manifest.metadata;
  const deadline = context.now() + ESTABLISHED_WITHIN_MS;
  for (;;) {
    const live = await context.client.get(Resources.CustomResourceDefinition, undefined, name);
    if (isEstablished(live)) break;
    if (context.now() >= deadline)
      throw new Error(
        `is not Established after ${ESTABLISHED_WITHIN_MS / 1000} s; see its conditions with kubectl describe crd ${name}`,
      );
    await context.wait(ESTABLISHED_POLL_MS);
  }
  context.discovery.forget(name.split('.').slice(1).join('.'));
}

function isEstablished(crd: KubeObject): boolean {
  const status = crd.status as { conditions?: { type?: string; status?: string }[] } | undefined;
  return status?.conditions?.some(({ type, status: value }) => type === 'Established' && value === 'True') ?? false;
}

/** Runs one step for one object; its failure is written down, and undefined is given. */
async function attempt<T>(
  declared: Declared,
  result: ApplyResult,
  request: ApplyRequest,
  step: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof LeadershipLost) throw error;
    result.failures.push(describeFailure(declared, request, error));
    return undefined;
  }
}

function describeFailure({ manifest, file, line }: Declared, request: ApplyRequest, error: unknown): ObjectFailure {
  const { group, version } = groupVersion(manifest.apiVersion);
  const namespace = manifest.metadata.namespace ?? request.defaultNamespace;
  const id = { group, version, kind: manifest.kind, namespace, name: manifest.metadata.name };
  const words = error instanceof Error ? error.message : String(error);
  const message = `${file}:${line} ${describeObject(id)}: ${manifest.kind === 'Secret' ? withoutValues(words) : words}${nextStep(error)}`;
  return { id: formatId(id), file: file.slice(0, 512), line, message: message.slice(0, 1024) };
}

/** The API server quotes what it refuses; of a Secret that may be the secret. */
const withoutValues = (words: string): string =>
  words
    .replace(/&value\.valueUnstructured\{.*\}/gs, 'another type')
    .replace(/((?:Invalid|Unsupported|Duplicate) value: ).*?(: |$)/gs, '$1(not shown)$2');

function nextStep(error: unknown): string {
  if (!(error instanceof KubeError)) return '';
  if (error.code === 403) return '; allow it to the service account of Sluice, or take it out of the repository';
  // What its schema does not know, the server calls an internal error.
  if (error.code === 400 || error.code === 422 || /failed to create typed patch object/.test(error.message)) return '; correct the manifest';
  if (error.code === 404) return '; create its namespace, in the repository or by hand. It is tried again';
  return '; it is tried again';
}

const idOf = ({ resource, manifest }: Item) => ({
  kind: resource.kind,
  namespace: manifest.metadata.namespace ?? '',
  name: manifest.metadata.name,
});

async function inParallel<T>(items: T[], task: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: Math.min(CONCURRENCY, items.length) }, async () => {
      for (const item of queue) await task(item);
    }),
  );
}
