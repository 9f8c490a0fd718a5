import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe } from 'vitest';
import { parse } from 'yaml';
import { itServesTheKinds, type Table } from '../api/served-behaviour.js';
import { startControlPlane, type ControlPlane } from '../real/index.js';

describe('a real kube-apiserver', () => {
  let plane: ControlPlane;
  let token: string;
  beforeAll(async () => {
    plane = await startControlPlane({ crds: [{ path: fileURLToPath(new URL('../../crds', import.meta.url)) }] });
    const config = parse(await readFile(plane.kubeconfig, 'utf8')) as { users: { user: { token: string } }[] };
    token = config.users[0]?.user.token ?? '';
  });
  afterAll(() => plane?.stop());

  itServesTheKinds(() => ({
    client: plane.client,
    table: (path) =>
      new Promise((resolve, reject) => {
        const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io', authorization: `Bearer ${token}` };
        request(`${plane.url}${path}`, { headers, rejectUnauthorized: false }, (response) =>
          resolve(json(response) as Promise<Table>),
        )
          .once('error', reject)
          .end();
      }),
  }));
});
