import { sleep } from '../kube/backoff.js';

/** Everything that a command has of the world beside the API server. Tests bring their own. */
export interface Io {
  /** Writes to standard output, as is: a line ends with its own newline. */
  out(text: string): void;
  /** Writes to standard error, as is. */
  err(text: string): void;
  /** Unix milliseconds. */
  now(): number;
  /** Waits that many milliseconds or until the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Standard output is a terminal. */
  isTTY: boolean;
  /** Colours are welcome: a terminal, and NO_COLOR is not set. */
  color: boolean;
  env: NodeJS.ProcessEnv;
  /** Aborts on SIGINT and SIGTERM. */
  signal: AbortSignal;
}

/** Resolves once the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** What a command's registration gets. */
export interface Cli {
  io: Io;
  /** Sets the exit code of the process. */
  exit: (code: number) => void;
}

/** The terminal, the clock and the signals of this process. A second signal ends it at once. */
export function processIo(): Io {
  const ending = new AbortController();
  const onSignal = (): void => {
    if (ending.signal.aborted) process.exit(130);
    ending.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // A reader such as head that has seen enough is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const isTTY = process.stdout.isTTY ?? false;
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    now: Date.now,
    sleep,
    isTTY,
    color: isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
    env: process.env,
    signal: ending.signal,
  };
}
