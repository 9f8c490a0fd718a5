/** A field of the user's object that another manager writes as well. */
export interface Contested {
  kind: string;
  name: string;
  /** JSON pointer of the whole field, such as `/spec/selector`. */
  field: string;
  manager: string;
}

const GROUPS: Record<string, string> = {
  DaemonSet: 'apps',
  Deployment: 'apps',
  DestinationRule: 'networking.istio.io',
  HorizontalPodAutoscaler: 'autoscaling',
  PodDisruptionBudget: 'policy',
  ScaledObject: 'keda.sh',
  ServiceEntry: 'networking.istio.io',
  VirtualService: 'networking.istio.io',
};

/** `/spec/http` → `spec.http`. */
export const dotted = (pointer: string): string => pointer.slice(1).replaceAll('/', '.');
const each = (fields: Contested[], words: (field: Contested) => string, joint = ', '): string => [...new Set(fields.map(words))].join(joint);
const place = ({ field, kind, name }: Contested): string => `${dotted(field)} of ${kind} ${name}`;
const fluxRule = ({ field, kind, name }: Contested): string => `{paths: [${field}], target: {kind: ${kind}, name: ${name}}}`;

function argoRule({ field, kind, name }: Contested): string {
  const group = GROUPS[kind];
  return `{${group === undefined ? '' : `group: ${group}, `}kind: ${kind}, name: ${name}, jsonPointers: [${field}]}`;
}

/** Without `spec.ignore`: the field goes from Git where the object can do without it, else the object is applied once only. */
function oldFlux(fields: Contested[]): string {
  return each(
    fields,
    ({ kind, name }) => {
      if (kind === 'Deployment') return `leave spec.replicas out of Deployment ${name}`;
      // Applied once only, no new version of it would ever come.
      if (kind === 'DaemonSet') return `change nothing for DaemonSet ${name}, which is put back each time`;
      return `annotate ${kind} ${name} with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent`;
    },
    ' and ',
  );
}

function personally(canary: string, { field, kind, name }: Contested): string {
  if (kind === 'VirtualService') return 'change the plan of the Canary, or use sluice promote or sluice abort instead';
  if (kind === 'Deployment') return `scale the Canary instead: kubectl scale canary/${canary} --replicas=N`;
  return `leave ${dotted(field)} of ${kind} ${name} as it is while Canary ${canary} exists`;
}

/** Lines that keep a tool from writing fields again, by the name of its field manager. */
const TOOLS: [RegExp, (fields: Contested[], canary: string) => string][] = [
  [/^argocd/, (fields) => `in the Argo CD Application, add to spec.ignoreDifferences ${each(fields, argoRule)}, and RespectIgnoreDifferences=true to spec.syncPolicy.syncOptions`],
  [/^kustomize-controller/, (fields) => `in the Flux Kustomization, add to spec.ignore ${each(fields, fluxRule)}; before Flux 2.9, in Git ${oldFlux(fields)}`],
  [/^helm-controller/, (fields) => `in the HelmRelease, add to spec.driftDetection.ignore ${each(fields, fluxRule)}`],
  [/^(helm|pulumi|terraform)/i, (fields) => `let that tool ignore ${each(fields, place, ' and ')}, or take it out of what the tool applies`],
  [/^kubectl/, (fields, canary) => `a person wrote it: ${each(fields, (field) => personally(canary, field), '; ')}`],
];

/** What ends the quarrel over these fields with one manager, of which Canary `canary`. */
export function adviceFor(canary: string, manager: string, fields: Contested[]): string {
  const known = TOOLS.find(([pattern]) => pattern.test(manager));
  return known ? known[1](fields, canary) : `let ${manager} leave ${each(fields, place, ' and ')} alone`;
}
