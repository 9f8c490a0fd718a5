import type { AlertProviderSpec } from '../api/index.js';
import type { Notification } from '../engine/ports.js';

/** One kind of receiver: how a notification is written for it. Pure; sending is the same for all. */
export interface NotifyTarget {
  write(
    notification: Notification,
    spec: AlertProviderSpec,
    credentials: Record<string, string>,
  ): { headers: Record<string, string>; body: string };
  /** What a refusal means, from the first bytes of its body; undefined when nothing may be repeated from it. */
  explain?(body: string): string | undefined;
}

/** A notification was not delivered. The message names the provider, never its address, token or signature. */
export class NotifyError extends Error {
  constructor(
    message: string,
    /** Whether the same notification may be accepted later. */
    readonly retryable: boolean,
    /** What the receiver asked for. */
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
    this.name = 'NotifyError';
  }
}
