import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { constants } from 'node:os';

export interface ProcessSpec {
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  onLine: (line: string) => void;
}

export interface Exit {
  /** As a container runtime reports it: 128 + signal for a process that a signal ended. */
  code: number;
  /** The process never began (`StartError`). */
  startError?: string;
}

export interface RunningProcess {
  readonly pid: number | undefined;
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<Exit>;
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
}

export interface Launcher {
  launch(spec: ProcessSpec): RunningProcess;
}

const children = new Set<ChildProcess>();
let guarded = false;

/**
 * Real processes that never outlive this one: they are killed when it exits, and each holds the other end of a pipe on
 * its standard input, which closes even when this process is killed outright (programs end when it does).
 */
export const processLauncher: Launcher = {
  launch(spec) {
    guardExit();
    const child = spawn(spec.command, spec.args, { cwd: spec.cwd, env: spec.env, stdio: ['pipe', 'pipe', 'pipe'] });
    children.add(child);
    // The pipe only exists to be closed; a child that ended first must not raise EPIPE here.
    child.stdin.on('error', () => undefined);
    readLines(child.stdout, spec.onLine);
    readLines(child.stderr, spec.onLine);
    return {
      pid: child.pid,
      exited: exitOf(child).finally(() => children.delete(child)),
      signal: (name) => void child.kill(name),
    };
  },
};

function guardExit(): void {
  if (guarded) return;
  guarded = true;
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
  });
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', onLine);
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve({ code: 128, startError: error.message });
    });
    child.once('exit', (code, signal) => resolve({ code: code ?? 128 + (signal ? constants.signals[signal] : 0) }));
  });
}
