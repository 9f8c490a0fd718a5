import { lookup as systemLookup } from 'node:dns';
import * as http from 'node:http';
import * as https from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { bareHost } from './host.js';

/** What the addresses that users write may lead to. */
export interface EgressPolicy {
  /** True lets requests reach 169.254.0.0/16 and fe80::/10, where clouds serve their metadata and credentials. Default false. */
  allowLinkLocal?: boolean;
  /** Resolves names; default is the system's resolver. */
  resolve?: LookupFunction;
}

/** Thrown instead of connecting to an address that the policy denies. The message names the host, never the rest of the URL. */
export class EgressDenied extends Error {
  readonly code = 'EGRESS_DENIED';
  constructor(host: string, address: string) {
    super(
      `${host === address ? host : `${host} (${address})`} is a link-local address; start the controller with --allow-link-local if that is meant`,
    );
    this.name = 'EgressDenied';
  }
}

const linkLocal = new BlockList();
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4');
linkLocal.addSubnet('fe80::', 10, 'ipv6');
// The metadata service of AWS over IPv6 is not link-local, but the same thing.
linkLocal.addAddress('fd00:ec2::254', 'ipv6');

/** Whether an IP address is link-local or a cloud's metadata service; IPv4 addresses written as IPv6 included. */
export function isLinkLocal(address: string): boolean {
  const family = isIP(address.split('%')[0] ?? '');
  if (family === 0) return false;
  return linkLocal.check(address.split('%')[0] ?? '', family === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Refuses a URL whose host is itself a denied address. Names are judged when they are resolved, by {@link guardedAgents}.
 * @throws EgressDenied
 */
export function checkHost(url: URL, policy: EgressPolicy): void {
  const host = bareHost(url.hostname);
  if (!policy.allowLinkLocal && isLinkLocal(host)) throw new EgressDenied(host, host);
}

export interface Agents {
  httpAgent: http.Agent;
  httpsAgent: https.Agent;
  close(): void;
  /** Lets what is under way go on. */
  closeIdle(): void;
}

/** Keep-alive agents that judge every address at the moment of connecting, so that no later DNS answer gets around the policy. */
export function guardedAgents(policy: EgressPolicy, tls: { rejectUnauthorized?: boolean; ca?: string } = {}): Agents {
  const lookup = lookupUnder(policy);
  const httpAgent = new http.Agent({ keepAlive: true, lookup });
  const httpsAgent = new https.Agent({ keepAlive: true, lookup, ...tls });
  return {
    httpAgent,
    httpsAgent,
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
    closeIdle() {
      for (const agent of [httpAgent, httpsAgent]) for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    },
  };
}

/** Resolves names, and fails with EgressDenied where one leads to a denied address. */
export function lookupUnder(policy: EgressPolicy): LookupFunction {
  const resolve = policy.resolve ?? systemLookup;
  if (policy.allowLinkLocal) return resolve;
  return (hostname, options, callback) => {
    resolve(hostname, options, (error, addresses, family) => {
      if (error) return callback(error, addresses, family);
      const denied = (Array.isArray(addresses) ? addresses.map((one) => one.address) : [addresses]).find(isLinkLocal);
      if (denied !== undefined) return callback(new EgressDenied(hostname, denied), []);
      return callback(null, addresses, family);
    });
  };
}
