import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { request } from 'node:http';

const STOP_GRACE_MS = 5000;
const READY_MS = 20_000;
const POLL_MS = 20;

export interface EnvoyProcess {
  /** GET of the admin interface. Rejects when Envoy does not answer. */
  admin(path: string): Promise<string>;
  stop(): Promise<void>;
}

export interface EnvoyProcessOptions {
  envoyPath: string;
  bootstrapPath: string;
  adminSocket: string;
  /** Envoy's own messages. */
  logPath: string;
  onAccessLog: (chunk: string) => void;
  /** Called when Envoy ends without having been asked to. */
  onExit: (reason: string) => void;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const adminGet = (socketPath: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const query = request({ socketPath, path, headers: { host: 'admin' } }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(parts).toString();
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`Envoy's admin interface answered ${response.statusCode} to ${path}: ${body.slice(0, 200)}`));
      });
    });
    query.on('error', reject);
    query.end();
  });

/** @throws Error (by rejecting) when the binary cannot be run, ends at once or is not ready in time. */
export const startEnvoy = async (options: EnvoyProcessOptions): Promise<EnvoyProcess> => {
  const log: WriteStream = createWriteStream(options.logPath, { flags: 'a' });
  const tail: string[] = [];
  // One worker keeps round robin exact and the log in order; the environment (proxies, above all) must not reach it.
  const child: ChildProcess = spawn(
    options.envoyPath,
    [
      '-c',
      options.bootstrapPath,
      '--concurrency',
      '1',
      '--disable-hot-restart',
      '--file-flush-interval-msec',
      '20',
      '--log-level',
      'warning',
      '--drain-time-s',
      '1',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: {} },
  );
  let ended: string | undefined;
  let stopping = false;
  const exited = new Promise<void>((resolve) => {
    const end = (reason: string): void => {
      if (ended !== undefined) return;
      ended = reason;
      resolve();
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, signal) => end(`it ended with ${signal ?? `code ${code}`}: ${tail.join(' ').slice(-600)}`));
  });
  child.stdout?.setEncoding('utf8').on('data', options.onAccessLog);
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    log.write(chunk);
    tail.push(chunk.trim());
    if (tail.length > 5) tail.shift();
  });
  const stop = async (): Promise<void> => {
    stopping = true;
    if (ended === undefined) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await exited;
      clearTimeout(timer);
    }
    await new Promise<void>((resolve) => log.end(() => resolve()));
  };
  const admin = (path: string): Promise<string> => adminGet(options.adminSocket, path);
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const ready = await admin('/ready').then(
      () => true,
      () => false,
    );
    if (ready) break;
    if (ended !== undefined || Date.now() > deadline) {
      const reason = ended ?? `it was not ready within ${READY_MS / 1000} s`;
      await stop();
      throw new Error(`Envoy (${options.envoyPath}) did not start: ${reason}. Check --envoy, and ${options.logPath}`);
    }
    await sleep(POLL_MS);
  }
  void exited.then(() => {
    if (!stopping) options.onExit(`Envoy stopped working: ${ended}`);
  });
  return { admin, stop };
};
