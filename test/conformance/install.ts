import { PATIENCE_MS, readAll, send } from './http.js';
import type { Json, Target } from './types.js';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Installs CustomResourceDefinitions through the API, and waits until their kinds are served. */
export async function installCrds(target: Target, crds: Json[]): Promise<void> {
  for (const crd of crds) {
    const created = await readAll(await send(target, { name: '', call: `POST ${DEFINITIONS}`, body: crd }));
    if (created.status !== 201 && created.status !== 409)
      throw new Error(`${nameOf(crd)} was not created: ${JSON.stringify(created.body)}`);
  }
  for (const crd of crds) await served(target, crd);
}

const nameOf = (crd: Json): string => String((crd['metadata'] as Json)['name']);

async function served(target: Target, crd: Json): Promise<void> {
  const spec = crd['spec'] as { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] };
  const version = spec.versions.find((one) => one.served)?.name ?? '';
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { status } = await readAll(
      await send(target, { name: '', call: `GET /apis/${spec.group}/${version}/${spec.names.plural}` }),
    );
    if (status === 200) return;
    if (Date.now() > deadline) throw new Error(`${nameOf(crd)} is not served: ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
