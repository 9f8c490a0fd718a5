import { seededRandom, type Random } from '../sandbox/mesh/random.js';

/** Above this variance, a normal distribution tells a count well enough. */
const LARGE = 60;

/** Counts as chance draws them. The same seed gives the same draws on every machine. */
export class Draws {
  constructor(private readonly uniform: Random) {}

  /** @param run several streams of draws for one seed, each of its own */
  static seeded(seed: number, run: number): Draws {
    return new Draws(seededRandom(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(run + 1, 0x85ebca6b)));
  }

  /** A whole number below that, each as likely as any other. */
  below(count: number): number {
    return Math.floor(this.uniform() * count);
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** How many of independent events came, of which `mean` come on average. */
  poisson(mean: number): number {
    if (mean <= 0) return 0;
    if (mean > LARGE) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    const at = this.uniform();
    let count = 0;
    let term = Math.exp(-mean);
    for (let sum = term; at > sum && count < 1000; sum += term) term *= mean / (count += 1);
    return count;
  }

  /** How many of `total` are of a kind of which there is the share `share`. */
  binomial(total: number, share: number): number {
    if (share <= 0 || total <= 0) return 0;
    if (share >= 1) return total;
    if (share > 0.5) return total - this.binomial(total, 1 - share);
    const variance = total * share * (1 - share);
    if (variance > LARGE) return Math.min(total, Math.max(0, Math.round(total * share + Math.sqrt(variance) * this.normal())));
    // From one of them to the next.
    const perFailure = Math.log1p(-share);
    let count = 0;
    for (let at = this.#gap(perFailure); at < total; at += 1 + this.#gap(perFailure)) count += 1;
    return count;
  }

  /** 1, 2, 3, … with this mean. */
  geometric(mean: number): number {
    return mean <= 1 ? 1 : 1 + Math.floor(Math.log(1 - this.uniform()) / Math.log(1 - 1 / mean));
  }

  #gap(perFailure: number): number {
    return Math.floor(Math.log(1 - this.uniform()) / perFailure);
  }
}
