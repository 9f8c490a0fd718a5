import { readFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { KubeClient, KubeObject, Resource } from '../../kube/index.js';
import type { ClusterFlags } from '../cluster.js';
import type { Io } from '../io.js';

const SelfSubjectReview: Resource = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'selfsubjectreviews',
  kind: 'SelfSubjectReview',
  namespaced: false,
};
const review = z.looseObject({ status: z.looseObject({ userInfo: z.looseObject({ username: z.string().min(1) }) }) });

const kubeconfig = z.looseObject({
  'current-context': z.string().nullish(),
  contexts: z
    .array(z.looseObject({ name: z.string(), context: z.looseObject({ user: z.string().nullish() }).nullish() }))
    .nullish(),
});

/** Who the API server says we are; absent on servers before Kubernetes 1.28. */
async function fromServer(client: KubeClient): Promise<string | undefined> {
  const object: KubeObject = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview', metadata: { name: '' } };
  const answer = review.safeParse(await client.create(SelfSubjectReview, object).catch(() => undefined));
  const username = answer.data?.status.userInfo.username;
  return username === 'system:anonymous' ? undefined : username;
}

async function fromKubeconfig(io: Io, flags: ClusterFlags): Promise<string | undefined> {
  const named = io.env['KUBECONFIG']?.split(path.delimiter).find((file) => file !== '');
  const file = flags.kubeconfig ?? named ?? path.join(io.env['HOME'] ?? homedir(), '.kube', 'config');
  try {
    const { data } = kubeconfig.safeParse(parse(await readFile(file, 'utf8')));
    const wanted = flags.context ?? data?.['current-context'];
    return data?.contexts?.find(({ name }) => name === wanted)?.context?.user ?? undefined;
  } catch {
    return undefined;
  }
}

function fromSystem(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // Containers run as users that have no name.
    return undefined;
  }
}

/** Who acts: as the API server knows us, else the kubeconfig's user, else that of the system. At most 253 characters. */
export async function whoActs(io: Io, client: KubeClient, flags: ClusterFlags): Promise<string> {
  const name = (await fromServer(client)) ?? (await fromKubeconfig(io, flags)) ?? fromSystem() ?? 'somebody';
  return name.slice(0, 253);
}
