import { mkdtempSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/cli/controller/run.js';
import { Resources } from '../../src/kube/index.js';
import { createWorld, type Running, type World } from './world.js';

interface Line {
  level: string;
  msg: string;
  url?: string;
}
const lines = (running: Running): Line[] =>
  running.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

describe('sluice controller', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world.close());

  it('logs JSON, serves its pages, holds the Lease of its namespace, and ends on a signal', async () => {
    const data = mkdtempSync(join(tmpdir(), 'sluice-cli-data-'));
    const running = world.start(
      'controller',
      '--listen',
      '127.0.0.1:0',
      '--leader-election-namespace',
      'kube-system',
      '--data-dir',
      data,
    );
    await running.says('"msg":"leading"');
    const url = lines(running).find((line) => line.url)?.url ?? '';
    expect(await (await fetch(`${url}/healthz`)).text()).toBe('ok\n');
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('sluice_leader 1');
    expect(world.server.store.get(Resources.Lease, 'kube-system', 'sluice-controller')).toBeDefined();
    running.interrupt();
    expect(await running.code).toBe(0);
    expect(lines(running).at(-1)).toMatchObject({ level: 'info', msg: 'ended' });
  });

  it('works at once without a Lease, and removes its own data folder', async () => {
    const before = new Set(readdirSync(tmpdir()));
    const running = world.start('controller', '--listen', '127.0.0.1:0', '--no-leader-elect', '--namespace', 'default');
    await running.says('caches are in');
    const folders = readdirSync(tmpdir()).filter((name) => name.startsWith('sluice-controller-') && !before.has(name));
    expect(folders).toHaveLength(1);
    running.interrupt();
    expect(await running.code).toBe(0);
    expect(world.server.store.get(Resources.Lease, 'default', 'sluice-controller')).toBeUndefined();
    expect(readdirSync(tmpdir())).not.toContain(folders[0]);
  });

  it('names the flag when its port is taken', async () => {
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as net.AddressInfo;
    const { code, err } = await world.run('controller', '--listen', `127.0.0.1:${port}`);
    taken.close();
    expect(code).toBe(1);
    expect(err).toContain(`--listen 127.0.0.1:${port}: the port is in use`);
  });

  it('names the data folder that cannot be made', async () => {
    const { code, err } = await world.run('controller', '--data-dir', '/dev/null/sluice');
    expect(code).toBe(2);
    expect(err).toContain('--data-dir /dev/null/sluice');
  });

  it('keeps credentials out of its log', () => {
    let text = '';
    const logger = createLogger({ out: (line) => void (text += line) }, 'info');
    logger.info(
      {
        token: 'hunter2',
        provider: { address: 'https://hooks.example.com/hunter2', name: 'slack' },
        headers: { authorization: 'Bearer hunter2' },
      },
      'sent',
    );
    expect(text).not.toContain('hunter2');
    expect(text).toContain('"name":"slack"');
  });
});
