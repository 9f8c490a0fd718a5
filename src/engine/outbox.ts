import type { Canary, CanaryMessage, HistoryEntry } from '../api/index.js';
import { HOOK_PREFIX } from '../core/messages.js';
import { otherSlot } from '../core/names.js';
import type { Cache } from './cache.js';
import { linksTo, type LinkTemplate } from './links.js';
import type { HookCaller, Notification, Notifier } from './ports.js';
import { credentialsOf } from './secrets.js';
import type { SecretReader } from './revisions.js';

/** A receiver that stays unreachable for this long does not get the message any more, in milliseconds. */
const GIVE_UP_MS = 3_600_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** A deleted Canary waits for its messages, so they are tried more often. */
const LAST_RETRY_MS = 5_000;
/** Several receivers accept at about the same time; the status is stored once for them. */
const SETTLE_MS = 200;

export interface OutboxOptions {
  cache: Cache;
  notifier: Notifier;
  hooks: HookCaller;
  secrets: SecretReader;
  now: () => number;
  cluster?: string;
  /** Views of a release that messages lead to. */
  links?: LinkTemplate[];
  allowCrossNamespace: boolean;
  /** Of earlier terms of this process; none by default. */
  receipts?: Receipts;
  /** A message was accepted, or given up: the Canary's outbox is shorter now. */
  onDone: (key: string, at: number) => void;
  onFailure: (canary: Canary, receiver: string, message: string, final: boolean) => void;
}

const isGoing = ({ metadata }: Canary): boolean => metadata.deletionTimestamp !== undefined;

/** Asking again cannot help. */
class Refused extends Error {
  readonly retryable = false;
}

interface Attempt {
  tries: number;
  /** When the last try failed, and when the next one is due, in unix milliseconds. */
  failedAt: number;
  nextAt: number;
  underWay: boolean;
}

const dueAt = (canary: Canary, { failedAt, nextAt }: Attempt): number => (isGoing(canary) ? Math.min(nextAt, failedAt + LAST_RETRY_MS) : nextAt);

/**
 * What is known of the messages that this process sent. It outlives a term of leadership: a process that leads again must not
 * repeat what it sent in the term before, even when the answer comes only now.
 */
export class Receipts {
  readonly delivered = new Set<string>();
  readonly attempts = new Map<string, Attempt>();
}

/**
 * Delivers the messages that a stored status holds. A message that was accepted is remembered until the status no longer
 * holds it, so within one life it is sent once; after a crash between the two it may be sent again, with the same id.
 */
export class Outbox {
  readonly #receipts: Receipts;

  constructor(private readonly options: OutboxOptions) {
    this.#receipts = options.receipts ?? new Receipts();
  }

  /** `MESSAGE>RECEIVER` of what was accepted. */
  get delivered(): ReadonlySet<string> {
    return this.#receipts.delivered;
  }

  /** Start what is due; returns when to look again (unix milliseconds). */
  deliver(key: string, canary: Canary): number | undefined {
    let wakeAt: number | undefined;
    for (const message of canary.status?.messages ?? [])
      for (const receiver of message.to) {
        const id = `${message.id}>${receiver}`;
        if (this.delivered.has(id)) continue;
        const attempt = this.#receipts.attempts.get(id) ?? { tries: 0, failedAt: 0, nextAt: 0, underWay: false };
        this.#receipts.attempts.set(id, attempt);
        // Its end wakes the queue that began it, which may be that of an earlier term.
        if (attempt.underWay) wakeAt = Math.min(wakeAt ?? Infinity, this.options.now() + MAX_RETRY_MS);
        else if (dueAt(canary, attempt) > this.options.now()) wakeAt = Math.min(wakeAt ?? Infinity, dueAt(canary, attempt));
        else void this.#try(key, canary, message, receiver, id, attempt);
      }
    return wakeAt;
  }

  async #try(key: string, canary: Canary, message: CanaryMessage, receiver: string, id: string, attempt: Attempt): Promise<void> {
    attempt.underWay = true;
    try {
      await this.#send(canary, message, receiver);
      this.#finish(id);
    } catch (error) {
      attempt.tries += 1;
      const final = this.options.now() - Date.parse(message.at) > GIVE_UP_MS || (error as { retryable?: boolean }).retryable === false;
      attempt.failedAt = this.options.now();
      attempt.nextAt = attempt.failedAt + Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt.tries - 1));
      this.options.onFailure(canary, receiver, error instanceof Error ? error.message : String(error), final);
      if (final) this.#finish(id);
    } finally {
      attempt.underWay = false;
      this.options.onDone(key, this.options.now() + SETTLE_MS);
    }
  }

  #finish(id: string): void {
    this.#receipts.attempts.delete(id);
    const { delivered } = this.#receipts;
    delivered.add(id);
    // Far more than all outboxes hold at once; the oldest are long gone from every status.
    if (delivered.size > 50_000) delivered.delete(delivered.values().next().value ?? '');
  }

  async #send(canary: Canary, message: CanaryMessage, receiver: string): Promise<void> {
    if (receiver.startsWith(HOOK_PREFIX)) return this.#hook(canary, message, receiver.slice(HOOK_PREFIX.length));
    const alert = canary.spec.analysis.alerts?.find((item) => item.name === receiver);
    // The alert left the spec: nobody wants the message any more.
    if (!alert) return;
    const own = canary.metadata.namespace ?? '';
    const { name, namespace = own } = alert.providerRef;
    if (namespace !== own && !this.options.allowCrossNamespace) throw new Refused(`alert ${alert.name}: providerRef.namespace ${namespace} is another namespace, which this controller does not allow`);
    const provider = this.options.cache.alertProviders.get(namespace, name);
    // Whoever deletes both wants no message any more.
    if (!provider && isGoing(canary)) return;
    if (!provider) throw new Error(`alert ${alert.name}: AlertProvider ${namespace}/${name} does not exist; create it or correct providerRef`);
    const { secretRef } = provider.spec;
    const credentials = secretRef && credentialsOf(this.options.secrets, namespace, secretRef.name);
    if (secretRef && !credentials) throw new Error(`AlertProvider ${name}: Secret ${secretRef.name} does not exist or is not known yet`);
    await this.options.notifier.send({ name, spec: provider.spec, ...(credentials ? { credentials } : {}) }, this.#notification(canary, message));
  }

  async #hook(canary: Canary, message: CanaryMessage, name: string): Promise<void> {
    const hook = canary.spec.analysis.webhooks?.find((item) => item.name === name);
    if (!hook) return;
    const phase = message.event === 'Succeeded' ? 'Succeeded' : 'Failed';
    const metadata = { ...hook.metadata, result: message.event, id: message.id, message: message.text };
    await this.options.hooks.call(hook, { name: canary.metadata.name, namespace: canary.metadata.namespace ?? '', phase, checksum: message.revision ?? '', metadata });
  }

  #links(canary: Canary, { at, revision, commit }: CanaryMessage, past: HistoryEntry | undefined): Pick<Notification, 'links'> {
    const { links = [] } = this.options;
    if (links.length === 0) return {};
    const { stable, run } = canary.status ?? {};
    const serving = stable?.slot ?? 'blue';
    const about = {
      slot: revision === stable?.revision ? serving : otherSlot(serving),
      from: Date.parse(past?.startedAt ?? run?.startedAt ?? at),
      to: Date.parse(past?.endedAt ?? at),
      ...(revision === undefined ? {} : { revision }),
      ...(commit === undefined ? {} : { commit }),
    };
    return { links: linksTo(links, canary, about) };
  }

  #notification(canary: Canary, message: CanaryMessage): Notification {
    const past = canary.status?.history?.find((entry) => message.id.includes(`/${entry.run}/`));
    return {
      id: message.id,
      event: message.event,
      severity: message.severity,
      text: message.text,
      namespace: canary.metadata.namespace ?? '',
      canary: canary.metadata.name,
      target: `${canary.spec.targetRef.kind}/${canary.spec.targetRef.name}`,
      at: message.at,
      ...this.#links(canary, message, past),
      weight: past?.weights.at(-1) ?? canary.status?.canaryWeight ?? 0,
      ...(this.options.cluster ? { cluster: this.options.cluster } : {}),
      ...(message.revision ? { revision: message.revision } : {}),
      ...(message.commit ? { commit: message.commit } : {}),
      ...(message.author ? { author: message.author } : {}),
      ...(past?.subject ? { subject: past.subject } : {}),
      ...(past?.source ? { source: past.source } : {}),
      ...(past ? { reason: past.message } : {}),
    };
  }
}
