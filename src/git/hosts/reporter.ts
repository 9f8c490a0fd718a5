import type { Canary, GitSource } from '../../api/index.js';
import type { Clock } from '../schedule.js';
import { mayReach, type Tenancy } from '../tenancy.js';
import { short } from '../text.js';
import { hostOf, HOSTS, type HostOptions } from './index.js';
import { Lane } from './lane.js';
import { statusOf, verdictsOf, type TargetCommit, type Verdict } from './verdicts.js';

const MAX_TOLD = 20_000;
const RANKS = { end: 0, start: 1, weight: 2 } as const;

export interface StatusReporterOptions extends HostOptions {
  /** Which Canaries a GitSource speaks for. */
  tenancy: Tenancy;
  gitSource: (namespace: string, name: string) => GitSource | undefined;
  /** The commit that the target of a Canary carries now. */
  targetCommit: (canary: Canary) => TargetCommit | undefined;
  clock: Clock;
  cluster?: string;
  /** Something could not be told; the message holds no secret. */
  onFailure: (canary: Canary, message: string, final: boolean) => void;
}

/**
 * Tells commits how their releases go. What must be told comes from the Canary's status, so a restart loses nothing; only the
 * newest state of a commit is ever sent, endings first, and weights only while the host's budget is half full.
 */
export class StatusReporter {
  readonly #lanes = new Map<string, Lane>();
  readonly #told = new Map<string, string>();

  constructor(private readonly options: StatusReporterOptions) {}

  /** A Canary changed. */
  observe(canary: Canary): void {
    for (const verdict of verdictsOf(canary, this.options.clock.now(), this.options.targetCommit(canary))) {
      const source = this.#source(canary, verdict);
      if (source?.spec.writeBack?.host?.statuses) this.#wish(canary, source, verdict);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()));
  }

  #source({ metadata }: Canary, { source }: Verdict): GitSource | undefined {
    const [namespace = '', name = ''] = source.split('/');
    return mayReach(this.options.tenancy, namespace, metadata.namespace ?? 'default') ? this.options.gitSource(namespace, name) : undefined;
  }

  #wish(canary: Canary, source: GitSource, verdict: Verdict): void {
    const key = `${canary.metadata.uid ?? ''} ${verdict.source} ${verdict.commit}`;
    const text = `${verdict.run} ${verdict.state} ${verdict.description}`;
    const lane = this.#lane(source);
    if (this.#told.get(key) === text) return lane.drop(key);
    // Before anything of a run was told, the first word about it is its start, whatever its weight is by then.
    const first = !this.#told.get(key)?.startsWith(`${verdict.run} `);
    const rank = verdict.rank === 'weight' && first ? 'start' : verdict.rank;
    lane.put({
      key,
      text,
      rank: RANKS[rank],
      optional: rank === 'weight',
      send: () => this.#send(canary, verdict),
      onDone: () => this.#remember(key, text),
      onFailure: (message, final) => {
        if (final) this.#remember(key, text);
        this.options.onFailure(canary, `status of commit ${short(verdict.commit)}: ${message}`, final);
      },
    });
  }

  async #send(canary: Canary, verdict: Verdict): Promise<void> {
    const source = this.#source(canary, verdict);
    const place = source && (await hostOf(this.options, source));
    if (place) await place.host.setStatus(place.repository, verdict.commit, statusOf(canary, source, verdict, this.options.cluster));
  }

  #lane({ spec }: GitSource): Lane {
    const { type = 'github', api } = spec.writeBack?.host ?? {};
    const key = `${type} ${api ?? spec.url.replace(/^(\w+:\/\/)?([^/]*@)?/, '').split(/[:/]/)[0]}`;
    const lane = this.#lanes.get(key) ?? new Lane(HOSTS[type].limits, this.options.clock);
    this.#lanes.set(key, lane);
    return lane;
  }

  #remember(key: string, text: string): void {
    this.#told.delete(key);
    this.#told.set(key, text);
    if (this.#told.size > MAX_TOLD) this.#told.delete(this.#told.keys().next().value ?? '');
  }
}
