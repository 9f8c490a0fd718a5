import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEnvoyMesh } from '../../../src/sandbox/mesh/envoy.js';
import { describeMesh } from './behaviour.js';

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
