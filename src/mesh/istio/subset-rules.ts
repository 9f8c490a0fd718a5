/**
 * `service.routing: subsets`: one DestinationRule on the Service's host has the subsets of both slots. It is the user's, with our
 * subsets after theirs, or a generated one where the user has none.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { Annotations, Labels, type Canary } from '../../api/index.js';
import { foreignOwner } from '../../core/managers.js';
import type { Reset } from '../../core/observation.js';
import type { ObjectWrite, Problem } from '../../engine/ports.js';
import type { KubeObject } from '../../kube/types.js';
import { slotSubset } from './addresses.js';
import { isHostOf, type Identity } from './hosts.js';
import { dropRules, missingSubsets, ownPolicy, slotSettings, userRules, type RulesPlan } from './rules.js';
import { readDestinationRule, type Live } from './schema.js';
import { generatedObject, isGeneratedFor, title, write, type IstioApiVersion } from './writes.js';

type Subset = Record<string, unknown> & { name: string };
/** Istio's limit for the name of a subset, a DNS label. */
const NAME_LIMIT = 63;

/** True for a subset that Sluice put there: no user selects by that label. */
const isOurs = (subset: unknown): boolean => {
  const labels = (subset as { labels?: unknown } | null)?.labels;
  return typeof labels === 'object' && labels !== null && Labels.slot in labels;
};

const slotOf = (subset: unknown): string | undefined => (subset as { labels: Record<string, string> }).labels[Labels.slot];

const listOf = (raw: KubeObject): unknown[] | undefined => {
  const { subsets } = (raw['spec'] ?? {}) as { subsets?: unknown };
  return Array.isArray(subsets) ? (subsets as unknown[]) : undefined;
};

/** Names of the subsets that the user has on the Service's host, in rules for all clients or for some. */
export function takenSubsets(all: Live[], id: Identity, canary: string): string[] {
  return all
    .filter((live) => live.meta.namespace === id.namespace && !isGeneratedFor(live, canary))
    .map(({ raw }) => readDestinationRule(raw))
    .filter(({ host }) => host !== undefined && isHostOf(host, id.service, id.namespace))
    .flatMap(({ subsets = [] }) => subsets.filter((subset) => !isOurs(subset)).map(({ name }) => name));
}

/** Two subsets for each of the user's that routes name, and two for the whole Service: a route may stop to name one. */
function wantedSubsets(canary: Canary, theirs: Live[], id: Identity & { subsets: Record<'blue' | 'green', string> }, used: string[]): Subset[] {
  const rules = theirs.map(({ raw }) => readDestinationRule(raw));
  // On a rule of our own the policy is said once, for all of it.
  const own = theirs.length > 0 ? ownPolicy(canary) : undefined;
  return [undefined, ...used].flatMap((user) =>
    (['blue', 'green'] as const).map((slot): Subset => {
      const settings = user === undefined ? undefined : slotSettings(rules, user);
      const trafficPolicy = own || settings?.['trafficPolicy'] ? { trafficPolicy: { ...own, ...(settings?.['trafficPolicy'] as object | undefined) } } : {};
      return { ...settings, name: slotSubset(user, slot, id.subsets), labels: { [Labels.slot]: slot }, ...trafficPolicy };
    }),
  );
}

function problemsOf(names: string[], id: Identity): Problem[] {
  const taken = names.filter((name) => id.taken?.includes(name));
  const long = names.filter((name) => name.length > NAME_LIMIT);
  const rule = `the DestinationRule on host ${id.service} in namespace ${id.namespace}`;
  return [
    ...taken.map((name): Problem => ({ reason: 'NameTaken', message: `${rule} has a subset "${name}" already, and a slot needs that name. Rename the subset, or set other names in service.slots of the Canary.` })),
    ...long.map((name): Problem => ({ reason: 'InvalidRoute', message: `${rule} needs a subset "${name}", and names of subsets have ${NAME_LIMIT} characters at most. Rename the subset that it stands for, or shorten service.slots of the Canary.` })),
  ];
}

/** Remembers that the user's list was there and empty: without a list, theirs cannot be told from none. */
const memoOf = (canary: string, empty: boolean): string => JSON.stringify({ v: 1, canaries: { [canary]: empty ? { subsets: [] } : {} } });
const saysEmpty = (live: KubeObject): boolean => live.metadata.annotations?.[Annotations.overlay]?.includes('"subsets":[]') ?? false;

/** A copy of the rule with our subsets after the user's. */
function laid(raw: KubeObject, subsets: unknown[], memo: string): KubeObject {
  const theirs = listOf(raw)?.filter((subset) => !isOurs(subset)) ?? [];
  return {
    ...raw,
    metadata: { ...raw.metadata, annotations: { ...raw.metadata.annotations, [Annotations.overlay]: memo } },
    spec: { ...(raw['spec'] as object), subsets: [...theirs, ...subsets] },
  };
}

const isLaid = (live: Live): boolean => live.meta.annotations[Annotations.overlay] !== undefined || (listOf(live.raw) ?? []).some(isOurs);

/** A copy of the rule as the user wrote it. */
function lifted(raw: KubeObject): KubeObject {
  const { [Annotations.overlay]: _memo, ...annotations } = raw.metadata.annotations ?? {};
  const { annotations: _all, ...metadata } = raw.metadata;
  const { subsets: _subsets, ...spec } = (raw['spec'] ?? {}) as Record<string, unknown>;
  const theirs = listOf(raw)?.filter((subset) => !isOurs(subset)) ?? [];
  const keep = theirs.length > 0 || saysEmpty(raw);
  return {
    ...raw,
    metadata: Object.keys(annotations).length > 0 ? { ...raw.metadata, annotations } : metadata,
    spec: keep ? { ...(raw['spec'] as object), subsets: theirs } : spec,
  };
}

/** Gives back the user's rules that carry our subsets, except those in `keep`. */
export const giveBackRules = (all: Live[], id: Identity, canary: string, keep: Live[] = []): ObjectWrite[] =>
  all
    .filter((live) => !keep.includes(live) && live.meta.namespace === id.namespace && !isGeneratedFor(live, canary) && isLaid(live))
    .filter(({ raw }) => isHostOf(readDestinationRule(raw).host ?? '', id.service, id.namespace))
    .map(({ raw }) => write('update', 'DestinationRule', lifted(raw), 'subsets of the slots taken away'));

/** The user's rules that remember our subsets and have not those of both slots: somebody wrote over them. */
export function resetRules(all: Live[], id: Identity, canary: string): Reset[] {
  return userRules(all, id, canary)
    .filter(({ meta }) => canaryIn(meta.annotations[Annotations.overlay]) === canary)
    .filter(({ raw }) => new Set(listOf(raw)?.filter(isOurs).map(slotOf)).size < 2)
    .map(({ raw, meta }) => {
      const manager = foreignOwner(raw, '/spec/subsets');
      return { kind: 'DestinationRule', name: meta.name, field: '/spec/subsets', ...(manager === undefined ? {} : { manager }) };
    });
}

/** What a syncing tool is about to apply, with our subsets of the live rule. */
export function overlayRule(manifest: KubeObject, { raw, meta }: Live): KubeObject {
  const canary = canaryIn(meta.annotations[Annotations.overlay]);
  if (canary === undefined) return manifest;
  return laid(structuredClone(manifest), structuredClone((listOf(raw) ?? []).filter(isOurs)), memoOf(canary, listOf(manifest)?.length === 0));
}

const ruleMemo = z.object({ canaries: z.record(z.string(), z.unknown()) });

function canaryIn(memo: string | undefined): string | undefined {
  try {
    return Object.keys(ruleMemo.safeParse(JSON.parse(memo ?? 'null')).data?.canaries ?? {})[0];
  } catch {
    return undefined;
  }
}

const WHY = 'subsets of the slots';

/** The writes that give the Service's host the subsets of the slots. */
export function planSubsetRules(canary: Canary, all: Live[], id: Identity & { subsets: Record<'blue' | 'green', string> }, used: string[], apiVersion: IstioApiVersion): RulesPlan {
  const { name } = canary.metadata;
  const theirs = userRules(all, id, name);
  const wanted = wantedSubsets(canary, theirs, id, used);
  const problems = [...missingSubsets(canary, theirs, id, used), ...problemsOf(wanted.map((subset) => subset.name), id)];
  // Istio takes the policy of the oldest rule, and the subsets of all.
  const [oldest] = theirs;
  if (oldest) {
    const before = listOf(oldest.raw);
    const empty = before?.some(isOurs) ? saysEmpty(oldest.raw) : before?.length === 0;
    const object = laid(oldest.raw, wanted, memoOf(name, empty));
    const writes = isDeepStrictEqual(object, oldest.raw) ? [] : [write('update', 'DestinationRule', object, WHY)];
    return { before: writes, problems, after: [...giveBackRules(all, id, name, [oldest]), ...dropRules(all, id, name)] };
  }
  return { ...planGenerated(canary, all, id, wanted, apiVersion, problems), after: [...giveBackRules(all, id, name), ...dropRules(all, id, name, [id.service])] };
}

function planGenerated(canary: Canary, all: Live[], id: Identity, subsets: Subset[], apiVersion: IstioApiVersion, problems: Problem[]): Pick<RulesPlan, 'before' | 'problems'> {
  const { name } = canary.metadata;
  const live = all.find(({ meta }) => meta.namespace === id.namespace && meta.name === id.service);
  const own = ownPolicy(canary);
  const spec = { host: id.service, ...(own ? { trafficPolicy: own } : {}), subsets };
  if (!live) return { problems, before: [write('create', 'DestinationRule', generatedObject('DestinationRule', apiVersion, { name: id.service, namespace: id.namespace, canary: name }, spec), WHY)] };
  if (isGeneratedFor(live, name)) return { problems, before: isDeepStrictEqual(live.raw['spec'], spec) ? [] : [write('update', 'DestinationRule', { ...live.raw, spec }, WHY)] };
  const message = `${title('DestinationRule', id.namespace, id.service)} exists, is not on host ${id.service} for all clients, and does not belong to Canary ${name}, which needs that name for the subsets of its slots. Rename the rule.`;
  return { before: [], problems: [...problems, { reason: 'NameTaken', message }] };
}
