import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A child that ignores SIGTERM for this long, in ms, is killed. */
const TERM_GRACE_MS = 10_000;
const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 100;
const LOG_TAIL_LINES = 20;

export interface Daemon {
  name: string;
  pid: number;
  logPath: string;
  /** False once it has ended. */
  running(): boolean;
  /** Resident memory in bytes, 0 when it has ended (Linux only). */
  rss(): Promise<number>;
  /** CPU time used so far, user and system, in seconds (Linux only). */
  cpuSeconds(): Promise<number>;
  /** Polls until `probe` gives true. Rejects with the end of the log when the daemon ends, or not in time. */
  ready(probe: () => Promise<boolean>, timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

const alive = new Set<ChildProcess>();
const temporary = new Set<string>();
let guarded = false;

/** Starts a long-running program; its output goes to `<dir>/<name>.log`. It never outlives this process. */
export function startDaemon(name: string, program: string, args: string[], options: { dir: string; cwd?: string; env?: Record<string, string> }): Daemon {
  guardExit();
  const logPath = path.join(options.dir, `${name}.log`);
  const log = openSync(logPath, 'a');
  const child = spawn(program, args, { cwd: options.cwd ?? options.dir, stdio: ['ignore', log, log], env: { ...process.env, ...options.env } });
  closeSync(log);
  alive.add(child);
  let ended: string | undefined;
  const exit = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      ended ??= error.message;
      alive.delete(child);
      resolve();
    });
    child.on('exit', (code, signal) => {
      ended ??= signal ?? `code ${code}`;
      alive.delete(child);
      resolve();
    });
  });
  const pid = child.pid ?? 0;
  return {
    name,
    pid,
    logPath,
    running: () => ended === undefined,
    rss: async () => (ended === undefined ? residentBytes(pid) : 0),
    cpuSeconds: () => cpuSeconds(pid),
    ready: (probe, timeoutMs = READY_TIMEOUT_MS) => waitReady({ name, logPath, probe, timeoutMs, ended: () => ended }),
    stop: async () => {
      if (ended !== undefined) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), TERM_GRACE_MS);
      await exit;
      clearTimeout(timer);
    },
  };
}

/** A fresh folder that does not outlive this process. */
export async function temporaryFolder(prefix: string): Promise<string> {
  guardExit();
  const folder = await mkdtemp(path.join(tmpdir(), prefix));
  temporary.add(folder);
  return folder;
}

/** Removes a {@link temporaryFolder} before its time. */
export async function removeTemporary(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  temporary.delete(folder);
}

/** Stops all in order, also when one of them fails to. */
export async function stopAll(daemons: Pick<Daemon, 'stop'>[]): Promise<void> {
  for (const daemon of daemons) await daemon.stop().catch(() => undefined);
}

/** Children die with us: on a normal end, on a signal, and on an error that nobody caught. */
function guardExit(): void {
  if (guarded) return;
  guarded = true;
  const killAll = (): void => {
    for (const child of alive) child.kill('SIGKILL');
    for (const folder of temporary) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  process.on('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      killAll();
      // Others may want to clean up as well; if nobody else listens, the signal does what it always does.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    });
  }
}

async function waitReady(wait: {
  name: string;
  logPath: string;
  probe: () => Promise<boolean>;
  timeoutMs: number;
  ended: () => string | undefined;
}): Promise<void> {
  const deadline = performance.now() + wait.timeoutMs;
  let last: unknown;
  for (;;) {
    const ended = wait.ended();
    if (ended !== undefined)
      throw new Error(`${wait.name} ended with ${ended} before it was ready:\n${await logTail(wait.logPath)}`);
    try {
      if (await wait.probe()) return;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const why = last instanceof Error ? ` (last answer: ${last.message})` : '';
      throw new Error(`${wait.name} was not ready within ${wait.timeoutMs / 1000} s${why}:\n${await logTail(wait.logPath)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
}

async function logTail(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '(no log)');
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

/** VmRSS of /proc/PID/status. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** utime and stime of /proc/PID/stat, in ticks of which Linux reports 100 a second. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

/** Ports of 127.0.0.1 that were free just now. All are held until the last is found, so they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** True when a GET of the URL is answered with 2xx within two seconds. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.ok;
}
