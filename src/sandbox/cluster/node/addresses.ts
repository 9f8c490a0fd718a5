import { createServer } from 'node:net';

/** Hands out pod addresses of 10.244.0.0/16, each to one pod at a time, a freed one as late as possible. */
export class PodAddresses {
  private readonly used = new Set<string>();
  private next = 1;

  /** Notes an address that a pod has from before. */
  reserve(ip: string): void {
    this.used.add(ip);
  }

  /** @throws Error when all 65,023 addresses are in use. */
  allocate(): string {
    for (let tries = 0; tries < 65_536; tries++) {
      this.next = (this.next + 1) % 65_536;
      const low = this.next & 255;
      const ip = `10.244.${this.next >> 8}.${low}`;
      if (low === 0 || low === 255 || this.used.has(ip)) continue;
      this.used.add(ip);
      return ip;
    }
    throw new Error('every pod address of 10.244.0.0/16 is in use: run fewer pods on one node');
  }

  release(ip: string): void {
    this.used.delete(ip);
  }
}

/**
 * Below the ports from which Linux (32768) and others (49152) take those of outgoing connections: a port that is free now
 * but whose program starts a moment later is not lost to one of them.
 */
const FIRST = 20_000;
const COUNT = 12_000;

/** Hands out free ports of 127.0.0.1. */
export class LocalPorts {
  private readonly used = new Set<number>();
  private next = Math.floor(Math.random() * COUNT);

  /** Reserves a port that nothing listens on now. @throws Error when none is free. */
  async allocate(): Promise<number> {
    for (let tries = 0; tries < COUNT; tries++) {
      const port = FIRST + this.next;
      this.next = (this.next + 1) % COUNT;
      if (this.used.has(port)) continue;
      this.used.add(port);
      if (await isFree(port)) return port;
      this.used.delete(port);
    }
    throw new Error(
      `no free port on 127.0.0.1 between ${FIRST} and ${FIRST + COUNT - 1}: end some of the programs that listen there`,
    );
  }

  release(port: number): void {
    this.used.delete(port);
  }
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
