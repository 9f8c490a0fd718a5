import { createHmac } from 'node:crypto';
import type { NotifyTarget } from './types.js';

/** Any HTTP receiver: the notification as JSON, with its id, and signed where the Secret has the key `hmac`. */
export const webhook: NotifyTarget = {
  write(notification, _spec, credentials) {
    const body = JSON.stringify(notification);
    // Secrets made with `echo` end in a line break that nobody meant.
    const [token, key] = [credentials.token?.trim(), credentials.hmac?.trim()];
    return {
      headers: {
        'X-Sluice-Id': encodeURIComponent(notification.id),
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...(key ? { 'X-Sluice-Signature': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` } : {}),
      },
      body,
    };
  },
};
