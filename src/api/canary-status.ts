import { z } from 'zod';
import { conditions, instant } from './common.js';
import { verdictStatus } from './verdict.js';

const text = (max = 1024) => z.string().max(max);
const shortList = <T extends z.ZodType>(item: T, max: number) => z.array(item).max(max);

/** Where a revision came from. What could not be confirmed is left out and shown as unknown. */
export const provenance = z.object({
  commit: text(64).optional().describe('The commit that brought it.'),
  commits: shortList(text(64), 20).optional().describe('Further commits that were fetched together with it, newest first.'),
  author: text(256).optional(),
  subject: text(256).optional().describe('First line of the commit message.'),
  source: text(256).optional().describe('GitSource as NAMESPACE/NAME.'),
  path: text(256).optional().describe('File in the repository that declares it.'),
});
export type Provenance = z.infer<typeof provenance>;

export const slotName = z.enum(['blue', 'green']);
export type SlotName = z.infer<typeof slotName>;

const serving = provenance.extend({
  revision: text(64),
  slot: slotName,
  replicas: z.int().optional().describe('Pods wanted.'),
  readyReplicas: z.int().optional(),
  endpoints: z.int().optional().describe('Ready endpoints of its Service.'),
});

const check = z.object({
  metric: text(63),
  verdict: z.enum(['Pass', 'Fail', 'NoData', 'Error']),
  value: z.number().optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  samples: z.number().optional().describe('Requests that the value was computed from.'),
  query: text(2048).optional(),
  message: text(1024),
  dryRun: z.boolean().optional().describe('True when it does not count.'),
  permanent: z.boolean().optional().describe('True when waiting cannot help: the query or its template has to be mended.'),
  weight: z.int().optional().describe('Weight of the canary while it was measured.'),
  at: instant(),
});
export type Check = z.infer<typeof check>;

export const runResult = z.enum(['Succeeded', 'Failed', 'Superseded', 'Cancelled']);
export type RunResult = z.infer<typeof runResult>;

const historyEntry = provenance.extend({
  run: text(64),
  revision: text(64),
  result: runResult,
  reason: text(64),
  message: text(512),
  weights: shortList(z.int(), 60).describe('The weights that the canary was given, in order.'),
  startedAt: instant(),
  endedAt: instant(),
  by: text(253).optional().describe('Who acted, where a person ended it.'),
});
export type HistoryEntry = z.infer<typeof historyEntry>;

const ending = z.object({
  result: runResult,
  reason: text(64),
  message: text(512),
  at: instant(),
  by: text(253).optional(),
});
export type Ending = z.infer<typeof ending>;

const run = z.object({
  id: text(64),
  startedAt: instant(),
  skipAnalysis: z.boolean().optional().describe('True for a known-good revision and with `spec.skipAnalysis`.'),
  firstWeightAt: instant().optional(),
  weights: shortList(z.int(), 60),
  held: z.object({ by: text(253), reason: text(512), at: instant() }).optional().describe('Set while a person holds the run.'),
  approvedStep: text(64).optional().describe('The step that a person has approved: its weight, and what more it has.'),
  promote: text(253).optional().describe('Who asked for promotion without the remaining steps.'),
  gates: shortList(text(80), 20).optional().describe('Webhooks that have let this run pass.'),
  failures: z.record(z.string().max(63), z.int()).optional().describe('Failed checks per metric.'),
  judged: z.record(z.string().max(63), z.int()).optional().describe('Checks that judged the metric, per metric with a template or a `count`.'),
  mostReplicas: z.int().optional().describe('The largest number of pods that was asked for since it began.'),
  evidence: z.number().optional().describe('Of an ending with reason Regression: the logarithm of how many runs of a version that is not worse it takes to see one like it.'),
  ending: ending.optional().describe('Decided, not yet carried out to the last write.'),
});
export type Run = z.infer<typeof run>;

const slot = z.object({
  readySince: instant().optional().describe('Since when its pods have been ready; during adoption only.'),
  unroutedSince: instant().optional().describe('Since when nothing routes to it.'),
  warmUntil: instant().optional().describe('Until when it stays at full scale without traffic.'),
  controlSince: instant().optional().describe('Since when its Service for a control arm has had ready endpoints.'),
});
export type SlotRecord = z.infer<typeof slot>;

const quarantined = z.object({ revision: text(64), reason: text(512), at: instant(), commit: text(64).optional(), again: text(64).optional().describe('Another commit that brought it after it had failed; told once.') });

const message = z.object({
  id: text(128).describe('Unique per message; receivers may drop what they have seen.'),
  event: z.enum(['Started', 'Waiting', 'Succeeded', 'Failed', 'Superseded', 'Cancelled', 'Stalled', 'Initialized']),
  severity: z.enum(['info', 'warn', 'error']),
  text: text(1024),
  revision: text(64).optional(),
  commit: text(64).optional(),
  author: text(256).optional(),
  at: instant(),
  to: shortList(text(80), 40).describe('Alerts and post-rollout webhooks that have not accepted it yet.'),
});
export type Message = z.infer<typeof message>;

const WRITE_BACKS = ['revert', 'pullRequest', 'tag', 'branch'] as const;
const writeBack = z.object({
  kind: z.enum(WRITE_BACKS),
  state: z.enum(['Pending', 'Done', 'Skipped']).describe('`Skipped`: nothing was written, for the reason in `message`.'),
  run: text(64).describe('The run that asked for it.'),
  revision: text(64).describe('The revision that is told of: the failed or the promoted one.'),
  stable: text(64).optional().describe('The revision that served when it was asked for.'),
  stableCommit: text(64).optional(),
  commit: text(64).optional().describe('The commit that brought the revision.'),
  source: text(256).optional().describe('GitSource as NAMESPACE/NAME.'),
  written: text(64).optional().describe('The commit that was pushed.'),
  url: text(512).optional().describe('The pull request.'),
  message: text(512).optional(),
  at: instant().describe('When it was asked for.'),
});
export type WriteBack = z.infer<typeof writeBack>;

const contested = z.object({
  kind: text(63),
  name: text(253),
  field: text(256).describe('JSON pointer, such as `/spec/selector`.'),
  manager: text(128).describe('The field manager that wrote it.'),
  at: instant().describe('When it did so last, to five minutes.'),
});

export const PHASES = [
  'Initializing',
  'Initialized',
  'Waiting',
  'Progressing',
  'WaitingPromotion',
  'Promoting',
  'Finalising',
  'Succeeded',
  'Failed',
  'Terminating',
] as const;

/** `Canary.status`. Every list, map and string is bounded: the whole stays under 32 KiB. */
export const canaryStatus = z.object({
  observedGeneration: z.int().optional(),
  phase: z.enum(PHASES).optional().describe("Flagger's names."),
  canaryWeight: z.int().min(0).max(100).default(0).describe('Share of the traffic that the canary has now, in percent.'),
  failedChecks: z.int().default(0),
  iterations: z.int().optional().describe('Checks of the step that passed.'),
  replicas: z.int().optional().describe('Pods of the slots that have weight; read by autoscalers.'),
  selector: text(1024).optional().describe('Selects those pods; read by autoscalers.'),
  seededReplicas: z.int().optional().describe('The number of pods in force; restores `spec.replicas` when a replace drops it.'),
  targetReplicas: z.int().optional().describe("`spec.replicas` of the target as its user last wrote it."),
  growth: z
    .object({ asked: z.int(), counted: z.int() })
    .optional()
    .describe('What an autoscaler asked for during a release, counting the pods of both versions, and what of it counts.'),
  stable: serving.optional(),
  canary: serving.optional(),
  run: run.optional(),
  step: z
    .object({
      index: z.int().min(0),
      of: z.int(),
      weight: z.int(),
      more: text(24).optional().describe('Tells apart the steps of one weight that differ in match, mirror, fault or replicas.'),
      passes: z.record(z.string().max(63), z.int()).optional().describe('Passes in a row, per metric with `consecutiveSuccess`.'),
      startedAt: instant().optional().describe('When the weight was in force; unset while it is still on its way.'),
    })
    .optional(),
  nextStepTime: instant().optional(),
  deadline: instant().optional().describe('The run is taken back when it has made no progress by then.'),
  slots: z.object({ blue: slot.optional(), green: slot.optional() }).optional(),
  origin: z
    .object({ key: text(64), hash: text(64), revision: text(64) })
    .optional()
    .describe('What Git wants: when it was written last, its hash now, and the name that it keeps through upgrades.'),
  adoptedAt: instant().optional().describe('When callers were first routed through the slots.'),
  releasing: z
    .object({ targetReadyAt: instant().optional(), routesReturnedAt: instant().optional(), serviceReturnedAt: instant().optional(), handedOverAt: instant().optional() })
    .optional()
    .describe('Progress of giving the target back.'),
  serviceSince: instant().optional().describe('Since when the Service for callers outside the mesh selects what it should.'),
  checks: shortList(check, 20).optional(),
  verdict: verdictStatus.optional().describe('What the comparison with the stable version has shown so far; stored at changes of the step and once a minute.'),
  history: shortList(historyEntry, 10).optional().describe('The last releases, newest first.'),
  knownGood: shortList(text(64), 50).optional().describe('Revisions that were stable, newest first.'),
  quarantined: shortList(quarantined, 20).optional().describe('Revisions that failed; they run again only on `retry`.'),
  actions: shortList(text(64), 20).optional().describe('Names of the CanaryActions that were carried out, newest first.'),
  messages: shortList(message, 20).optional().describe('Messages on their way.'),
  writeBacks: shortList(writeBack, 10).optional().describe('What goes, or went, back to Git, newest first.'),
  contested: shortList(contested, 10).optional().describe('Fields that another manager reset within the last hour, newest first.'),
  conditions: conditions().optional(),
});
export type CanaryStatus = z.infer<typeof canaryStatus>;
export type CanaryMessage = Message;
export type Phase = (typeof PHASES)[number];
