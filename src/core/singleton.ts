import type { CanarySpec } from '../api/index.js';
import type { PodTemplate } from './pod-template.js';

type Allowed = NonNullable<CanarySpec['revisions']['allow']>[number];
interface Hindrance {
  what: Allowed;
  words: string;
}

interface Container {
  name: string;
  ports?: { hostPort?: number }[];
}
interface Volume {
  persistentVolumeClaim?: { claimName?: string; readOnly?: boolean };
}

function hostPorts({ spec }: PodTemplate): Hindrance[] {
  const containers: Container[] = [...spec.containers, ...(spec.initContainers ?? [])];
  return containers.flatMap(({ name, ports = [] }) =>
    ports.flatMap(({ hostPort }): Hindrance[] =>
      hostPort ? [{ what: 'HostPort', words: `container ${name} takes hostPort ${hostPort}, which a node has once` }] : [],
    ),
  );
}

function volumes({ spec }: PodTemplate): Hindrance[] {
  return ((spec.volumes ?? []) as Volume[]).flatMap(({ persistentVolumeClaim: claim }): Hindrance[] =>
    claim && !claim.readOnly
      ? [
          {
            what: 'Volume',
            words: `PersistentVolumeClaim ${claim.claimName ?? 'without a name'} would be written by two versions at once`,
          },
        ]
      : [],
  );
}

/**
 * Why two versions of a workload cannot run beside each other (trap K9); undefined when nothing is known against it. What
 * `spec.revisions.allow` names is taken to be safe.
 */
export function singleton(template: PodTemplate, strategy: string | undefined, allowed: readonly Allowed[]): string | undefined {
  const recreate: Hindrance[] =
    strategy === 'Recreate'
      ? [{ what: 'Recreate', words: 'spec.strategy.type is Recreate, which says that two versions must not run at once' }]
      : [];
  const left = [...recreate, ...hostPorts(template), ...volumes(template)].filter(({ what }) => !allowed.includes(what));
  if (left.length === 0) return undefined;
  const names = [...new Set(left.map(({ what }) => what))].join(', ');
  return `${left.map(({ words }) => words).join('; ')}. A release runs two versions beside each other: change the template, or, where that is safe, add ${names} to spec.revisions.allow`;
}
