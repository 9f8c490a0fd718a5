import path from 'node:path';
import { cached, cacheFolder, newest } from './cache.js';
import { recipes } from './recipes.js';

/** What can be had: the recipe that makes it and its place inside the recipe's folder. */
const parts = {
  etcd: ['etcd-server', 'etcd'],
  prometheus: ['prometheus', 'prometheus'],
  envoy: ['envoy', 'envoy'],
  kubectl: ['kubectl', 'kubectl'],
  sshd: ['openssh-server', 'sshd'],
  libwrap: ['libwrap0', 'libwrap.so.0'],
  nssWrapper: ['libnss-wrapper', 'libnss_wrapper.so'],
  apiserver: ['kubernetes', 'kube-apiserver'],
  controllerManager: ['kubernetes', 'kube-controller-manager'],
  istioCrds: ['istio-crds', 'customresourcedefinitions.gen.yaml'],
  gatewayApiCrds: ['gateway-api-crds', 'standard'],
} as const satisfies Record<string, readonly [keyof typeof recipes, string]>;

export type PartName = keyof typeof parts;
export const partNames = Object.keys(parts) as PartName[];

/** What {@link startControlPlane} needs. */
export const controlPlaneParts = ['etcd', 'apiserver', 'controllerManager', 'istioCrds'] as const satisfies PartName[];

/**
 * Absolute paths of real programs and CRDs. What is missing is downloaded or built first (minutes, once per machine).
 * `onProgress` hears what is being waited for. Rejects with an Error that names the missing tool and the next step.
 */
export async function ensureParts<Name extends PartName>(options: {
  need: readonly Name[];
  cache?: string;
  onProgress?: (message: string) => void;
}): Promise<Record<Name, string>> {
  const cache = options.cache ?? cacheFolder();
  const paths: Partial<Record<Name, string>> = {};
  for (const name of options.need) {
    const [recipe, file] = parts[name];
    const { wanted, prepare } = recipes[recipe];
    const folder = await cached(cache, recipe, wanted, (work) => {
      options.onProgress?.(`preparing ${recipe}${recipe === 'kubernetes' ? ' (a build of several minutes)' : ''}`);
      return prepare(work);
    });
    paths[name] = path.join(folder, file);
  }
  return paths as Record<Name, string>;
}

/** The same, without preparing anything; undefined when a part is missing. */
export async function presentParts<Name extends PartName>(need: readonly Name[], cache = cacheFolder()): Promise<Record<Name, string> | undefined> {
  const paths: Partial<Record<Name, string>> = {};
  for (const name of need) {
    const [recipe, file] = parts[name];
    const folder = await newest(cache, recipe, recipes[recipe].wanted).catch(() => undefined);
    if (folder === undefined) return undefined;
    paths[name] = path.join(folder, file);
  }
  return paths as Record<Name, string>;
}
