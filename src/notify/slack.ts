import { shortened } from '../core/text.js';
import type { Notification } from '../engine/ports.js';
import type { NotifyTarget } from './types.js';

const COLOURS: Record<Notification['severity'], string> = { info: '#2eb67d', warn: '#ecb22e', error: '#e01e5a' };

/** Slack's limits for a section's text and for one field. */
const MAX_TEXT = 3_000;
const MAX_FIELD = 2_000;
/** Elements of one context. */
const MAX_LINKS = 10;

/** An incoming webhook of Slack, or of a chat that speaks its format. */
export const slack: NotifyTarget = {
  write(notification, spec) {
    const { severity, text } = notification;
    const blocks = [
      { type: 'section', text: { type: 'mrkdwn', text: shortened(escape(text), MAX_TEXT) } },
      {
        type: 'section',
        fields: fields(notification).map(([name, value]) => ({
          type: 'mrkdwn',
          text: shortened(`*${name}*\n${escape(value)}`, MAX_FIELD),
        })),
      },
      ...linkBlocks(notification.links ?? []),
    ];
    const message = {
      // What notifications of the operating system and screen readers show.
      text: shortened(`${notification.namespace}/${notification.canary}: ${escape(text)}`, MAX_TEXT),
      username: spec.username,
      ...(spec.channel ? { channel: spec.channel } : {}),
      attachments: [{ color: COLOURS[severity], blocks }],
    };
    return { headers: {}, body: JSON.stringify(message) };
  },
  // Slack answers with one word such as `channel_not_found`; anything else might be a page that repeats the address.
  explain: (body) => (/^[a-z_]{1,60}$/.test(body.trim()) ? body.trim() : undefined),
};

function fields(notification: Notification): [name: string, value: string][] {
  const { canary, namespace, cluster, revision, commit, subject, author, reason, weight } = notification;
  const all: [string, string | undefined][] = [
    ['Canary', canary],
    ['Namespace', namespace],
    ['Cluster', cluster],
    ['Revision', revision],
    ['Commit', commit === undefined ? undefined : [commit.slice(0, 12), subject].filter(Boolean).join(' ')],
    ['Author', author],
    ['Reason', reason],
    ['Weight', weight === undefined ? undefined : `${weight} %`],
  ];
  return all.filter((field): field is [string, string] => Boolean(field[1]));
}

/** A link that does not fit whole is left out: half of one leads nowhere. */
function linkBlocks(links: { name: string; url: string }[]): unknown[] {
  const elements = links.map(({ name, url }) => ({ type: 'mrkdwn', text: `<${escape(url).replaceAll('|', '%7C')}|${escape(name)}>` })).filter(({ text }) => text.length <= MAX_TEXT);
  return elements.length > 0 ? [{ type: 'context', elements: elements.slice(0, MAX_LINKS) }] : [];
}

/** Slack reads these three as markup; without this a commit message could call a whole channel. */
const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
