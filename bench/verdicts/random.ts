/** Uniform numbers in [0, 1) from a seed: the same on every machine. Mulberry32 (Tommy Ettinger, public domain). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Above this mean, a normal distribution tells a Poisson count well enough. */
const LARGE = 60;

/** Draws that a simulation of traffic needs. */
export class Draws {
  constructor(private readonly uniform: () => number) {}

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  poisson(mean: number): number {
    if (mean <= 0) return 0;
    if (mean > LARGE) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    const at = this.uniform();
    let count = 0;
    let term = Math.exp(-mean);
    for (let sum = term; at > sum && count < 1000; sum += term) term *= mean / (count += 1);
    return count;
  }

  /** 1, 2, 3, … with this mean. */
  geometric(mean: number): number {
    return 1 + Math.floor(Math.log(1 - this.uniform()) / Math.log(1 - 1 / mean));
  }

  /** Multiplies by a factor whose logarithm has this standard deviation; its median is 1. */
  logNormal(sigma: number): number {
    return Math.exp(sigma * this.normal());
  }
}
