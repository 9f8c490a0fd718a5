import { z } from 'zod';
import type { Canary } from '../api/index.js';
import type { Problem } from '../core/evidence.js';
import type { AutoscalerObservation } from '../core/observation.js';
import { inactivity, metricsOf } from './autoscaler-state.js';
import { Index, keyOf, type Cache } from './cache.js';

/** The HorizontalPodAutoscaler that names the Canary; KEDA's are among them. */
export function observeAutoscaler(cache: Cache, canary: Canary): AutoscalerObservation | undefined {
  const all = cache.autoscalers.byIndex(Index.canary, keyOf(canary)).toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  const found = all.find((one) => inactivity(one) !== undefined) ?? all[0];
  if (!found) return undefined;
  const inactive = inactivity(found);
  return { name: `${found.kind} ${found.metadata.name}`, ...metricsOf(found), ...(inactive ? { inactive: `${inactive.reason}: ${inactive.message}` } : {}) };
}

const triggering = z.object({ triggers: z.array(z.object({ type: z.string().default('unknown'), metadata: z.record(z.string(), z.unknown()).default({}) })) });

/** KEDA resolves `*FromEnv` from the pod template of what it scales, and a Canary has none (trap K7). */
export function scaledObjectProblems(cache: Cache, canary: Canary): Problem[] {
  const naming = [
    ...cache.scaledObjects.byIndex(Index.canary, keyOf(canary)),
    ...cache.scaledObjects.byIndex(Index.target, `${canary.metadata.namespace ?? ''}/${canary.spec.targetRef.name}`),
  ];
  return naming.flatMap((object): Problem[] => {
    const fields = (triggering.safeParse(object['spec']).data?.triggers ?? []).flatMap(({ type, metadata }, index) =>
      Object.keys(metadata).filter((key) => key.endsWith('FromEnv')).map((key) => `spec.triggers[${index}].metadata.${key} (${type})`),
    );
    if (fields.length === 0) return [];
    const message = `ScaledObject ${object.metadata.name} has ${fields.join(', ')}: KEDA reads it from the pod template of what it scales, and Canary ${canary.metadata.name} has none. Give the value itself, or use a TriggerAuthentication`;
    return [{ reason: 'InvalidAutoscaler', message }];
  });
}
