import { mkdtempSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { crds } from '../../src/api/crd.js';
import { createWorld, golden, Running, type World } from './world.js';

async function call(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const running = new Running(argv, false, { KUBECONFIG: '/does/not/exist' });
  return { code: await running.code, out: running.out, err: running.err };
}

const COMMANDS = ['status', 'explain', 'wait', 'approve', 'hold', 'resume', 'abort', 'promote', 'retry', 'controller', 'lint', 'simulate', 'backtest', 'crds', 'uninstall', 'sandbox', 'demo'];

describe('the command line', () => {
  it.each(COMMANDS)('%s has help with examples', async (command) => {
    const { code, out } = await call(command, '--help');
    expect(code).toBe(0);
    golden(`help-${command}.txt`, out);
    expect(out).toContain(`$ sluice ${command}`);
  });

  it('prints its version', async () => {
    const { code, out } = await call('--version');
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [['bogus'], "unknown command 'bogus'"],
    [['status', '--bogus'], "unknown option '--bogus'"],
    [['wait'], "missing required argument 'name'"],
    [['wait', 'reviews', '--commit', 'abc'], '--commit'],
    [['wait', 'reviews', '--timeout', 'soon'], '--timeout'],
    [['wait', 'reviews', '--commit', '1111111', '--revision', 'a1'], '--revision'],
    [['status', '--output', 'xml'], '--output'],
    [['controller', '--listen', '8080x'], '--listen'],
    [['controller', '--listen', ':70000'], '--listen'],
    [['controller', '--metrics-server', 'prometheus:9090'], '--metrics-server'],
    [['controller', '--metrics-grid', '0s'], '--metrics-grid'],
    [['controller', '--concurrency', '0'], '--concurrency'],
    [['controller', '--log-level', 'loud'], '--log-level'],
    [['lint', 'a.yaml', '--scrape-interval', '0s'], '--scrape-interval'],
    [['simulate', 'a.yaml', '--error-rate', '101%'], '--error-rate'],
    [['simulate', 'a.yaml', '--rps', '0'], '--rps'],
    [['simulate', 'a.yaml', '--seed', '-1'], '--seed'],
    [['backtest', 'a.yaml', '--from', '2h', '--to', '1h'], '--metrics-server'],
    [['backtest', 'a.yaml', '--metrics-server', 'http://p', '--from', 'yesterday', '--to', '1h'], '--from'],
  ])('%j is a mistake that names its place', async (argv, words) => {
    const { code, err } = await call(...argv);
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(err).not.toContain('    at ');
  });

  it('prints the definitions that the API server takes', async () => {
    const { code, out } = await call('crds');
    expect(code).toBe(0);
    expect(parseAllDocuments(out).map((document) => document.toJSON() as unknown)).toEqual(JSON.parse(JSON.stringify(crds())));
  });
});

describe('what the API server refuses', () => {
  let bare: World;
  let refusing: http.Server;
  let answer = { code: 403, message: '' };
  let kubeconfig = '';
  beforeAll(async () => {
    bare = await createWorld({ installed: false });
    refusing = http.createServer((_, response) =>
      response.writeHead(answer.code, { 'content-type': 'application/json' }).end(JSON.stringify({ kind: 'Status', ...answer })),
    );
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
    kubeconfig = join(mkdtempSync(join(tmpdir(), 'sluice-cli-')), 'kubeconfig');
    const { port } = refusing.address() as AddressInfo;
    writeFileSync(kubeconfig, bare.server.kubeconfig().replaceAll(bare.server.url, `http://127.0.0.1:${port}`));
  });
  afterAll(async () => {
    refusing.close();
    await bare.close();
  });

  const stacks = (text: string): boolean => /\n\s+at /.test(text);

  it.each([[['status']], [['status', 'reviews']], [['explain', 'reviews']], [['wait', 'reviews']], [['approve', 'reviews']]])(
    '%j says how to install the kinds',
    async (argv) => {
      const { code, err } = await bare.run(...argv);
      expect(code).toBe(1);
      expect(err).toContain('sluice crds | kubectl apply -f -');
      expect(err.trimEnd().split('\n')).toHaveLength(1);
    },
  );

  it('says who must allow it', async () => {
    answer = { code: 403, message: 'canaries.sluice.dev is forbidden: User "eve" cannot list resource' };
    const { code, err } = await call('status', '--kubeconfig', kubeconfig);
    expect(code).toBe(1);
    expect(err).toContain('User "eve"');
    expect(err).toContain('ask for a role');
    expect(stacks(err)).toBe(false);
  });

  it('says that the credentials are not accepted', async () => {
    answer = { code: 401, message: 'Unauthorized' };
    const { code, err } = await call('status', 'reviews', '--kubeconfig', kubeconfig);
    expect(code).toBe(1);
    expect(err).toContain('Canary default/reviews');
    expect(err).toContain('log in again');
  });

  it('shows the stack only when asked for', async () => {
    const { err } = await call('status', '--kubeconfig', kubeconfig, '--log-level', 'debug');
    expect(stacks(err)).toBe(true);
  });

  it('says that nobody answers', async () => {
    const nobody = join(mkdtempSync(join(tmpdir(), 'sluice-cli-')), 'kubeconfig');
    const closed = http.createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    writeFileSync(nobody, bare.server.kubeconfig().replaceAll(bare.server.url, `http://127.0.0.1:${port}`));
    const { code, err } = await call('status', '--kubeconfig', nobody);
    expect(code).toBe(1);
    expect(err).toContain('ECONNREFUSED');
    expect(err).toContain('--kubeconfig');
    expect(stacks(err)).toBe(false);
  });

  it('says that there is no kubeconfig', async () => {
    const { code, err } = await call('status');
    expect(code).toBe(1);
    expect(err).toContain('KUBECONFIG');
  });
});
