import type { SlotName } from '../api/index.js';
import { adviceFor, dotted, type Contested } from './advice.js';
import type { Draft } from './draft.js';
import type { Weights } from './evidence.js';
import { otherSlot, ownVirtualServices } from './names.js';
import type { Reset } from './observation.js';
import { iso, ms } from './time.js';

/** How long somebody who reset a field is remembered, in milliseconds: tools come back once in their interval. */
const REMEMBERED_MS = 3_600_000;
/** How exactly it is known when they came last, in milliseconds: one who comes every second must not make us write every second. */
const NOTED_EVERY_MS = 300_000;
/** How late a tool may write what it has just read, in milliseconds. */
const TAKEN_OVER_MS = 5_000;
const MAX_CONTESTED = 10;
const SOMEBODY = 'somebody';

/** What the routes gave a slot when we last looked or wrote. */
function expected(draft: Draft, canary: SlotName): number {
  return draft.status.run ? draft.status.canaryWeight : canary === draft.stableSlot ? 100 : 0;
}

/** When the routes were given other weights last, unix milliseconds. */
function changedAt({ status, now }: Draft): number {
  const { run, step, phase, serviceSince, history } = status;
  if (!run) return ms(history?.[0]?.endedAt) ?? 0;
  const onTheWay = phase === 'Promoting' || (phase === 'Finalising' && serviceSince === undefined) || (step !== undefined && step.startedAt === undefined);
  return onTheWay ? now : Math.max(ms(step?.startedAt) ?? 0, ms(serviceSince) ?? 0);
}

/** A tool that takes over what is live, as our recipes have it, may come a moment too late: it writes weights that were ours, and contests nothing. */
function isEarlierOurs(draft: Draft, weights: Weights): boolean {
  const { run, canary, history } = draft.status;
  const last = history?.[0];
  const slot = canary?.slot ?? (last?.result === 'Succeeded' ? draft.stableSlot : otherSlot(draft.stableSlot));
  return draft.now < changedAt(draft) + TAKEN_OVER_MS && [0, ...((run ?? last)?.weights ?? [])].includes(weights[slot]);
}

/** Who reset the weights, and how; they are put back by whatever keeps them in force. */
function routesReset(draft: Draft): (Contested & { how: string }) | undefined {
  const { foreignManager, foreignField = '/spec/http', foreignObject } = draft.observed.routes;
  if (foreignManager === undefined) return undefined;
  const slot = draft.status.canary?.slot ?? otherSlot(draft.stableSlot);
  const { weights } = foreignObject ?? draft.observed.routes;
  if (weights?.[slot] === expected(draft, slot) || (weights && isEarlierOurs(draft, weights))) return undefined;
  const found = weights ? `${weights[slot]} % for slot ${slot} instead of ${expected(draft, slot)} %` : 'destinations other than the slots';
  const name = foreignObject?.name ?? ownVirtualServices(draft.spec)[0]?.name ?? draft.spec.service.name ?? draft.spec.targetRef.name;
  return { kind: 'VirtualService', name, field: foreignField, manager: foreignManager, how: `wrote ${found} into VirtualService ${name}; the weights are put back` };
}

const fieldReset = (reset: Reset): Contested & { how: string } => ({
  kind: reset.kind,
  name: reset.name,
  field: reset.field,
  manager: reset.manager ?? SOMEBODY,
  how: `reset ${dotted(reset.field)} of ${reset.kind} ${reset.name}; it is put back`,
});

/** Say who wrote over what a release depends on, and how to make it stop; remember it for the condition. */
export function nameForeignManagers(draft: Draft): void {
  const { adoptedAt, run } = draft.status;
  if (!adoptedAt) return;
  const routes = run?.ending ? undefined : routesReset(draft);
  for (const { how, ...contested } of [...(routes ? [routes] : []), ...(draft.observed.resets ?? []).map(fieldReset)]) {
    const advice = adviceFor(draft.observed.name, contested.manager, [contested]);
    draft.event('Warning', 'OverlayRestored', `${draft.observed.name}: ${contested.manager} ${how}. To end this: ${advice}`);
    note(draft, contested);
  }
  forget(draft);
}

function note(draft: Draft, contested: Contested): void {
  const known = (draft.status.contested ?? []).find((item) => item.kind === contested.kind && item.name === contested.name && item.field === contested.field && item.manager === contested.manager);
  if (known && draft.now - (ms(known.at) ?? 0) < NOTED_EVERY_MS) return;
  const others = (draft.status.contested ?? []).filter((item) => item !== known);
  draft.status.contested = [{ ...contested, at: iso(draft.now) }, ...others].slice(0, MAX_CONTESTED);
}

function forget(draft: Draft): void {
  const { status } = draft;
  const kept = (status.contested ?? []).filter(({ at }) => draft.now < ms(at) + REMEMBERED_MS);
  for (const { at } of kept) draft.wakeAt(ms(at) + REMEMBERED_MS);
  if (kept.length > 0) status.contested = kept;
  else delete status.contested;
}

/** Who contests which fields, one sentence for each manager with the lines that end it; undefined when nobody does. */
export function contestWords(draft: Draft): string | undefined {
  const contested = [...(draft.status.contested ?? [])].sort((a, b) => `${a.manager}${a.kind}${a.name}`.localeCompare(`${b.manager}${b.kind}${b.name}`));
  const managers = [...new Set(contested.map(({ manager }) => manager))];
  if (managers.length === 0) return undefined;
  return managers
    .map((manager) => {
      const theirs = contested.filter((item) => item.manager === manager);
      const fields = theirs.map(({ field, kind, name }) => `${dotted(field)} of ${kind} ${name}`).join(', ');
      return `${manager} resets ${fields}. To end this: ${adviceFor(draft.observed.name, manager, theirs)}`;
    })
    .join('. ');
}
