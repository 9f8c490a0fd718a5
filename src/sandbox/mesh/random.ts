/** Numbers in [0, 1). */
export type Random = () => number;

/** A small repeatable generator (mulberry32), so that a test's or a demo's traffic split can be played again. */
export const seededRandom = (seed: number): Random => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

/** One of `choices`, with probability by weight. @throws Error when there is none. */
export const pickWeighted = <T extends { weight: number }>(choices: readonly T[], random: Random): T => {
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  let point = random() * total;
  for (const choice of choices) {
    point -= choice.weight;
    if (point < 0) return choice;
  }
  const last = choices.at(-1);
  if (last === undefined) throw new Error('pickWeighted: expected at least one choice');
  return last;
};
