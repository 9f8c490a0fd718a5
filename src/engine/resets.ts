import type { Canary } from '../api/index.js';
import { foreignOwner } from '../core/managers.js';
import type { Reset } from '../core/observation.js';
import { resetFields } from '../core/overlay.js';
import type { KubeObject } from '../kube/index.js';
import { Index, overlaidKey, type Cache } from './cache.js';

/** Fields of the user's objects in which somebody wrote over this Canary's overlay, and who. */
export function resetsOf(cache: Cache, { metadata: { namespace = '', name } }: Canary, target: KubeObject | undefined): Reset[] {
  const key = overlaidKey(namespace, name);
  const overlaid = [cache.services, cache.budgets, cache.serviceEntries, cache.autoscalers, cache.scaledObjects].flatMap((informer) => informer.byIndex(Index.callers, key));
  return [...(target ? [target] : []), ...overlaid].flatMap((object) =>
    resetFields(object).map((field) => {
      const manager = foreignOwner(object, field);
      return { kind: object.kind, name: object.metadata.name, field, ...(manager === undefined ? {} : { manager }) };
    }),
  );
}
