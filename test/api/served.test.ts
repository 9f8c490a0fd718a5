import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { crds } from '../../src/api/crd.js';
import { createKubeClient, type OwnedKubeClient } from '../../src/kube/index.js';
import { startApiServer, type ApiServer } from '../../src/sandbox/apiserver/index.js';
import { itServesTheKinds, type Table } from './served-behaviour.js';

describe('the embedded API server', () => {
  let server: ApiServer;
  let client: OwnedKubeClient;
  let dir: string;
  beforeAll(async () => {
    server = await startApiServer({ crds: crds() });
    dir = await mkdtemp(join(tmpdir(), 'sluice-crds-'));
    const kubeconfig = join(dir, 'kubeconfig');
    await writeFile(kubeconfig, server.kubeconfig());
    client = await createKubeClient({ kubeconfig });
  });
  afterAll(async () => {
    client?.close();
    await server?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  itServesTheKinds(() => ({
    client,
    table: async (path) => {
      const response = await fetch(`${server.url}${path}`, {
        headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
      });
      return (await response.json()) as Table;
    },
  }));
});
