import type { Measurement } from '../../src/core/evidence.js';
import type { Notification, Windows } from '../../src/engine/ports.js';
import type { CanaryStatus, SlotName, Verb } from '../../src/api/index.js';
import type { KubeObject } from '../../src/kube/types.js';
import type { Write } from './api.js';
import { heldVersion, wantedVersion } from './git.js';
import { SERVICE } from './mesh.js';
import type { Process } from './process.js';
import { DEADLINE_S, INTERVAL_MS } from './settings.js';
import type { World } from './world.js';
import { VERSIONS } from '../versions.js';

const ENDINGS = new Set(['Succeeded', 'Failed', 'Superseded', 'Cancelled']);
const METRICS = ['request-success-rate', 'request-duration'];
/** Messages are sent from copies that may be a little old. */
const COPY_MS = 4_000;

/** A step's clock starts with the intent to write its weight when the write takes no longer than this. */
const WRITE_MS = 300;

/** How late an action may reach the controllers while watches come back. */
const LATE_ABORT_MS = 60_000;

/** `revisions.settle` of the Canary, and what it may take until a change is seen. */
const SETTLE_MS = 1_000;
const LOOK_MS = 150;

interface Raise {
  weight: number;
  at: number;
}
/** A slot on its way up. */
interface Attempt {
  raises: Raise[];
  /** The plan's order says nothing of it: the plan was edited, or an emergency gave it everything. */
  edited: boolean;
  since: number;
}
interface Started {
  revision: string;
  /** What the target wanted when the message came. */
  wanted: string;
  at: number;
  /** Anything since then that may make a release fail although the version is good. */
  excuse: boolean;
}

/** Follows every release by its weights and its messages. */
export class Runs {
  /** How often each version was what the target and its configuration said. */
  readonly #appearances = new Map<string, number>();
  /** Versions of late, and until when they were the wanted ones. */
  #recent: { image: string; config: string; until?: number }[] = [];
  #wanted = '';
  #wantedSince = 0;
  /** For how long each version was the wanted one at most, as a controller may have seen it, in milliseconds. */
  readonly #stood = new Map<string, number>();
  readonly #versions = new Map<string, string>();
  readonly #attempts: Record<SlotName, Attempt>;
  readonly #held: Partial<Record<SlotName, string>> = {};
  readonly #good = new Map<string, { at: number; from: number }>();
  readonly started = new Map<string, Started>();
  readonly endings = new Map<string, string>();
  /** In the order in which the receiver got them. */
  readonly messages: { event: string; revision: string; at: number }[] = [];
  /** Messages that the receiver got more than once. */
  readonly repeated: string[] = [];
  readonly failedVersions = new Set<string>();
  readonly #receipts = new Map<string, { by: string }>();
  readonly #settled = new Map<string, number>();
  /** Promotions that somebody asked for and that were not used up. */
  #promotes = 0;
  /** Versions that served before. */
  readonly #known = new Set<string>();
  /** An abort that names no revision may reach the controllers late, and then it is for the run of that time. */
  #abortedAt = -Infinity;
  #disturbedAt = -Infinity;
  /** By revision: the message that its run has started may come long after. */
  readonly #filledAt = new Map<string, number>();
  outsider = false;
  edited = false;

  constructor(private readonly world: World) {
    this.#attempts = { blue: this.#fresh(), green: this.#fresh() };
  }
  #fresh(): Attempt {
    return { raises: [], edited: false, since: this.world.now };
  }

  appeared(version: string): void {
    if (version === this.#wanted) return;
    this.#stands(this.#wanted);
    this.#wanted = version;
    this.#wantedSince = this.world.now;
    this.world.note(`the target wants ${version}`);
    this.#add(version);
    this.#mixed(version);
  }
  #stands(version: string): void {
    const { now, troubleUntil, clockError, setting } = this.world;
    const seen = troubleUntil > this.#wantedSince ? Infinity : now - this.#wantedSince + setting.watchLag + clockError + LOOK_MS;
    this.#stood.set(version, Math.max(this.#stood.get(version) ?? 0, seen));
  }
  #add(version: string): void {
    this.#appearances.set(version, (this.#appearances.get(version) ?? 0) + 1);
  }
  /**
   * The target and its configuration are seen by two watches. Where one is late by more than the time that a change is given to
   * settle, what is seen is the new one of the one and the old one of the other.
   */
  #mixed(version: string): void {
    const [image = '', config = ''] = version.split('+');
    const { now, troubleUntil, setting } = this.world;
    const since = now - (troubleUntil > now ? 45_000 : 1_000 + 2 * setting.watchLag);
    this.#recent = this.#recent.filter(({ until }) => until === undefined || until >= since);
    for (const item of this.#recent) item.until ??= now;
    for (const old of this.#recent) if (old.image !== image && old.config !== config) for (const mixed of [`${image}+${old.config}`, `${old.image}+${config}`]) this.#add(mixed);
    this.#recent.push({ image, config });
  }
  acted(verb: Verb): void {
    if (verb === 'promote') this.#promotes += 1;
    // A person may run a failed version again.
    if (verb === 'retry') for (const version of this.#appearances.keys()) this.#appearances.set(version, (this.#appearances.get(version) ?? 0) + 1);
    if (verb !== 'abort') return;
    this.#abortedAt = this.world.now;
    this.disturbed();
  }
  /** Something happened that a good version may fail of. */
  disturbed(): void {
    this.#disturbedAt = this.world.now;
    for (const run of this.started.values()) run.excuse = true;
  }

  filled(slot: SlotName, deployment: KubeObject): void {
    const version = heldVersion(this.world, deployment);
    const revision = deployment.metadata.labels?.['sluice.dev/revision'] ?? '';
    const known = this.#versions.get(revision);
    if (known !== undefined && known !== version) this.world.fail('truth 4', `revision ${revision} was ${known} and is ${version}`);
    this.#versions.set(revision, version);
    this.#filledAt.set(revision, this.world.now);
    this.#held[slot] = version;
    this.#attempts[slot] = this.#fresh();
  }

  handed(metric: string, service: string, from: number, measurement: Measurement): void {
    if (measurement.kind !== 'Value' || Number.isNaN(measurement.value)) return;
    const good = metric === 'request-duration' ? measurement.value <= 500 : measurement.value >= 99;
    if (good) this.#good.set(`${service}/${metric}`, { at: this.world.now, from });
    else this.disturbed();
  }

  /** Both versions' counts were handed over. */
  compared({ windows }: Extract<Windows, { kind: 'Windows' }>): void {
    const worse = windows.some(({ canary, stable }) => canary.bad.some((bad, index) => bad * stable.total > (stable.bad[index] ?? 0) * canary.total));
    if (worse) this.disturbed();
  }

  weights(was: Record<SlotName, number>, is: Record<SlotName, number>, alone: SlotName | undefined): void {
    for (const slot of ['blue', 'green'] as const) {
      if (is[slot] === 0 && was[slot] > 0) this.#attempts[slot] = this.#fresh();
      // Going down from all that an emergency gave is where the plan begins.
      if (is[slot] !== was[slot] && is[slot] > 0 && slot !== this.world.auditor.stable && this.world.auditor.adopted) this.#raised(slot, is[slot], alone === slot, is[slot] < was[slot]);
    }
  }

  /** Truths 4, 6 and 9: in order, not early, not without good evidence. */
  #raised(slot: SlotName, weight: number, alone: boolean, falls: boolean): void {
    const attempt = this.#attempts[slot];
    const highest = attempt.raises.at(-1);
    const { plan, now } = this.world;
    if (this.edited) attempt.edited = true;
    const outsider = this.outsider;
    this.outsider = false;
    // While nobody else can serve it has everything, and its steps are passed with that.
    if (alone) attempt.edited = true;
    if (alone || (highest && weight <= highest.weight)) return;
    attempt.raises.push({ weight, at: now });
    if (falls || this.#excused(slot)) return;
    const next = plan.find((step) => step > (highest?.weight ?? 0)) ?? 100;
    if (weight !== next && !attempt.edited && !outsider) this.world.fail('truth 6', `slot ${slot} goes from ${highest?.weight ?? 0} % to ${weight} %, and the plan says ${next} %`);
    if (highest) this.#earned(slot, highest, weight);
    else if (weight === 100 && !attempt.edited) this.world.fail('truth 4', `slot ${slot} is given everything and was never analysed`);
  }
  /** A person's word, or its past, is enough. */
  #excused(slot: SlotName): boolean {
    const version = this.#held[slot] ?? '';
    return this.#promotes > 0 || this.#known.has(version) || this.world.spec?.skipAnalysis === true;
  }
  #earned(slot: SlotName, last: Raise, weight: number): void {
    const { now, clockError } = this.world;
    const held = now - last.at;
    if (held < INTERVAL_MS - clockError - WRITE_MS) this.world.fail('truth 6', `slot ${slot} was held ${held} ms at ${last.weight} %, not ${INTERVAL_MS}`);
    for (const metric of METRICS) {
      const good = this.#good.get(`${SERVICE}-${slot}/${metric}`);
      // Latency may be judged on a part of the plan only: it has to warm up first.
      const since = metric === 'request-duration' && weight !== 100 ? 0 : last.at - clockError;
      if ((good?.from ?? -1) < since - 50 && (metric !== 'request-duration' || weight === 100)) this.world.fail('truth 9', `slot ${slot} goes to ${weight} % without a good ${metric} at ${last.weight} %`);
    }
  }

  promoted(slot: SlotName): void {
    this.#known.add(this.#held[slot] ?? '');
    this.edited = false;
    this.#promotes = 0;
    this.#attempts[slot] = this.#fresh();
  }
  /** What the adoption found served before. */
  adoptedAt(slot: SlotName): void {
    this.#known.add(this.#held[slot] ?? '');
  }

  /** The outbox as it is stored: a message that left it must not come again. */
  stored({ before, after }: Write): void {
    const texts = (object: KubeObject | undefined): Set<string> => new Set(((object?.['status'] as CanaryStatus | undefined)?.messages ?? []).filter(({ to }) => to.includes('all')).map(({ id }) => id));
    const now = texts(after);
    for (const id of texts(before)) if (!now.has(id)) this.#settled.set(id, this.world.now);
  }

  received(process: Process, { id, event, revision = '', reason }: Notification): void {
    const { world } = this;
    world.note(`>> ${event} ${revision} ${reason ?? ''} [${id}] by ${process.id}`);
    const known = this.#receipts.get(id);
    if (known?.by === process.id) return world.fail('truth 7', `${id} was sent twice by ${process.id}`);
    const settled = this.#settled.get(id);
    if (settled !== undefined && world.now > settled + COPY_MS) return world.fail('truth 7', `${id} was sent again ${world.now - settled} ms after it had left the outbox`);
    this.#receipts.set(id, { by: process.id });
    if (known) {
      this.repeated.push(id);
      return;
    }
    this.messages.push({ event, revision, at: world.now });
    const run = id.split('/').at(-2) ?? '';
    if (event === 'Started') this.#start(run, revision);
    if (ENDINGS.has(event)) this.#end(run, event, revision);
  }

  #start(run: string, revision: string): void {
    const disturbed = this.#disturbedAt >= (this.#filledAt.get(revision) ?? Infinity);
    if (!this.started.has(run)) this.started.set(run, { revision, wanted: this.#wanted, at: this.world.now, excuse: disturbed || this.world.now < this.#abortedAt + LATE_ABORT_MS });
  }
  #end(run: string, event: string, revision: string): void {
    const { world } = this;
    const before = this.endings.get(run);
    if (before !== undefined) return world.fail('truth 7', `run ${run} ended as ${before} and as ${event}`);
    this.endings.set(run, event);
    if (event !== 'Failed') return;
    const start = this.started.get(run);
    // One that never came as far as a slot is what was wanted when it began.
    const version = this.#versions.get(revision) ?? start?.wanted;
    if (version) this.failedVersions.add(version);
    const startup = VERSIONS[version?.split('+')[0] ?? '']?.startup;
    const slow = startup === undefined || startup > 30_000;
    if (start && !start.excuse && !slow && version && world.now - start.at < DEADLINE_S * 1_000 - world.clockError - 5_000) world.fail('truth 9', `${version} failed ${world.now - start.at} ms after its start, and nothing was wrong with it`);
  }

  /** Truth 5: what ran, ran for an appearance; nothing that was committed is lost. */
  atRest(serving: KubeObject): void {
    const { world } = this;
    const serves = heldVersion(world, serving);
    const wanted = wantedVersion(world);
    // What was aborted before it began is quarantined, too; nothing of it was ever told.
    const aborted = this.#abortedAt > this.#wantedSince - LATE_ABORT_MS;
    if (wanted !== undefined && serves !== wanted && !aborted && !this.failedVersions.has(wanted)) world.fail('truth 5', `${wanted} is committed, ${serves} serves, and no release of ${wanted} failed`);
    this.closed();
  }
  /** Every start has its ending. */
  closed(): void {
    const { world } = this;
    for (const [run, { revision }] of this.started) if (!this.endings.has(run)) world.fail('truth 7', `run ${run} of ${revision} was started and never ended`);
    for (const run of this.endings.keys()) if (!this.started.has(run)) world.fail('truth 7', `run ${run} ended and was never started`);
    const counts = new Map<string, number>();
    for (const { revision } of this.started.values()) {
      const version = this.#versions.get(revision);
      if (version) counts.set(version, (counts.get(version) ?? 0) + 1);
    }
    for (const [version, count] of counts) {
      const appeared = this.#appearances.get(version) ?? 0;
      const stood = version === this.#wanted ? Infinity : (this.#stood.get(version) ?? Infinity);
      if (stood < SETTLE_MS) world.fail('truth 4', `${version} was released, and was what the target and its configuration said for ${stood} ms at most: a commit is several writes`);
      if (count > appeared) world.fail('truth 5', `${version} was released ${count} times and appeared ${appeared} times`);
    }
  }
}
