/**
 * Records what a real Prometheus answers, for replay.test.ts.
 *
 *   npx tsx test/sandbox/prometheus/record.ts PATH-TO-PROMETHEUS
 *
 * It lets that Prometheus scrape a small exporter for about twenty seconds, asks every question of expressions.ts and
 * writes what was served, when it was scraped, and the answers to answers.json beside this file.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { exposition } from './exporter.js';
import { QUESTIONS } from './expressions.js';
import { ask, type Recording } from './recording.js';

const SCRAPES = 20;
const VersionAnswer = z.object({ data: z.object({ version: z.string() }) });
const UpAnswer = z.object({
  data: z.object({ result: z.array(z.object({ values: z.array(z.tuple([z.number(), z.string()])) })) }),
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function getJson(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const ready = await fetch(`${url}/-/ready`).catch(() => undefined);
    if (ready?.ok === true) return;
    await delay(100);
  }
  throw new Error('Prometheus was not ready within 30 s');
}

/** A binary built from the module proxy does not know its own version; its module information does. */
function versionOf(binary: string, reported: string): string {
  if (reported !== '') return reported;
  return process.argv[3] ?? /version (\S+)/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
}

async function record(binary: string): Promise<Recording> {
  const directory = mkdtempSync(path.join(tmpdir(), 'prometheus-record-'));
  const bodies: string[] = [];
  const exporter = http.createServer((_request, response) => {
    const body = exposition(bodies.length);
    bodies.push(body);
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    response.end(body);
  });
  exporter.listen(0, '127.0.0.1');
  await once(exporter, 'listening');
  const exporterAddress = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
  const port = await freePort();
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [
      {
        job_name: 'mesh',
        static_configs: [{ targets: [exporterAddress], labels: { cluster: 'sandbox' } }],
        relabel_configs: [{ target_label: 'instance', replacement: 'exporter' }],
      },
    ],
  };
  writeFileSync(path.join(directory, 'prometheus.yml'), JSON.stringify(config));
  const args = [
    `--config.file=${directory}/prometheus.yml`,
    `--storage.tsdb.path=${directory}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const server = spawn(binary, args, { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  try {
    await untilReady(url);
    const { version } = VersionAnswer.parse(await getJson(`${url}/api/v1/status/buildinfo`)).data;
    while (bodies.length < SCRAPES) await delay(50);
    await delay(300);
    const up = UpAnswer.parse(await getJson(`${url}/api/v1/query?query=${encodeURIComponent('up[5m]')}`));
    const scrapedAtMs = up.data.result[0]!.values.slice(0, SCRAPES).map(([seconds]) => Math.round(seconds * 1000));
    if (scrapedAtMs.length !== SCRAPES) throw new Error(`expected ${SCRAPES} scrapes, the server stored ${scrapedAtMs.length}`);
    const cases: Recording['cases'] = [];
    for (const question of QUESTIONS) {
      cases.push({ question, answer: await ask(url, question, scrapedAtMs) });
      const sawMore = question.offsetMs > 1000 && bodies.length > SCRAPES;
      if (sawMore) throw new Error(`"${question.query}" was asked after a further scrape: record again on a quieter machine`);
    }
    const scrapes = scrapedAtMs.map((timeMs, index) => ({ timeMs, body: bodies[index]!.split('\n') }));
    return { version: versionOf(binary, version), scrapes, cases };
  } finally {
    server.kill();
    await once(server, 'exit');
    exporter.close();
    exporter.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
  }
}

const binary = process.argv[2];
if (binary === undefined) throw new Error('usage: npx tsx test/sandbox/prometheus/record.ts PATH-TO-PROMETHEUS [VERSION]');
const recording = await record(binary);
const rows = recording.cases.map((one) => `    ${JSON.stringify(one)}`).join(',\n');
const scrapes = recording.scrapes.map((one) => `    ${JSON.stringify(one)}`).join(',\n');
const text = `{\n  "version": ${JSON.stringify(recording.version)},\n  "scrapes": [\n${scrapes}\n  ],\n  "cases": [\n${rows}\n  ]\n}\n`;
writeFileSync(new URL('answers.json', import.meta.url), text);
console.log(`recorded ${recording.cases.length} answers of Prometheus ${recording.version}`);
