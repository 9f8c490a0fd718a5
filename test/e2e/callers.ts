/** What callers got while routes of one kind were in force, for releases in which not only weights count. */
import { expect } from 'vitest';
import type { HistoryEntry } from '../../src/api/index.js';
import type { KubeObject } from '../../src/kube/index.js';
import type { World } from './harness.js';
import type { KeptRequest } from './split.js';

/** What the mesh takes to obey a version on a busy machine; milliseconds. */
const PUSH_MS = 1_000;
/** A version is in force a moment before its watch event is handled here; milliseconds. */
const GUARD_MS = 100;
/** Longer than any answer takes that no test makes slower; milliseconds. */
export const LATEST_MS = 5_000;

interface Route {
  name?: string;
  fault?: { delay?: object; abort?: object };
  mirrors?: unknown[];
  route?: { destination: { host: string }; weight?: number }[];
}
export const routesOf = (object: KubeObject): Route[] => (object['spec'] as { http?: Route[] } | undefined)?.http ?? [];

/** True for a version with a rule of Sluice's of this kind: `match`, `session`, `weights`, `fault`. */
export const holds =
  (kind: string) =>
  (object: KubeObject): boolean =>
    routesOf(object).some(({ name }) => name?.startsWith(`sluice.dev/reviews/${kind}-`));

/** The newest version of a VirtualService. */
export function latest(world: World, key: string): KubeObject {
  const last = world.recorder.virtualServices.findLast((version) => version.key === key);
  if (!last || last.deleted) throw new Error(`VirtualService ${key} does not exist`);
  return last.object;
}

interface Span {
  from: number;
  to: number;
}

/** When versions of a VirtualService were in force that `wanted` holds for, as far as every proxy had learned of them. */
export function spans(world: World, key: string, since: number, wanted: (object: KubeObject) => boolean): Span[] {
  const versions = world.recorder.virtualServices.filter((version) => version.key === key);
  return versions.flatMap(({ at, object, deleted }, index) => {
    if (deleted || at < since || !wanted(object)) return [];
    const before = versions[index - 1];
    // A version that changes nothing that counts goes on with the one before.
    const continued = before && !before.deleted && JSON.stringify(before.object['spec']) === JSON.stringify(object['spec']);
    return [{ from: continued ? at : at + PUSH_MS, to: (versions[index + 1]?.at ?? Date.now()) - GUARD_MS }];
  });
}

/** The requests that were sent in these times, once their answers are there. */
export async function sentIn(world: World, times: Span[]): Promise<KeptRequest[]> {
  const last = Math.max(0, ...times.map(({ to }) => to));
  await world.until('the answers to what was sent', () => Date.now() > last + LATEST_MS);
  return (await world.requests()).filter(({ time }) =>
    times.some(({ from, to }) => Date.parse(time) >= from && Date.parse(time) < to),
  );
}

export const ofGroup = (requests: KeptRequest[], group: string): KeptRequest[] =>
  requests.filter((request) => request.group === group);

/** Asserts that a group called often enough to tell, and that every answer was this revision's. */
export function assertOnly(requests: KeptRequest[], group: string, revision: string, least = 20): void {
  const own = ofGroup(requests, group);
  expect(own.length, `requests of ${group}`).toBeGreaterThanOrEqual(least);
  const others = own.filter((request) => request.revision !== revision);
  expect(
    others.slice(0, 3),
    `answers to ${group} that revision ${revision} did not give (${others.length} of ${own.length})`,
  ).toEqual([]);
}

/** Asserts that all callers got answers of this revision, a while after the release had ended. */
export async function assertEverybodyOn(world: World, { endedAt }: HistoryEntry, revision: string): Promise<void> {
  const from = Date.parse(endedAt) + PUSH_MS;
  await world.until('two seconds after the release', () => Date.now() > from + 2_000);
  const requests = await sentIn(world, [{ from, to: from + 2_000 }]);
  expect(requests.length).toBeGreaterThan(20);
  expect([...new Set(requests.map((request) => request.revision))], 'revisions that answered after the release').toEqual([
    revision,
  ]);
}

/** Asserts that no request failed, of these groups. */
export function assertNoneFailed(requests: KeptRequest[], groups?: string[]): void {
  const failed = requests.filter(
    ({ status, group }) => (status === 0 || status >= 500) && (groups === undefined || groups.includes(group ?? '')),
  );
  expect(failed.slice(0, 3), `failed requests (${failed.length})`).toEqual([]);
}
