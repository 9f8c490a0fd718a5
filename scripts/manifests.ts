/** Writes charts/manifests/sluice.yaml, for those who install without Helm: the chart with its default values. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureHelm } from './helm.js';
import { MANIFESTS, plainManifests } from './plain.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const text = await plainManifests(await ensureHelm(), root);
await mkdir(path.dirname(path.join(root, MANIFESTS)), { recursive: true });
await writeFile(path.join(root, MANIFESTS), text);
console.log(MANIFESTS);
