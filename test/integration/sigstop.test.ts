import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { Resources } from '../../src/kube/resources.js';
import { startWorld } from './harness.js';
import { canary } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

const world = await startWorld({ controller: false });

interface Write {
  method: string;
  path: string;
  code: number;
  /** Unix milliseconds of the answer. */
  at: number;
}

/** Stands between one process and the API server, and knows what that process got written. */
async function tap(server: string): Promise<{ url: string; writes: Write[]; close(): void }> {
  const writes: Write[] = [];
  const proxy = createServer((request: IncomingMessage, response: ServerResponse) => {
    const upstream = send(`${server}${request.url}`, { method: request.method, headers: request.headers }, (answer) => {
      if (request.method !== 'GET') writes.push({ method: request.method ?? '', path: request.url ?? '', code: answer.statusCode ?? 0, at: Date.now() });
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    writes,
    close: () => {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}

interface Process {
  child: ChildProcess;
  log: string[];
  writes: Write[];
  identity(): string | undefined;
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** `sluice controller` as a process of its own. */
async function controllerProcess(shop: Shop): Promise<Process> {
  const proxy = await tap(world.server.url);
  const kubeconfig = join(world.dir, `kubeconfig-${new URL(proxy.url).port}`);
  await writeFile(kubeconfig, world.server.kubeconfig().replaceAll(world.server.url, proxy.url));
  const flags = ['--kubeconfig', kubeconfig, '--namespace', shop.namespace, '--listen', '127.0.0.1:0', '--metrics-server', world.metrics.url, '--metrics-grid', '100ms', '--leader-elect-lease-duration', '5s'];
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'controller', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const log: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => void log.push(line));
  world.onStop(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    proxy.close();
  });
  const identity = (): string | undefined => log.map((line) => /"identity":"([^"]+)"/.exec(line)?.[1]).find((found) => found !== undefined);
  await shop.see(`a controller that has started: ${log.join('\n')}`, () => identity() !== undefined);
  return { child, log, writes: proxy.writes, identity };
}

const holder = (shop: Shop): string | undefined => (shop.get(Resources.Lease, 'sluice-controller')?.['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity;
/** What changes anything: not the Lease itself. */
const effective = (writes: Write[]): Write[] => writes.filter(({ code, path }) => code < 300 && !path.includes('/leases'));

describe('two processes', () => {
  it('of which the leader is stopped in the middle of a step, and goes on after its lease: it writes nothing more, and the other one ends the same run', async () => {
    const shop = await world.shop();
    const processes = await Promise.all([controllerProcess(shop), controllerProcess(shop)]);
    await shop.see('a leader', () => (holder(shop) ?? '') !== '');
    // Long enough a step that the lease runs out within it.
    await shop.adopted(canary({ analysis: { stepWeights: undefined, steps: [{ weight: 20, hold: '8s' }, { weight: 60, hold: '300ms' }] } }));
    shop.guard();
    shop.release('v2');
    await shop.weight(20);
    await shop.see('the first messages', () => shop.told('Started').length === 1 && (shop.status.messages ?? []).length === 0);
    const { run, step } = shop.status;
    const leader = processes.find((item) => item.identity() === holder(shop));
    const other = processes.find((item) => item !== leader);
    if (!leader || !other) throw new Error(`nobody of ${processes.map((item) => item.identity()).join()} is ${holder(shop)}`);
    leader.child.kill('SIGSTOP');
    await shop.see('another leader', () => holder(shop) === other.identity());
    expect(shop.status).toMatchObject({ run: { id: run?.id }, step: { weight: 20, startedAt: step?.startedAt } });
    leader.child.kill('SIGCONT');
    const awake = Date.now();
    await shop.see('the former leader knows', () => leader.log.some((line) => line.includes('not leading any more')));
    expect(await shop.ended(1)).toMatchObject({ run: run?.id, result: 'Succeeded', weights: [20, 60, 100] });
    await shop.see('an empty outbox', () => (shop.status.messages ?? []).length === 0);
    expect(effective(leader.writes).filter(({ at }) => at >= awake)).toEqual([]);
    expect(effective(other.writes).length).toBeGreaterThan(0);
    expect(shop.messages.map(({ body }) => body['event'])).toEqual(['Initialized', 'Started', 'Succeeded']);
    const shifts = shop.weightWrites();
    expect(shifts.map(({ weight }) => weight).filter((weight, index, all) => weight !== all[index - 1])).toEqual([0, 20, 60, 100]);
    // The step was as long as it was to be, and no longer than it took to take over.
    const at = (weight: number): number => shifts.find((shift) => shift.weight === weight)?.at ?? Number.NaN;
    expect(at(60) - at(20)).toBeGreaterThanOrEqual(8_000);
    expect(world.truths.broken).toEqual([]);
  });
});
