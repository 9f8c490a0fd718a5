/** A controller that breaks one of the nine truths on purpose. */
export interface Mutant {
  name: string;
  /** What it breaks: a truth of the design, or the fence between leaders. */
  truth: number | 'fencing';
  edits: { file: string; find: string; replace: string }[];
  /** A seed whose schedule shows it: where the search begins. */
  first: number;
}

const core = (name: string): string => `src/core/${name}.ts`;
const engine = (name: string): string => `src/engine/${name}.ts`;

export const MUTANTS: Mutant[] = [
  {
    name: 'pods go as soon as nothing routes to them, whatever proxies know',
    truth: 1,
    edits: [{ file: core('draft'), find: 'return this.now >= since + this.drainMs;', replace: 'return this.now >= since;' }],
    first: 10,
  },
  {
    name: 'traffic returns to the stable slot whether or not it can serve',
    truth: 1,
    edits: [{ file: core('traffic'), find: '  const weights = towards(draft, stable);\n', replace: '  const weights = { [stable]: 100, [canary.slot]: 0 } as Weights | undefined;\n' }],
    first: 285,
  },
  {
    name: 'subsets go while late proxies still send by them',
    truth: 1,
    edits: [{ file: core('traffic'), find: 'keepRules: true as const', replace: 'keepRules: undefined' }],
    first: 8,
  },
  {
    name: 'a route names a control arm that proxies had no time to learn of',
    truth: 1,
    edits: [{ file: core('traffic'), find: 'return draft.now < since + draft.drainMs ? `proxies', replace: 'return draft.now < since ? `proxies' }],
    first: 137,
  },
  {
    name: 'a control arm goes while late proxies still send to it',
    truth: 1,
    edits: [{ file: core('decide'), find: ' && draft.drained(draft.freeSlot)) draft.do({ type: \'deleteControl\' });', replace: ') draft.do({ type: \'deleteControl\' });' }],
    first: 75,
  },
  {
    name: 'weights of a generated route do not sum to 100',
    truth: 2,
    edits: [{ file: 'src/mesh/istio/generated.ts', find: 'weight: weights[slot],', replace: 'weight: Math.min(99, weights[slot]),' }],
    first: 1,
  },
  {
    name: 'a share rises without the pods that it needs',
    truth: 3,
    edits: [{ file: core('capacity'), find: 'if (rises && slot.ready < need)', replace: 'if (rises && slot.ready < 0)' }],
    first: 285,
  },
  {
    name: 'a new revision replaces the pods of a slot in place',
    truth: 4,
    edits: [{ file: core('slots'), find: 'if (slot.revision !== undefined && (slot.replicas > 0 || slot.pods > 0)) {', replace: 'if (slot.revision !== undefined && slot.replicas < 0) {' }],
    first: 2,
  },
  {
    name: 'half of a commit is released',
    truth: 4,
    edits: [{ file: core('decide'), find: 'return draft.now >= until;', replace: 'return true;' }],
    first: 179,
  },
  {
    name: 'a failed revision is not quarantined',
    truth: 5,
    edits: [{ file: core('endings'), find: "if (result === 'Failed') quarantine(draft, entry);", replace: '' }],
    first: 21,
  },
  {
    name: 'a superseded revision counts as a failed one',
    truth: 5,
    edits: [{ file: core('endings'), find: "if (result === 'Failed') quarantine(draft, entry);", replace: "if (result !== 'Succeeded') quarantine(draft, entry);" }],
    first: 80,
  },
  {
    name: 'a step is left before its hold is over',
    truth: 6,
    edits: [
      { file: core('gates'), find: 'draft.status.nextStepTime = iso(draft.now + after);', replace: 'draft.status.nextStepTime = iso(draft.now + after / 2);' },
      { file: core('steps'), find: 'const holdUntil = startedAt + rules.holdMs;', replace: 'const holdUntil = startedAt;' },
    ],
    first: 5,
  },
  {
    name: 'the second step is skipped',
    truth: 6,
    edits: [{ file: core('steps'), find: 'const nextIndex = nextStepIndex(plan, current);', replace: 'const nextIndex = undefined as number | undefined;' }],
    first: 5,
  },
  {
    name: 'a superseded run ends without a word',
    truth: 7,
    edits: [{ file: core('endings'), find: 'tell(draft, result, SEVERITY[result]', replace: "if (result !== 'Superseded') tell(draft, result, SEVERITY[result]" }],
    first: 40,
  },
  {
    name: 'a message that was accepted is sent again',
    truth: 7,
    edits: [{ file: engine('outbox'), find: 'delivered.add(id);', replace: '' }],
    first: 2,
  },
  {
    name: 'overlays stay on the objects of the user',
    truth: 8,
    edits: [{ file: core('overlay'), find: 'for (const path of Object.keys(overlay.ours)) original[path] = userValue(object, path);', replace: 'for (const path of Object.keys(overlay.ours)) original[path] = overlay.ours[path] ?? null;' }],
    first: 2,
  },
  {
    name: "a user's annotations go with the overlay",
    truth: 8,
    edits: [{ file: core('overlay'), find: 'return patchOf(fields, JSON.stringify(memoNow));', replace: "return { ...patchOf(fields, JSON.stringify(memoNow)), metadata: { annotations: { 'example.com/team': null, [Annotations.overlay]: JSON.stringify(memoNow) } } };" }],
    first: 2,
  },
  {
    name: 'a version is taken back by a comparison that shows nothing',
    truth: 9,
    edits: [{ file: core('verdict/outcome'), find: 'strength >= Math.log(1 / options.alpha)', replace: 'strength > -9' }],
    first: 1,
  },
  {
    name: 'NaN passes',
    truth: 9,
    edits: [{ file: core('checks'), find: 'if (Number.isNaN(value)) {', replace: 'if (value === undefined) {' }],
    first: 186,
  },
  {
    name: 'an unreachable metrics server makes a version bad',
    truth: 9,
    edits: [{ file: core('steps'), find: "checks.some((item) => item.verdict === 'Fail') ? 'Fail'", replace: "checks.some((item) => item.verdict === 'Fail' || item.verdict === 'Error') ? 'Fail'" }],
    first: 140,
  },
  {
    name: 'a leader whose lease has ended goes on writing',
    truth: 'fencing',
    edits: [{ file: 'src/kube/lease.ts', find: 'if (this.isLeader()) return;\n    throw', replace: 'if (this.options.identity) return;\n    throw' }],
    first: 51,
  },
  {
    name: 'whoever takes over raises no fence against late writes',
    truth: 'fencing',
    edits: [{ file: engine('reconciler'), find: '(await this.options.fence?.raise(live))', replace: '(await Promise.resolve(live === undefined))' }],
    first: 30,
  },
];
