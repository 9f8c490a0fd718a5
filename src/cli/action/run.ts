import { API_VERSION, Labels, SluiceResources, type Canary, type CanaryAction, type Verb } from '../../api/index.js';
import { createInformer, Resources, type KubeClient } from '../../kube/index.js';
import { getCanary, namespaceFlag, statusOf } from '../canaries.js';
import { withCluster, type Cluster, type ClusterFlags } from '../cluster.js';
import { CliError, describeError, Exit } from '../errors.js';
import { json, paint, relative } from '../format.js';
import type { Io } from '../io.js';
import { report, waitFor } from '../wait/run.js';
import type { Target } from '../wait/outcome.js';
import { revisionFor } from './revision.js';
import { whoActs } from './who.js';

export interface ActionFlags extends ClusterFlags {
  revision?: string;
  reason?: string;
  by?: string;
  wait?: boolean;
  /** Milliseconds. */
  timeout: number;
  output: 'text' | 'json';
}

/** How long a controller may take to answer, in milliseconds. */
const ANSWER_MS = 10_000;
/** `generateName` adds to this; the whole must stay a valid object name. */
const MAX_PREFIX = 240;

/** `sluice approve`, `hold`, `resume`, `abort`, `promote` and `retry`. */
export async function act(io: Io, verb: Verb, name: string, flags: ActionFlags): Promise<number> {
  return withCluster(io, flags, async (cluster) => {
    const canary = await getCanary(cluster, name);
    const revision = flags.revision ?? revisionFor(verb, canary);
    // Known before the action: its own run may be over by the time that it is answered.
    const { run } = statusOf(canary);
    const target: Target = run && verb !== 'retry' ? { kind: 'run', run: run.id } : { kind: 'revision', revision };
    const action = await create(cluster, verb, name, revision, {
      by: flags.by ?? (await whoActs(io, cluster.client, flags)),
      reason: flags.reason,
    });
    const answered = await answer(io, cluster, action);
    if (!answered?.status?.result) throw new CliError(await silence(io, cluster, action), Exit.timeout);
    const code = tell(io, verb, answered, flags);
    if (code !== Exit.ok || !flags.wait) return code;
    if (verb === 'retry') await started(io, cluster, canary, revision);
    return report(io, cluster, name, await waitFor(io, cluster, canary, target, flags), flags.output);
  });
}

async function create(
  { client, namespace }: Cluster,
  verb: Verb,
  name: string,
  revision: string,
  said: { by: string; reason?: string | undefined },
): Promise<CanaryAction> {
  const action: CanaryAction = {
    apiVersion: API_VERSION,
    kind: 'CanaryAction',
    // The server makes the name from generateName.
    metadata: {
      name: '',
      generateName: `${name.slice(0, MAX_PREFIX - verb.length)}-${verb}-`,
      namespace,
      labels: { [Labels.canary]: name.slice(0, 63) },
    },
    spec: { canary: name, verb, revision, by: said.by, ...(said.reason ? { reason: said.reason } : {}) },
  };
  try {
    return await client.create(SluiceResources.CanaryAction, action, { fieldValidation: 'Strict' });
  } catch (error) {
    throw new CliError(`${verb} of Canary ${namespace}/${name}: ${describeError(error)}`);
  }
}

/** The action once it has a result; undefined when there was none in time. */
async function answer(io: Io, { client, namespace }: Cluster, action: CanaryAction): Promise<CanaryAction | undefined> {
  const stop = new AbortController();
  const signal = AbortSignal.any([io.signal, stop.signal]);
  const informer = createInformer<CanaryAction>(client, SluiceResources.CanaryAction, {
    namespace,
    fieldSelector: `metadata.name=${action.metadata.name}`,
  });
  try {
    const answered = new Promise<CanaryAction>((resolve) => {
      informer.onChange((_, live) => live?.status?.result && resolve(live));
    });
    informer.start(signal);
    return await Promise.race([answered, io.sleep(ANSWER_MS, signal).then((): undefined => undefined)]);
  } finally {
    stop.abort();
  }
}

/** Print the answer; returns the exit code. */
function tell(io: Io, verb: Verb, { metadata, spec, status }: CanaryAction, flags: ActionFlags): number {
  const applied = status?.result === 'Applied';
  const message = status?.message ?? '';
  if (flags.output === 'json' && !(applied && flags.wait)) {
    io.out(
      json({
        namespace: metadata.namespace,
        name: spec.canary,
        action: metadata.name,
        verb,
        revision: spec.revision,
        by: spec.by,
        result: status?.result,
        message,
        at: status?.at,
      }),
    );
  } else if (flags.output === 'text') {
    const text = `${paint(io, applied ? 'green' : 'red', status?.result ?? '')}: ${verb} of revision ${spec.revision ?? 'unknown'} by ${spec.by ?? 'somebody'}${message ? `: ${message}` : ''}\n`;
    if (applied) io.out(text);
    else io.err(text);
  }
  return applied ? Exit.ok : Exit.failed;
}

/** Nobody answered: say whether anybody could. */
async function silence(io: Io, { client, namespace }: Cluster, action: CanaryAction): Promise<string> {
  const { name } = action.metadata;
  const flag = namespaceFlag(namespace);
  return (
    `CanaryAction ${namespace}/${name} was created, but no controller answered within ${ANSWER_MS / 1000} s; ${await controllerWords(io, client, namespace)}. ` +
    `It is carried out when a controller sees it, if its revision is still meant then. To take it back: kubectl delete canaryaction ${name}${flag}`
  );
}

async function controllerWords(io: Io, client: KubeClient, namespace: string): Promise<string> {
  for (const where of [undefined, 'sluice-system', namespace]) {
    const found = await client
      .list(Resources.Lease, {
        ...(where === undefined ? {} : { namespace: where }),
        fieldSelector: 'metadata.name=sluice-controller',
      })
      .catch(() => undefined);
    const [lease] = found?.items ?? [];
    if (found && !lease)
      return 'no controller seems to run: there is no Lease sluice-controller. Start one with: sluice controller';
    if (lease)
      return leaseWords(
        io,
        lease['spec'] as { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number } | undefined,
      );
  }
  return 'whether a controller runs could not be told, because Leases may not be read here';
}

function leaseWords(
  io: Io,
  spec: { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number } | undefined,
): string {
  const renewed = Date.parse(spec?.renewTime ?? '');
  if (!spec?.holderIdentity || Number.isNaN(renewed))
    return 'no controller seems to run: nobody holds the Lease sluice-controller';
  const alive = renewed + (spec.leaseDurationSeconds ?? 0) * 1000 >= io.now();
  const when = relative(new Date(renewed).toISOString(), io.now());
  return alive
    ? `the controller ${spec.holderIdentity} seems to run (its Lease was renewed ${when}); see its log`
    : `no controller seems to run: the Lease sluice-controller was last renewed ${when} by ${spec.holderIdentity}`;
}

/** A retried revision has an older, failed run in the history: its result counts from when the new run has begun or ended. */
async function started(io: Io, { client, namespace }: Cluster, before: Canary, revision: string): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([io.signal, stop.signal]);
  const known = statusOf(before).history?.[0]?.run;
  const informer = createInformer<Canary>(client, SluiceResources.Canary, {
    namespace,
    fieldSelector: `metadata.name=${before.metadata.name}`,
  });
  const begun = new Promise<void>((resolve) => {
    informer.onChange((_, live) => {
      const status = live && statusOf(live);
      if (!status || status.canary?.revision === revision || status.history?.[0]?.run !== known) resolve();
    });
  });
  informer.start(signal);
  await Promise.race([begun, io.sleep(ANSWER_MS, signal)]);
  stop.abort();
}
