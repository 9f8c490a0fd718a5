import type { RawAnswer } from './http.js';
import type { Answer, Json } from './types.js';

const HEADERS = ['content-type', 'warning', 'retry-after', 'cache-control', 'location'];
const UID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z/g;
/** Addresses and ports that Services get. */
const CLUSTER_IP = /\b10\.96\.\d{1,3}\.\d{1,3}\b/g;
const NODE_PORT_FROM = 30_000;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Takes out of one scenario's answers what may differ between two servers, and keeps how the parts relate: the same uid or
 * resourceVersion gets the same mark, an object's resourceVersion must not go back, a list's must not be older than its items.
 */
export class Normaliser {
  private readonly uids = new Map<string, string>();
  private readonly versions = new Map<string, string>();
  private readonly newest = new Map<string, number>();
  private readonly generated = new Map<string, string>();
  private readonly prefixes = new Set<string>();

  /** Names that the server makes from this beginning are marked, wherever they come up. */
  expectGenerated(prefix: string): void {
    this.prefixes.add(prefix);
  }

  answer(raw: RawAnswer, body: unknown = raw.body): Answer {
    const headers: Record<string, string> = {};
    for (const name of HEADERS) {
      const value = raw.headers[name];
      if (value !== undefined) headers[name] = this.text(String(value));
    }
    return { status: raw.status, headers, body: this.value(body, '') };
  }

  private value(value: unknown, key: string): unknown {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'number') return key === 'nodePort' && value >= NODE_PORT_FROM ? '<node port>' : value;
    if (Array.isArray(value))
      return key === 'managedFields'
        ? this.managers(value)
        : key === 'causes'
          ? this.causes(value)
          : value.map((item) => this.cell(item, key));
    if (!isObject(value)) return value;
    const versionOf = isObject(value['metadata']) ? value['metadata'] : undefined;
    const result: Json = {};
    for (const name of Object.keys(value).toSorted()) {
      const member = value[name];
      if (name === 'metadata' && versionOf !== undefined) result[name] = this.metadata(versionOf, value);
      // Keys of managedFields name uids.
      else result[this.text(name)] = this.value(member, name);
    }
    return result;
  }

  private cell(item: unknown, key: string): unknown {
    if (key === 'cells' && typeof item === 'string' && /^\d+[smh](?:\d+s)?$/.test(item)) return '<age>';
    return this.value(item, '');
  }

  private metadata(metadata: Json, owner: Json): Json {
    const result: Json = {};
    const { uid, resourceVersion } = metadata;
    for (const name of Object.keys(metadata).toSorted()) {
      if (name === 'resourceVersion' && typeof resourceVersion === 'string') {
        result[name] = typeof uid === 'string' ? this.version(uid, resourceVersion) : this.listVersion(resourceVersion, owner);
      } else if (name === 'continue') result[name] = metadata[name] === '' ? '' : '<continue>';
      else result[name] = this.value(metadata[name], name);
    }
    return result;
  }

  private version(uid: string, text: string): string {
    const number = Number(text);
    const before = this.newest.get(uid) ?? 0;
    this.newest.set(uid, Math.max(before, number));
    if (!/^\d+$/.test(text)) return text;
    return number < before && !this.versions.has(text) ? `<version that goes back>` : this.mark(this.versions, text, 'version');
  }

  /** Lists and bookmarks carry the version of the whole store. */
  private listVersion(text: string, list: Json): string {
    if (!/^\d+$/.test(text)) return text;
    const items = Array.isArray(list['items']) ? (list['items'] as Json[]) : [];
    const newest = Math.max(0, ...items.map((item) => Number((item['metadata'] as Json | undefined)?.['resourceVersion'] ?? 0)));
    return Number(text) >= newest ? '<list version>' : '<list version that is older than an item>';
  }

  /** Their order depends on the second in which each wrote. */
  private managers(entries: unknown[]): unknown[] {
    const order = (entry: unknown): string => {
      const { operation, manager, subresource, apiVersion } = entry as Json;
      return [operation, manager, subresource ?? '', apiVersion].join(' ');
    };
    return entries.map((entry) => this.value(entry, '')).toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  /** Conflicts with several managers come in any order. */
  private causes(causes: unknown[]): unknown[] {
    // The real server checks some parts of metadata more than once.
    const seen = new Set<string>();
    const texts = causes
      .map((cause) => this.value(cause, ''))
      .filter((cause) => !seen.has(JSON.stringify(cause)) && seen.add(JSON.stringify(cause)));
    const conflicts = causes.every((cause) => isObject(cause) && cause['reason'] === 'FieldManagerConflict');
    return conflicts ? texts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : texts;
  }

  private text(text: string): string {
    let result = text.replaceAll(UID, (uid) => this.mark(this.uids, uid, 'uid'));
    for (const prefix of this.prefixes) {
      const name = new RegExp(`${prefix.replaceAll(/[^\w-]/g, '\\$&')}[a-z0-9]{5}\\b`, 'g');
      result = result.replaceAll(name, (found) => this.mark(this.generated, found, `name from ${prefix}`));
    }
    return (
      result
        .replaceAll(TIME, '<time>')
        .replaceAll(CLUSTER_IP, '<cluster ip>')
        .replaceAll(/too old resource version: \d+ \(\d+\)/g, 'too old resource version: <old> (<oldest>)')
        .replaceAll(/Too large resource version: \d+, current: \d+/g, 'Too large resource version: <wanted>, current: <current>')
        // Versions inside a message: a quoted object, or the two sides of a precondition.
        .replaceAll(/(resourceVersion\\?":\\?")\d+/g, '$1<version>')
        // A refused patch quotes the whole object.
        .replaceAll(/patch: Invalid value: ".*": /g, 'patch: Invalid value: <object>: ')
        .replaceAll(/^Invalid value: "\{.*\}": /g, 'Invalid value: <object>: ')
        .replaceAll(/(ResourceVersion in (?:the precondition|record) \()\d+\)/g, '$1<version>)')
        .replaceAll(/127\.0\.0\.1:\d+/g, '<server>')
    );
  }

  private mark(known: Map<string, string>, text: string, what: string): string {
    const mark = known.get(text) ?? `<${what} ${known.size + 1}>`;
    known.set(text, mark);
    return mark;
  }
}
