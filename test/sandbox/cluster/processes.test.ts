import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PORTS_ANNOTATION, programs, startNode } from '../../../src/sandbox/cluster/index.js';
import type { RunningNode } from '../../../src/sandbox/cluster/index.js';
import { systemClock } from '../../../src/sandbox/cluster/clock.js';
import { isReady } from '../../../src/sandbox/cluster/pods.js';
import { Kinds } from '../../../src/sandbox/cluster/types.js';
import type { Container, Pod } from '../../../src/sandbox/cluster/types.js';
import { pod, until } from './helpers.js';
import { MemoryCluster } from './memoryCluster.js';

let cluster: MemoryCluster;
let aborter: AbortController;
let node: RunningNode;

beforeEach(async () => {
  cluster = new MemoryCluster(systemClock);
  aborter = new AbortController();
  node = await startNode({ client: cluster, informers: cluster.informers(aborter.signal), heartbeatSeconds: 0 });
});

afterEach(async () => {
  await node.stop();
  aborter.abort();
});

const readinessProbe = { httpGet: { path: '/health', port: 'http' }, periodSeconds: 1 };

/** Runs a pod and gives the address on which it answers. */
async function run(name: string, extra: Partial<Container>, spec: Partial<Pod['spec']> = {}): Promise<string> {
  await cluster.create(Kinds.Pod, pod(name, { terminationGracePeriodSeconds: 5, ...spec }, { readinessProbe, ...extra }));
  const ready = await until(
    `${name} is ready`,
    () => cluster.find(Kinds.Pod, (found) => found.metadata.name === name && isReady(found))[0],
  );
  const ports = JSON.parse(ready.metadata.annotations?.[PORTS_ANNOTATION] ?? '{}') as Record<string, string>;
  return `http://${ports['9080']}`;
}

describe('Bookinfo as local processes', () => {
  it('answers as the version that the image names, with the fault rate that the Deployment asks for', async () => {
    const image = 'docker.io/istio/examples-bookinfo-reviews-v3:1.20.3';
    const url = await run('a', { image, env: [{ name: 'ERROR_RATE', value: '0.1' }] });
    const statuses: number[] = [];
    for (let i = 0; i < 100; i++) {
      const answer = await fetch(`${url}/reviews/0`);
      statuses.push(answer.status);
      if (answer.status !== 200) continue;
      expect(answer.headers.get('x-bookinfo-version')).toBe('v3');
      expect(answer.headers.get('x-pod-name')).toBe('a');
      expect(await answer.json()).toMatchObject({
        id: '0',
        podname: 'a',
        reviews: [{ rating: { stars: 5, color: 'red' } }, { rating: { stars: 4 } }],
      });
    }
    expect(statuses.filter((status) => status === 500).length).toBeGreaterThanOrEqual(9);
    expect(statuses.filter((status) => status === 500).length).toBeLessThanOrEqual(11);
  });

  it('shows a ConfigMap value and keeps answering for a moment after it is told to go', async () => {
    await cluster.create(Kinds.ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace: 'default' },
      data: { k: 'hello' },
    });
    const env = [
      { name: 'CONFIG', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } },
      { name: 'PRE_STOP_MS', value: '400' },
    ];
    const url = await run('a', { env });
    expect(await (await fetch(`${url}/reviews/0`)).json()).toMatchObject({ config: 'hello' });
    await cluster.delete(Kinds.Pod, 'default', 'a');
    await until('the program stops', () => node.logs('default', 'a')?.some((line) => line.startsWith('stopping')));
    expect((await fetch(`${url}/health`)).status).toBe(503);
    expect((await fetch(`${url}/reviews/0`)).status).toBe(200);
    await until('the pod is gone', () => cluster.find(Kinds.Pod).length === 0);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it('writes volumes where the program finds them, and again when they change', async () => {
    await cluster.create(Kinds.ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace: 'default' },
      data: { 'a.txt': 'one' },
    });
    const directory = await mkdtemp(join(tmpdir(), 'sluice-test-'));
    const script = join(directory, 'cat.mjs');
    await writeFile(
      script,
      `import { readFileSync } from 'node:fs';
       import { createServer } from 'node:http';
       createServer((q, s) => s.end(readFileSync(process.env.SLUICE_ROOT + '/etc/app/a.txt'))).listen(Number(process.env.PORT), '127.0.0.1');
       process.stdin.on('end', () => process.exit()).resume();`,
    );
    await node.stop();
    const known = (image: string) => (image === 'cat' ? { args: [script] } : programs(image));
    const informers = cluster.informers(aborter.signal);
    node = await startNode({ client: cluster, informers, programs: known, nodeName: 'second', heartbeatSeconds: 0 });
    const volumes = [{ name: 'app-config', configMap: { name: 'c' } }];
    const url = await run('cat', { image: 'cat', volumeMounts: [{ name: 'app-config', mountPath: '/etc/app' }] }, { volumes });
    expect(await (await fetch(url)).text()).toBe('one');
    await cluster.patch(Kinds.ConfigMap, 'default', 'c', { data: { 'a.txt': 'two' } }, 'merge');
    await until('the file changes', async () => (await (await fetch(url)).text()) === 'two');
    await rm(directory, { recursive: true });
  });

  it('says what is wrong with a setting and is restarted', async () => {
    await cluster.create(Kinds.Pod, pod('bad', {}, { env: [{ name: 'ERROR_RATE', value: 'lots' }] }));
    const waiting = await until('back-off', () => {
      const status = cluster.find(Kinds.Pod)[0]?.status?.containerStatuses?.[0];
      return status?.state.waiting?.reason === 'CrashLoopBackOff' && status;
    });
    expect(waiting).toMatchObject({
      restartCount: expect.any(Number) as number,
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
    expect(node.logs('default', 'bad')).toContain(
      'ERROR_RATE="lots": expected a share from 0 to 1; correct it in the Deployment\'s env',
    );
  });

  it('ends with whoever started it, even one that is killed', async () => {
    const launcher = new URL('../../../src/sandbox/cluster/node/launcher.ts', import.meta.url).href;
    const { args } = programs('sandbox/details:1')!;
    const code = `import { processLauncher } from ${JSON.stringify(launcher)};
      const child = processLauncher.launch({ command: process.execPath, args: ${JSON.stringify(args)}, cwd: '.',
        env: { PATH: process.env.PATH, PORT: '0', SLUICE_LIFELINE: 'stdin' }, onLine: () => console.log('pid=' + child.pid) });`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    parent.stdout.on('data', (data: Buffer) => (output += data.toString()));
    const pid = await until('the program runs', () => Number(/pid=(\d+)/.exec(output)?.[1]));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until('the program ends', () => !isAlive(pid));
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
