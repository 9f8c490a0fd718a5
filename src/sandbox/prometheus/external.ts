import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';

export interface ExternalPrometheusOptions {
  /** The binary. */
  binary: string;
  /** For its configuration and data. */
  dir: string;
  /** Addresses of the expositions: `http://127.0.0.1:PORT/metrics`. */
  targets: string[];
  scrapeIntervalMs: number;
}

const START_MS = 30_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A real Prometheus that scrapes the sandbox. */
export interface ExternalPrometheus {
  url: string;
  /** End the process; its data stay. */
  stop(): Promise<void>;
  /** Start it again, at the same address. Rejects when it does not become ready, with its last words. */
  start(): Promise<void>;
}

/** Start one. Rejects when it does not become ready, with its last words. */
export async function startExternalPrometheus(options: ExternalPrometheusOptions): Promise<ExternalPrometheus> {
  await mkdir(options.dir, { recursive: true });
  const config = join(options.dir, 'prometheus.yml');
  const interval = `${options.scrapeIntervalMs}ms`;
  await writeFile(
    config,
    stringify({
      global: { scrape_interval: interval, scrape_timeout: interval },
      scrape_configs: options.targets.map((target, index) => {
        const url = new URL(target);
        return { job_name: `istio-proxies-${index}`, honor_labels: true, metrics_path: url.pathname, static_configs: [{ targets: [url.host] }] };
      }),
    }),
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const flags = [`--config.file=${config}`, `--storage.tsdb.path=${join(options.dir, 'data')}`, `--web.listen-address=127.0.0.1:${port}`];
  let end = await launch(options.binary, flags, url);
  return {
    url,
    stop: () => end(),
    start: async () => {
      await end();
      end = await launch(options.binary, flags, url);
    },
  };
}

/** Returns what ends the process, any number of times. */
async function launch(binary: string, flags: string[], url: string): Promise<() => Promise<void>> {
  const child = spawn(binary, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString('utf8')).slice(-2000)));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const killWithUs = (): boolean => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Error(`--prometheus ${binary}: ${error.message}; expected the path of a Prometheus binary`)));
    child.once('exit', (code) => reject(new Error(`--prometheus ${binary} ended with code ${code}: ${words}`)));
  });
  failed.catch(() => {});
  const end = async (): Promise<void> => {
    process.removeListener('exit', killWithUs);
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  };
  try {
    await Promise.race([ready(url), failed]);
  } catch (error) {
    await end();
    throw error;
  }
  return end;
}

async function ready(url: string): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const ok = await fetch(`${url}/-/ready`).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return;
    if (Date.now() > deadline) throw new Error(`Prometheus at ${url} was not ready within ${START_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
