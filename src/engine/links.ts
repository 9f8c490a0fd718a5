import type { Canary, SlotName } from '../api/index.js';
import { canaryNames, otherSlot } from '../core/names.js';

/** Where else a release can be looked at: a name for people, and an address with placeholders. */
export interface LinkTemplate {
  name: string;
  /** Such as `https://grafana.example.com/d/sluice-release?var-namespace={{ namespace }}&var-service={{ service }}`. */
  url: string;
}
export interface Link {
  name: string;
  url: string;
}

const PLACEHOLDER = /\{\{\s*(\w+)\s*\}\}/g;
/** What a link may name; values are encoded as parts of an address. */
export const LINK_PLACEHOLDERS = ['name', 'namespace', 'target', 'service', 'canaryService', 'stableService', 'revision', 'commit', 'from', 'to'] as const;

/** Placeholders of an address that nothing fills. */
export const unknownPlaceholders = (url: string): string[] =>
  [...url.matchAll(PLACEHOLDER)].flatMap(([, key = '']) => ((LINK_PLACEHOLDERS as readonly string[]).includes(key) ? [] : [key]));

/** What a message is about. */
export interface About {
  revision?: string;
  commit?: string;
  /** The slot that the release is in, or was. */
  slot: SlotName;
  /** Unix milliseconds of the release: its start, and its end or now. */
  from: number;
  to: number;
}

/** The views of one release. */
export function linksTo(templates: LinkTemplate[], canary: Canary, { revision = '', commit = '', slot, from, to }: About): Link[] {
  const { service, slots } = canaryNames(canary.spec);
  const values: Record<(typeof LINK_PLACEHOLDERS)[number], string> = {
    name: canary.metadata.name,
    namespace: canary.metadata.namespace ?? '',
    target: canary.spec.targetRef.name,
    service,
    canaryService: slots[slot],
    stableService: slots[otherSlot(slot)],
    revision,
    commit,
    from: `${from}`,
    to: `${to}`,
  };
  return templates.map(({ name, url }) => ({ name, url: url.replaceAll(PLACEHOLDER, (whole, key: string) => (key in values ? encodeURIComponent(values[key as keyof typeof values]) : whole)) }));
}
