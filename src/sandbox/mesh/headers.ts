import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { HeaderOperations } from './types.js';

/** Headers that speak of one connection and never pass a proxy. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-sluice-host',
]);

/** A copy without what concerns only the connection it came over. */
export const forwardable = (headers: IncomingHttpHeaders): OutgoingHttpHeaders => {
  const result: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) if (!HOP_BY_HOP.has(name)) result[name] = value;
  return result;
};

const isHost = (name: string): boolean => name === 'host' || name === ':authority';

/** Change `headers` in place: set, then add, then remove, as Istio orders them. `host` is left to {@link hostOverride}. */
export const applyOperations = (headers: OutgoingHttpHeaders, operations: HeaderOperations | undefined): void => {
  if (operations === undefined) return;
  for (const [name, value] of Object.entries(operations.set))
    if (!isHost(name.toLowerCase())) headers[name.toLowerCase()] = value;
  for (const [name, value] of Object.entries(operations.add)) {
    const before = headers[name.toLowerCase()];
    headers[name.toLowerCase()] = before === undefined ? value : [...(Array.isArray(before) ? before : [String(before)]), value];
  }
  for (const name of operations.remove) delete headers[name.toLowerCase()];
};

/** `headers.request.set` of `host` (or `:authority`) is how Istio's users rewrite the authority. */
export const hostOverride = (operations: HeaderOperations | undefined): string | undefined => {
  const entry = Object.entries(operations?.set ?? {}).find(([name]) => isHost(name.toLowerCase()));
  return entry?.[1];
};
