import type { KubeObject } from '../../kube/types.js';
import { invalid, invalidValue } from './errors.js';
import { asArray, asString, at, ensureObject, isObject } from './json.js';
import type { ResourceInfo } from './types.js';

const FIRST_NODE_PORT = 30_000;
const LAST_NODE_PORT = 32_767;
/** Addresses of 10.96.0.0/16 that are handed out. */
const LAST_ADDRESS = 0xff_fe;

/** Hands out cluster IPs and node ports of Services. */
export class Allocator {
  private readonly addresses = new Map<string, string>();
  private readonly nodePorts = new Map<number, string>();
  private nextAddress = 10;
  private nextPort = FIRST_NODE_PORT;

  /** Fills `spec.clusterIP(s)` and `nodePort`s of a Service. Mutates. */
  allocate(info: ResourceInfo, object: KubeObject, previous: KubeObject | undefined): void {
    if (info.storageKey !== '/services') return;
    const spec = ensureObject(object, 'spec');
    const type = asString(spec['type']);
    const owner = object.metadata.uid ?? '';
    if (type === 'ExternalName') {
      delete spec['clusterIP'];
      delete spec['clusterIPs'];
    } else this.allocateAddress(info, object, asString(at(previous, 'spec', 'clusterIP')));
    if (type !== 'NodePort' && type !== 'LoadBalancer') return;
    for (const port of asArray(spec['ports'])) {
      if (!isObject(port)) continue;
      const wanted = Number(port['nodePort'] ?? 0);
      const port1 = wanted === 0 ? this.freePort() : wanted;
      const holder = this.nodePorts.get(port1);
      if (holder !== undefined && holder !== owner) {
        throw invalid(info, object.metadata.name, [
          invalidValue('spec.ports[0].nodePort', port1, 'provided port is already allocated'),
        ]);
      }
      this.nodePorts.set(port1, owner);
      port['nodePort'] = port1;
    }
  }

  /** Gives back what a removed Service held. */
  release(info: ResourceInfo, object: KubeObject): void {
    if (info.storageKey !== '/services') return;
    const owner = object.metadata.uid ?? '';
    const address = asString(at(object, 'spec', 'clusterIP'));
    if (this.addresses.get(address) === owner) this.addresses.delete(address);
    for (const port of asArray(at(object, 'spec', 'ports'))) {
      const number = Number(at(port, 'nodePort') ?? 0);
      if (this.nodePorts.get(number) === owner) this.nodePorts.delete(number);
    }
  }

  private allocateAddress(info: ResourceInfo, object: KubeObject, before: string): void {
    const spec = ensureObject(object, 'spec');
    const owner = object.metadata.uid ?? '';
    const wanted = asString(spec['clusterIP']) || before || this.freeAddress();
    const holder = this.addresses.get(wanted);
    if (wanted !== 'None' && holder !== undefined && holder !== owner) {
      throw invalid(info, object.metadata.name, [
        invalidValue('spec.clusterIPs', [wanted], `failed to allocate IP ${wanted}: provided IP is already allocated`),
      ]);
    }
    if (wanted !== 'None') this.addresses.set(wanted, owner);
    spec['clusterIP'] = wanted;
    spec['clusterIPs'] = [wanted];
  }

  private freeAddress(): string {
    for (let tries = 0; tries < LAST_ADDRESS; tries++) {
      const number = this.nextAddress;
      this.nextAddress = number >= LAST_ADDRESS ? 10 : number + 1;
      const address = `10.96.${number >> 8}.${number & 255}`;
      if (!this.addresses.has(address)) return address;
    }
    return 'None';
  }

  private freePort(): number {
    for (let tries = FIRST_NODE_PORT; tries <= LAST_NODE_PORT; tries++) {
      const port = this.nextPort;
      this.nextPort = port >= LAST_NODE_PORT ? FIRST_NODE_PORT : port + 1;
      if (!this.nodePorts.has(port)) return port;
    }
    return 0;
  }
}
