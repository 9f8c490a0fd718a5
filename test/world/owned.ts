import type { KubeObject } from '../../src/kube/types.js';
import type { Write } from './api.js';
import { SERVICE } from './mesh.js';

type Json = Record<string, unknown>;
const SERVER_SETS = new Set(['resourceVersion', 'generation', 'managedFields']);
/** What was laid over an object, and which term of leadership wrote it. */
const OURS = new Set(['sluice.dev/overlay', 'sluice.dev/epoch']);

/** An object without the fields that Sluice may write on it, as text. */
function theirs(object: KubeObject): string {
  const copy = structuredClone(object) as KubeObject & { spec: Json };
  const metadata = Object.fromEntries(Object.entries(copy.metadata).filter(([key]) => !SERVER_SETS.has(key)));
  const annotations = Object.fromEntries(Object.entries(copy.metadata.annotations ?? {}).filter(([key]) => !OURS.has(key)));
  // Pods of the target carry labels of ours while they take over from a slot.
  if (copy.kind === 'Pod') metadata['labels'] = Object.fromEntries(Object.entries(copy.metadata.labels ?? {}).filter(([key]) => !key.startsWith('sluice.dev/')));
  if (copy.kind === 'Deployment') delete copy.spec['replicas'];
  if (copy.kind === 'Service') copy.spec['selector'] = Object.fromEntries(Object.entries(copy.spec['selector'] as Json).filter(([key]) => !key.startsWith('sluice.dev/')));
  if (copy.kind === 'VirtualService') {
    // Rules before the user's routes, known by their names.
    copy.spec['http'] = (copy.spec['http'] as Json[]).filter(({ name }) => !(typeof name === 'string' && name.startsWith('sluice.dev/')));
    for (const route of copy.spec['http'] as Json[]) if (route['name'] === SERVICE) delete route['route'];
  }
  // Subsets of the slots; where the user has none, the list itself.
  if (copy.kind === 'DestinationRule') copy.spec['subsets'] = ((copy.spec['subsets'] ?? []) as { labels?: Json }[]).filter(({ labels }) => !('sluice.dev/slot' in (labels ?? {})));
  return JSON.stringify({ metadata: { ...metadata, annotations }, spec: copy.spec, data: copy['data'] });
}

/** What a write changed on an object of the user's that is none of Sluice's business; undefined when nothing. */
export function checkOwned({ by, resource, before, after }: Write): string | undefined {
  if (!before || before.metadata.labels?.['sluice.dev/canary'] !== undefined || resource.group === 'sluice.dev' || resource.kind === 'EndpointSlice') return undefined;
  if (!after) return `${by} deletes ${resource.kind} ${before.metadata.name}, which is the user's`;
  const [was, is] = [theirs(before), theirs(after)];
  return was === is ? undefined : `${by} changes ${resource.kind} ${before.metadata.name} beyond its own fields:\n${was}\n${is}`;
}
