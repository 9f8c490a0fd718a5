import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { startApiServer } from '../../src/sandbox/apiserver/index.js';
import { judge } from '../conformance/compare.js';
import { differences } from '../conformance/differences.js';
import { record, recordedAnswers } from '../conformance/golden.js';
import { installCrds } from '../conformance/install.js';
import { play } from '../conformance/play.js';
import { subjects } from '../conformance/requests/index.js';
import type { Answers, Json, Target } from '../conformance/types.js';
import { gadgetCrd, widgetCrd } from '../conformance/widgets.js';
import { ensureParts, startControlPlane, type ControlPlane } from '../real/index.js';

/** Set to anything, the recorded answers in test/conformance/golden are replaced by today's. */
const UPDATE = 'SLUICE_UPDATE_GOLDEN';
/** The kinds of Istio that requests are about. */
const ISTIO_KINDS = ['VirtualService', 'DestinationRule'];
/** Enough of kube-controller-manager for what the API promises; the others would write to what the requests made. */
const CONTROLLERS = ['garbage-collector-controller', 'namespace-controller', 'serviceaccount-controller'];

async function definitions(): Promise<Json[]> {
  const folder = fileURLToPath(new URL('../../crds', import.meta.url));
  const ours = await Promise.all(
    (await readdir(folder)).map(async (file) => parse(await readFile(path.join(folder, file), 'utf8')) as Json),
  );
  const { istioCrds } = await ensureParts({ need: ['istioCrds'] });
  const istio = parseAllDocuments(await readFile(istioCrds, 'utf8')).map((document) => document.toJS() as Json | null);
  const wanted = istio.filter((crd): crd is Json =>
    ISTIO_KINDS.includes(String(((crd?.['spec'] as Json | undefined)?.['names'] as Json | undefined)?.['kind'])),
  );
  return [...ours, ...wanted];
}

describe('the embedded API beside a real kube-apiserver', () => {
  const scenarios = Object.values(subjects).flat();
  let plane: ControlPlane;
  let crds: Json[];
  let real: Answers;

  beforeAll(async () => {
    plane = await startControlPlane({ crds: [], controllers: CONTROLLERS, serviceAccountAdmission: true });
    const config = parse(await readFile(plane.kubeconfig, 'utf8')) as { users: { user: { token: string } }[] };
    const target: Target = { url: plane.url, token: config.users[0]?.user.token };
    crds = await definitions();
    await installCrds(target, [...crds, widgetCrd, gadgetCrd]);
    real = await play(target, scenarios);
    if (process.env[UPDATE] !== undefined)
      console.log(`recorded ${Object.keys(real).length} answers in ${await record(real, crds)}`);
  });
  afterAll(() => plane?.stop());

  it('answers alike, but for what is listed with a reason', async () => {
    const server = await startApiServer();
    try {
      await installCrds(server, [...crds, widgetCrd, gadgetCrd]);
      const { unlisted, stale, agreements } = judge(real, await play(server, scenarios), differences);
      console.log(`${Object.keys(real).length} answers, ${agreements} alike in every part`);
      expect(unlisted, 'differences that are not in test/conformance/differences.ts').toEqual([]);
      expect(stale, 'differences in test/conformance/differences.ts that are none any more').toEqual([]);
    } finally {
      await server.stop();
    }
  });

  it(`answers as it was recorded; else record again with ${UPDATE}=1`, async () => {
    const recorded = await recordedAnswers();
    // Sluice's own kinds change with their definitions, which are recorded too.
    const ours = new Set(subjects['sluice']?.flatMap(({ steps }) => steps.map(({ name }) => name)));
    const others = (answers: Answers): Answers => Object.fromEntries(Object.entries(answers).filter(([name]) => !ours.has(name)));
    expect(judge(others(recorded), others(real), []).unlisted).toEqual([]);
  });
});
