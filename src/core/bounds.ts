import type { CanaryStatus } from '../api/index.js';
import { clip } from './text.js';

/** Bytes of JSON; a status stays under 32 KiB, with room for what the server adds. */
const MAX_BYTES = 31_000;
const SHORT = 120;

/** Ways to make a status smaller, the least missed first. Each does a little and says whether there was anything to do. */
const SHEDDERS: ((status: CanaryStatus) => boolean)[] = [
  ({ checks }) => shorten(checks, (check) => check.query !== undefined && delete check.query),
  ({ checks }) => pop(checks, 4),
  ({ history }) => shorten(history, (entry) => entry.commits !== undefined && delete entry.commits),
  ({ history }) => pop(history, 3),
  ({ quarantined }) => shorten(quarantined, (item) => item.reason.length > SHORT && (item.reason = clip(item.reason, SHORT)) !== ''),
  ({ checks }) => shorten(checks, (check) => check.message.length > SHORT && (check.message = clip(check.message, SHORT)) !== ''),
  ({ messages }) => shorten(messages, (message) => message.text.length > 2 * SHORT && (message.text = clip(message.text, 2 * SHORT)) !== ''),
  ({ writeBacks }) => popSettled(writeBacks),
  ({ knownGood }) => pop(knownGood, 5),
  ({ messages }) => messages !== undefined && messages.length > 1 && messages.shift() !== undefined,
  ({ quarantined }) => pop(quarantined, 5),
  ({ history }) => pop(history, 1),
];

/** Apply `change` to the last item that it changes. */
const shorten = <T>(items: T[] | undefined, change: (item: T) => boolean): boolean => [...(items ?? [])].reverse().some((item) => change(item));
const pop = <T>(items: T[] | undefined, keep: number): boolean => items !== undefined && items.length > keep && items.pop() !== undefined;

/** What is still to be written is never forgotten. */
function popSettled(items: CanaryStatus['writeBacks']): boolean {
  const last = items?.findLastIndex((item) => item.state !== 'Pending') ?? -1;
  return items !== undefined && items.length > 3 && last >= 0 && items.splice(last, 1).length > 0;
}

const bytes = (status: CanaryStatus): number => Buffer.byteLength(JSON.stringify(status));

/** Every list and string has its own bound; together they may still be too much for one object. */
export function bound(status: CanaryStatus): void {
  let size = bytes(status);
  for (const shed of SHEDDERS) while (size > MAX_BYTES && shed(status)) size = bytes(status);
}
