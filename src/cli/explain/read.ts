import { canarySpec, durationMs, type Canary } from '../../api/index.js';
import { decide } from '../../core/decide.js';
import type { Decision, Needs, Observation } from '../../core/observation.js';
import { trackedReferences } from '../../core/revision.js';
import { createCache, type Cache } from '../../engine/cache.js';
import { targetOf } from '../../engine/workloads.js';
import { readTemplate } from '../../engine/facts.js';
import type { EvidenceOptions } from '../../engine/evidence.js';
import { problemsOf } from '../../engine/problems.js';
import { observe } from '../../engine/observe.js';
import { Revisions } from '../../engine/revisions.js';
import { NamedSecrets } from '../../engine/secrets.js';
import { effectiveSpec } from '../../engine/templates.js';
import type { KubeClient } from '../../kube/index.js';
import { createIstioRouter } from '../../mesh/istio/index.js';
import { conditionOf, statusOf } from '../canaries.js';
import { describeError } from '../errors.js';
import type { Io } from '../io.js';

/** An evaluation that is this far away is none, in milliseconds. */
const NOT_NOW_MS = 3_600_000;
/** How long the first lists may take, in milliseconds. */
const SYNC_MS = 8_000;

/** What the controller would decide now on what the API shows, or why that cannot be told. */
export type Reading =
  | {
      decision: Decision;
      observed: Observation;
      /** What the next check will ask for, if nothing changes before. */ ahead?: Needs;
    }
  | { unread: string };

/** Nothing is measured or called for an explanation: a webhook may count its calls, and a check belongs to the controller. */
const unmeasured = (cache: Cache, secrets: NamedSecrets): EvidenceOptions => ({
  cache,
  secrets,
  metrics: {
    measure: () => Promise.resolve({ kind: 'Error', query: '', message: 'nothing is measured here', permanent: false }),
    windows: () => Promise.resolve({ kind: 'Error', query: '', message: 'nothing is measured here', permanent: false }),
  },
  hooks: { call: () => Promise.resolve({ ok: false, message: 'nothing is called here' }) },
  metricsServer: '',
  // The controller's flag is not known here; what it refuses, it says itself in the condition Stalled.
  allowCrossNamespace: true,
});

/** Reads everything that a decision looks at, once, and decides. Writes nothing. */
export async function readDecision(io: Io, client: KubeClient, canary: Canary): Promise<Reading> {
  const spec = canarySpec.safeParse(canary.spec);
  if (!spec.success) {
    const [issue] = spec.error.issues;
    return {
      unread: `spec.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it cannot be read'}; correct the Canary ${canary.metadata.name}`,
    };
  }
  const stop = new AbortController();
  const signal = AbortSignal.any([io.signal, stop.signal]);
  const troubles = new Set<string>();
  try {
    const cache = createCache(client, {
      ...(canary.metadata.namespace === undefined ? {} : { namespace: canary.metadata.namespace }),
      onError: (error) => troubles.add(describeError(error)),
    });
    cache.start(signal);
    const read = { ...canary, spec: spec.data, status: statusOf(canary) };
    const secrets = new NamedSecrets(
      client,
      signal,
      () => {},
      (error) => troubles.add(describeError(error)),
    );
    const inTime = io.sleep(SYNC_MS, signal).then(() => false);
    const all = cache
      .whenSynced()
      .then(() => loadTracked(cache, secrets, read))
      .then(() => true);
    if (!(await Promise.race([all, inTime])))
      return { unread: [...troubles][0] ?? `the API server did not answer within ${SYNC_MS / 1000} s` };
    return decideOnce(io, cache, secrets, read);
  } finally {
    stop.abort();
  }
}

async function loadTracked(cache: Cache, secrets: NamedSecrets, canary: Canary): Promise<void> {
  const namespace = canary.metadata.namespace ?? '';
  const target = targetOf(cache, canary);
  const read = target && readTemplate(target);
  if (!read || 'problem' in read) return;
  const tracked = trackedReferences(canary.spec, read.template).filter(({ kind }) => kind === 'Secret');
  await Promise.all(tracked.map(({ name }) => secrets.load(namespace, name)));
}

function decideOnce(io: Io, cache: Cache, secrets: NamedSecrets, canary: Canary): Reading {
  const { status: stored = statusOf(canary) } = canary;
  // Evidence is looked at by the controller, every few seconds; what is told here is what it had stored.
  const status = stored.verdict ? { ...stored, verdict: { ...stored.verdict, next: new Date(io.now() + NOT_NOW_MS).toISOString() } } : stored;
  const spec = effectiveSpec(cache, canary, canary.spec);
  // Only the controller knows since when a change has been there; unless it says that it waits for more, the change is complete.
  const settling = conditionOf(status, 'Progressing')?.reason === 'Settling';
  const since = (): number => io.now() - (settling ? 0 : durationMs(spec.revisions.settle));
  const target = targetOf(cache, canary);
  const desired = new Revisions(cache, secrets, since).desired(canary, target);
  const problems = problemsOf(unmeasured(cache, secrets), canary);
  const observed = observe(cache, createIstioRouter(), canary, desired, { problems });
  const now = io.now();
  const decision = decide({ spec, status, observed, now });
  const due = Date.parse(status.nextStepTime ?? '');
  const ahead = due > now ? decide({ spec, status, observed, now: due }).needs : undefined;
  return { observed, decision, ...(ahead ? { ahead } : {}) };
}
