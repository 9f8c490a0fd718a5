import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';

/** Lines of a failed command's output that its error quotes. */
const TAIL_LINES = 15;

export interface RunOptions {
  cwd: string;
}

/** Runs a command to its end and gives its stdout. Rejects with its last lines. */
export async function run(command: string, args: string[], options: RunOptions): Promise<string> {
  const child = spawn(command, args, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const all: Buffer[] = [];
  for (const [stream, isStdout] of [
    [child.stdout, true],
    [child.stderr, false],
  ] as const) {
    stream.on('data', (chunk: Buffer) => {
      if (isStdout) out.push(chunk);
      all.push(chunk);
    });
  }
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit, signal) => resolve(exit ?? signal ?? 1));
  });
  if (code === 0) return Buffer.concat(out).toString('utf8');
  const tail = Buffer.concat(all).toString('utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  throw new Error(`${command} ${args[0] ?? ''} ended with ${code} in ${options.cwd}:\n${tail}`);
}

/** @throws Error that names the tool, what it is for and how to get it. */
export async function requireTool(tool: string, purpose: string, advice: string): Promise<void> {
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const found = await access(path.join(folder, tool), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return;
  }
  throw new Error(`real parts: ${tool} is not on PATH, and ${purpose} needs it; ${advice}`);
}
