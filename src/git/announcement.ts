import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { GitSourceSpec } from '../api/index.js';

export type HookType = NonNullable<GitSourceSpec['webhook']>['type'];

/** What a Git host posted. */
export interface Delivery {
  /** Names in lower case. */
  headers: Record<string, string | undefined>;
  body: Buffer;
}

/** What a delivery says. It is a hint only: nothing of it is used but to look at the repository, and until when. */
export interface Announcement {
  /** The same for a redelivery; undefined where the host gives none. */
  id?: string;
  /** Pushed references and what they are now; empty when the host does not say, or only asks whether we are here. */
  refs: { name: string; commit: string }[];
  /** False for events that are no push. */
  push: boolean;
}

function equal(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => createHmac('sha256', 'compare').update(text).digest());
  return x !== undefined && y !== undefined && timingSafeEqual(x, y);
}

const signed = (given: string | undefined, prefix: string, token: string, body: Buffer): boolean =>
  given !== undefined && equal(given, `${prefix}${createHmac('sha256', token).update(body).digest('hex')}`);

function basicPassword(authorization: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
  const text = encoded && Buffer.from(encoded, 'base64').toString('utf8');
  return text ? text.slice(text.indexOf(':') + 1) : undefined;
}

/** Whether the sender knows the token, in the way of each host's documentation. */
const CHECKS: Record<HookType, (delivery: Delivery, token: string) => boolean> = {
  github: ({ headers, body }, token) => signed(headers['x-hub-signature-256'], 'sha256=', token, body),
  gitlab: ({ headers }, token) => headers['x-gitlab-token'] !== undefined && equal(headers['x-gitlab-token'], token),
  gitea: ({ headers, body }, token) => signed(headers['x-gitea-signature'] ?? headers['x-forgejo-signature'], '', token, body),
  bitbucket: ({ headers, body }, token) => signed(headers['x-hub-signature'], 'sha256=', token, body),
  azure: ({ headers }, token) => {
    const given = basicPassword(headers['authorization']);
    return given !== undefined && equal(given, token);
  },
  generic: ({ headers, body }, token) => signed(headers['x-sluice-signature'], 'sha256=', token, body) || equal(headers['authorization'] ?? '', `Bearer ${token}`),
};

export const isAuthentic = (type: HookType, delivery: Delivery, token: string): boolean => token !== '' && CHECKS[type](delivery, token);

const commit = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/);
const pushed = z.looseObject({ ref: z.string(), after: commit });
const bitbucketPush = z.looseObject({
  push: z.looseObject({ changes: z.array(z.looseObject({ new: z.looseObject({ type: z.string(), name: z.string(), target: z.looseObject({ hash: commit }) }).nullable() })) }),
});
const azurePush = z.looseObject({ eventType: z.string(), id: z.string().optional(), resource: z.looseObject({ refUpdates: z.array(z.looseObject({ name: z.string(), newObjectId: commit })) }).optional() });

interface Reader {
  id?: string;
  event?: string;
  push: RegExp;
}
const READERS: Record<HookType, Reader> = {
  github: { id: 'x-github-delivery', event: 'x-github-event', push: /^push$/ },
  gitlab: { id: 'x-gitlab-event-uuid', event: 'x-gitlab-event', push: /^(Tag )?Push Hook$/ },
  gitea: { id: 'x-gitea-delivery', event: 'x-gitea-event', push: /^(push|create)$/ },
  bitbucket: { id: 'x-request-uuid', event: 'x-event-key', push: /^repo:push$/ },
  azure: { push: /./ },
  generic: { id: 'x-sluice-delivery', push: /./ },
};

/** Reads a delivery whose sender was checked. What cannot be read is a push of which nothing is known. */
export function readAnnouncement(type: HookType, { headers, body }: Delivery): Announcement {
  const { id, event, push } = READERS[type];
  const name = event === undefined ? undefined : headers[event];
  const delivery = id === undefined ? undefined : headers[id];
  return { ...(delivery ? { id: delivery } : {}), push: name === undefined || push.test(name), refs: refsIn(type, parsed(body)) };
}

function refsIn(type: HookType, body: unknown): Announcement['refs'] {
  if (type === 'bitbucket')
    return (bitbucketPush.safeParse(body).data?.push.changes ?? []).flatMap(({ new: now }) => (now ? [{ name: `refs/${now.type === 'tag' ? 'tags' : 'heads'}/${now.name}`, commit: now.target.hash }] : []));
  if (type === 'azure') return (azurePush.safeParse(body).data?.resource?.refUpdates ?? []).map(({ name, newObjectId }) => ({ name, commit: newObjectId }));
  const { data } = pushed.safeParse(body);
  return data ? [{ name: data.ref, commit: data.after }] : [];
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
