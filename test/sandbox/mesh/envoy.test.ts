import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEnvoyMesh } from '../../../src/sandbox/mesh/envoy.js';
import { expect, it } from 'vitest';
import { EMPTY_CONFIG } from '../../../src/sandbox/mesh/types.js';
import { describeMesh } from './behaviour/index.js';

const envoyPath = process.env['SLUICE_ENVOY'] ?? '';

describeMesh(
  'the mesh with a real Envoy (skipped unless SLUICE_ENVOY names its binary)',
  async (options) => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-envoy-test-'));
    const problems: string[] = [];
    const mesh = await startEnvoyMesh({ ...options, envoyPath, dir, onProblem: (message) => problems.push(message) });
    return {
      outbound: (source) => mesh.outbound(source),
      applied: () => {
        if (problems.length > 0) throw new Error(problems.join('\n'));
        return mesh.applied();
      },
      stop: async () => {
        await mesh.stop();
        await rm(dir, { recursive: true, force: true });
      },
    };
  },
  envoyPath !== '',
);

it('says what to check when the binary cannot be run', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-envoy-test-'));
  const feed = { current: () => EMPTY_CONFIG, subscribe: () => () => undefined };
  const start = startEnvoyMesh({
    feed,
    onRequest: () => undefined,
    onProblem: () => undefined,
    envoyPath: join(dir, 'missing'),
    dir,
  });
  await expect(start).rejects.toThrow(/did not start: .*ENOENT.*Check --envoy/);
  await rm(dir, { recursive: true, force: true });
});
