/** Plays a scenario of examples/bookinfo on the built-in parts, and looks at what callers saw. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Canary } from '../../src/api/index.js';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject, Resource } from '../../src/kube/types.js';
import { readExample } from '../../src/sandbox/example.js';
import { Player, type Summary } from '../../src/sandbox/play.js';
import { NAMESPACE, startSandbox, type Sandbox } from '../../src/sandbox/sandbox.js';
import { DEMO_METRICS, type CallerGroup } from '../../src/sandbox/script.js';
import type { Sight } from '../../src/sandbox/seen.js';

/**
 * A busy machine makes answers slow, and leaves some out. These tests are about routes, so they call less often, and judge by errors
 * only: bad versions fail a quarter of their requests and more.
 */
const METRICS = [{ name: 'request-success-rate', thresholdRange: { min: 85 }, minSamples: 5 }];
const MOST_RPS = 15;
/** For a version of which a quarter of the answers are errors: a bound that few requests rarely keep by chance. */
export const STRICT = [{ name: 'request-success-rate', thresholdRange: { min: 95 }, minSamples: 5 }];
/** Standard deviations that a share may be off; beyond it in one of 150,000 runs. */
const CHANCE = 4.5;

export interface PlayedOptions {
  /** Called at every change of the Canary. */
  during?: (canary: Canary, sandbox: Sandbox) => void;
  /** Laid over the scenario's analysis. */
  analysis?: Record<string, unknown>;
  /** Laid over the scenario's `service`. */
  service?: Record<string, unknown>;
  /** Instead of the scenario's callers. */
  callers?: CallerGroup[];
  /** Requests per second of a group at most; default is few. */
  mostRps?: number;
  /** Binaries that take the place of the sandbox's own parts. */
  real?: { envoy: string; prometheus: string };
}

/** What a scenario came to. */
class Played {
  constructor(
    readonly summary: Summary,
    /** The object as it was before the first commit, and as it is after the last release. */
    readonly before: Map<string, KubeObject>,
    readonly after: Map<string, KubeObject>,
  ) {}

  /** How the releases ended. */
  get results(): string[] {
    return this.summary.releases.map(({ result }) => result);
  }

  /** What a group saw while a stage lasted, in every step of that name. */
  saw(release: number, stage: string, group = 'anybody'): Sight {
    const found = this.summary.seen.find((sight) => sight.release === release && sight.stage === stage && sight.group === group);
    if (!found) throw new Error(`${group} called nobody in release ${release}, ${stage}: ${JSON.stringify(this.summary, undefined, 1)}`);
    return found;
  }

  /** Bookinfo's versions that a group got answers from. */
  versions(release: number, stage: string, group?: string): string[] {
    return Object.keys(this.saw(release, stage, group).versions)
      .filter((version) => version !== '-')
      .sort();
  }

  /** How far the share of a version is from a weight (percent), in what so many answers may be off by chance: at most 1 when the weight is in force. */
  offBy(weight: number, release: number, stage: string, version: string, group?: string): number {
    const { versions } = this.saw(release, stage, group);
    const total = Object.values(versions).reduce((sum, count) => sum + count, 0);
    const share = weight / 100;
    return Math.abs((versions[version] ?? 0) - total * share) / (CHANCE * Math.sqrt(total * share * (1 - share)));
  }
}

/** Everything that a user has written, by `Kind/name`: how it is routed, without what servers and Sluice note beside it. */
async function routing(sandbox: Sandbox): Promise<Map<string, KubeObject>> {
  const found = new Map<string, KubeObject>();
  for (const resource of [Resources.VirtualService, Resources.DestinationRule] as Resource[])
    for (const object of (await sandbox.client.list(resource, { namespace: NAMESPACE })).items) found.set(`${resource.kind}/${object.metadata.name}`, object);
  return found;
}

/** Play a scenario to its end. */
export async function play(which: string, options: PlayedOptions = {}): Promise<Played> {
  const example = await readExample(which);
  if (!example) throw new Error(`there is no scenario ${which}`);
  const { script } = example;
  // Long enough for requests that were surely sent while a step was in force.
  const metrics = script.analysis['metrics'] === DEMO_METRICS ? METRICS : script.analysis['metrics'];
  const analysis = { interval: '4s', ...script.analysis, metrics, ...options.analysis };
  const { mostRps = MOST_RPS } = options;
  const callers = (options.callers ?? script.callers)?.map((group) => ({ ...group, rps: Math.min(mostRps, group.rps) }));
  const canary = options.service ? { ...script.canary, service: { ...(script.canary?.['service'] as object | undefined), ...options.service } } : script.canary;
  const sandbox = await startSandbox({ rps: mostRps, analysis, canary, callers, files: script.files, ...options.real });
  try {
    const stop = sandbox.canaries.onChange((_, canary) => canary && options.during?.(canary, sandbox));
    const before = await routing(sandbox);
    const signal = AbortSignal.timeout(240_000);
    // What callers saw before the first commit is part of the story.
    while (sandbox.seen.all().length === 0 && !signal.aborted) await sleep(100);
    const player = new Player({ sandbox, script, signal, onCommit: () => {}, sleep: (ms) => sleep(ms), now: Date.now });
    await player.play();
    stop();
    return new Played(player.summary(), before, await routing(sandbox));
  } finally {
    await sandbox.stop();
  }
}
