import { access, constants, readdir } from 'node:fs/promises';
import path from 'node:path';
import { cached, cacheFolder } from '../test/real/cache.js';
import { requireTool, run } from '../test/real/commands.js';

const VERSION = '3.22.0';
const PART = 'helm';
/** Helm built from its module takes 1.20 for the cluster's version when it is not told. */
const KUBE_VERSION = '1.33.0';

/** Helm, if it is there already: what `SLUICE_HELM` names, or what {@link ensureHelm} made earlier. Never what happens to be on PATH. */
export async function findHelm(): Promise<string | undefined> {
  const named = process.env['SLUICE_HELM'];
  if (named) {
    await access(named, constants.X_OK).catch(() => {
      throw new Error(`SLUICE_HELM: ${named} cannot be run; name an executable of Helm 3, or leave it unset`);
    });
    return named;
  }
  const cache = cacheFolder();
  const names: string[] = await readdir(cache).catch(() => []);
  return names.includes(`${PART}-${VERSION}`) ? path.join(cache, `${PART}-${VERSION}`, 'helm') : undefined;
}

/** Helm, built through the Go module proxy when it is not there (minutes, once per machine). */
export async function ensureHelm(): Promise<string> {
  const found = await findHelm();
  if (found) return found;
  const folder = await cached(cacheFolder(), PART, new RegExp(`^${VERSION.replaceAll('.', '\\.')}$`), async (work) => {
    await requireTool('go', PART, 'install Go 1.25 or later, or name a Helm 3 in SLUICE_HELM');
    await run('env', [`GOBIN=${work}`, 'nice', '-n', '10', 'go', 'install', `helm.sh/helm/v3/cmd/helm@v${VERSION}`], { cwd: work });
    return VERSION;
  });
  return path.join(folder, 'helm');
}

/** `helm template` of the chart as release `sluice` in namespace `sluice-system`. Rejects with Helm's own words. */
export const template = (helm: string, root: string, options: string[] = []): Promise<string> =>
  run(helm, ['template', 'sluice', path.join(root, 'charts/sluice'), '--namespace', 'sluice-system', '--kube-version', KUBE_VERSION, ...options], { cwd: root });
