import { isIP } from 'node:net';

/** A host name of a URL as sockets take it: without the brackets of IPv6, in lower case. */
export const bareHost = (hostname: string): string => hostname.replace(/^\[|\]$/g, '').toLowerCase();

/** Whether a host name of a URL (brackets of IPv6 included) is this machine. */
export function isLoopback(hostname: string): boolean {
  const host = bareHost(hostname);
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
