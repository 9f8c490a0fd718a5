import type { CanaryMessage, Provenance } from '../api/index.js';
import type { Draft } from './draft.js';
import { digest } from './revision.js';
import { clip } from './text.js';
import { iso } from './time.js';

const RANK = { info: 0, warn: 1, error: 2 } as const;
const MAX_MESSAGES = 20;
const MAX_TEXT = 1024;
/** Characters of a sender in an id: the status keeps 128 of the whole. */
const MAX_SENDER = 64;
/** Prefix that tells a webhook from an alert in `status.messages[].to`. */
export const HOOK_PREFIX = 'webhook/';

/** `commit 1a2b3c4 by Ada: "Red stars"`, or what of it is known. */
export function describeCommit(provenance: Provenance): string {
  if (!provenance.commit) return 'commit unknown';
  const by = provenance.author ? ` by ${provenance.author}` : '';
  const subject = provenance.subject ? `: "${provenance.subject}"` : '';
  return `commit ${provenance.commit.slice(0, 7)}${by}${subject}`;
}

/** The same tag may name another image when a pod starts again, and nothing can analyse that. */
export function warnOfMutableImages(draft: Draft): void {
  const { desired, name } = draft.observed;
  if (desired?.mutableImages?.length) draft.event('Warning', 'MutableImage', `${name} revision ${desired.revision} uses ${desired.mutableImages.join(', ')}; use a tag of its own per build, or a digest`);
}

function senderOf(draft: Draft): string {
  const sender = `${draft.observed.namespace}/${draft.observed.name}`;
  return sender.length <= MAX_SENDER ? sender : `${sender.slice(0, MAX_SENDER - 13)}~${digest(sender).slice(0, 12)}`;
}

const ENDINGS = new Set<CanaryMessage['event']>(['Succeeded', 'Failed', 'Superseded', 'Cancelled']);

/**
 * Put a message into the outbox in the status. It is sent once the status that tells it is stored, and leaves the outbox
 * receiver by receiver; the id lets a receiver drop a repetition after a crash.
 */
export function tell(
  draft: Draft,
  event: CanaryMessage['event'],
  severity: CanaryMessage['severity'],
  text: string,
  about?: Provenance & { revision?: string },
  run?: string,
): void {
  const to = (draft.spec.analysis.alerts ?? []).filter((alert) => RANK[severity] >= RANK[alert.severity]).map((alert) => alert.name);
  if (ENDINGS.has(event))
    for (const hook of draft.spec.analysis.webhooks ?? []) if (hook.type === 'post-rollout') to.push(HOOK_PREFIX + hook.name);
  if (to.length === 0) return;
  const id = `${senderOf(draft)}/${run ?? draft.now.toString(36)}/${event}`;
  const messages = (draft.status.messages ??= []);
  if (messages.some((message) => message.id === id)) return;
  messages.push({
    id,
    event,
    severity,
    text: clip(text, MAX_TEXT),
    at: iso(draft.now),
    to,
    ...(about?.revision ? { revision: about.revision } : {}),
    ...(about?.commit ? { commit: about.commit } : {}),
    ...(about?.author ? { author: about.author } : {}),
  });
  // An ending outlives anything else that waits for an unreachable receiver.
  while (messages.length > MAX_MESSAGES) {
    const expendable = messages.findIndex((message) => !ENDINGS.has(message.event));
    messages.splice(Math.max(0, expendable), 1);
  }
}
