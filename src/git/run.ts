import { spawn } from 'node:child_process';
import { simpleGit, type SimpleGit } from 'simple-git';
import { GIT_VARIABLES } from './environment.js';

/** One run of Git that failed. `stderr` is what Git said, unredacted: never show it before {@link redact} or its like saw it. */
export class GitError extends Error {
  constructor(
    /** The subcommand: `fetch`. */
    readonly command: string,
    readonly exitCode: number,
    readonly stderr: string,
    /** Of commands that speak to a remote; as unredacted. */
    readonly stdout = '',
  ) {
    super(`git ${command} ended with ${exitCode}`);
    this.name = 'GitError';
  }
}

/** Git was killed because `signal` aborted. */
export class GitAborted extends Error {
  constructor(readonly command: string) {
    super(`git ${command} was stopped`);
    this.name = 'GitAborted';
  }
}

export interface GitCall {
  cwd: string;
  environment: Record<string, string>;
  /** Kills Git when it aborts. */
  signal?: AbortSignal;
  input?: Buffer | string;
}

/** Runs Git and gives its standard output as text. Rejects with GitError or GitAborted. */
export const runGit = (args: string[], call: GitCall): Promise<string> => supervise(args, call, (git) => git.raw(args));

/** How long Git and its helpers have to clean up after themselves before they are killed, in ms. */
const GRACE_MS = 1_000;
/** As much of a remote's words as is kept, in characters; the end matters. */
const MAX_WORDS = 64 * 1024;

/**
 * Like {@link runGit}, for commands that speak to a remote. simple-git stops Git with SIGINT, which the helpers that do the network
 * part survive; here they are one process group, and all of it ends.
 */
export function runRemoteGit(args: string[], { cwd, environment, signal }: GitCall): Promise<string> {
  const command = args[args[0] === '-c' ? 2 : 0] ?? 'git';
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new GitAborted(command));
    const child = spawn('git', args, { cwd, env: environment, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    let words = '';
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (words = (words + chunk).slice(-MAX_WORDS)));
    const stop = (): void => {
      endGroup(child.pid);
      reject(new GitAborted(command));
    };
    signal?.addEventListener('abort', stop, { once: true });
    child.on('error', (error) => reject(new GitError(command, -1, error.message)));
    child.on('close', (code) => {
      signal?.removeEventListener('abort', stop);
      if (code === 0) resolve(Buffer.concat(output).toString('utf8'));
      else reject(new GitError(command, code ?? -1, words, Buffer.concat(output).toString('utf8').slice(-MAX_WORDS)));
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  signalGroup(pid, 'SIGTERM');
  setTimeout(() => signalGroup(pid, 'SIGKILL'), GRACE_MS).unref();
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone: that is what was wanted.
  }
}

/** Contents of blobs, in the order asked for; undefined where there is no such object. Rejects like {@link runGit}. */
export async function readObjects(ids: string[], call: GitCall): Promise<(Buffer | undefined)[]> {
  if (ids.length === 0) return [];
  const input = ids.map((id) => `${id}\n`).join('');
  const answer = await supervise(
    ['cat-file'],
    { ...call, input },
    async (git) => (await git.binaryCatFile(['--batch'])) as Buffer,
  );
  return splitBatch(answer, ids.length);
}

async function supervise<T>(args: string[], call: GitCall, run: (git: SimpleGit) => PromiseLike<T>): Promise<T> {
  const command = args.find((arg) => !arg.startsWith('-')) ?? 'git';
  const { signal } = call;
  if (signal?.aborted) throw new GitAborted(command);
  let failure: GitError | undefined;
  const git = simpleGit({
    baseDir: call.cwd,
    allowEnvironment: GIT_VARIABLES,
    unsafe: { allowUnsafeTemplateDir: true },
    // Output may still be on its way when the process has ended; only `close` says that all of it came.
    completion: { onClose: true, onExit: false },
    // simple-git makes an error of its own out of this one, and fails only where something was said.
    errors: (error, { exitCode, stdErr }) =>
      exitCode === 0 ? error : (failure = new GitError(command, exitCode, Buffer.concat(stdErr).toString('utf8'))),
    ...(signal ? { abort: signal } : {}),
    ...(call.input === undefined ? {} : { input: () => call.input }),
  }).env(call.environment);
  const stopped = whenAborted(signal, command);
  try {
    // A grandchild (ssh, a helper) may hold the pipes open after Git is gone: the caller does not wait for it.
    return await Promise.race([run(git), stopped.promise]);
  } catch (error) {
    if (signal?.aborted) throw new GitAborted(command);
    throw failure ?? new GitError(command, -1, error instanceof Error ? error.message : String(error));
  } finally {
    stopped.forget();
  }
}

function whenAborted(signal: AbortSignal | undefined, command: string): { promise: Promise<never>; forget: () => void } {
  let stop = (): void => {};
  const promise = new Promise<never>((_, reject) => {
    stop = () => reject(new GitAborted(command));
    signal?.addEventListener('abort', stop, { once: true });
  });
  return { promise, forget: () => signal?.removeEventListener('abort', stop) };
}

/** `git cat-file --batch` answers `ID blob SIZE\nCONTENT\n` or `ID missing\n`. */
function splitBatch(answer: Buffer, count: number): (Buffer | undefined)[] {
  const found: (Buffer | undefined)[] = [];
  let at = 0;
  while (found.length < count) {
    const end = answer.indexOf(0x0a, at);
    if (end < 0) throw new GitError('cat-file', 0, 'unexpected end of the answer, unable to read the object');
    const size = /^[0-9a-f]+ \w+ (\d+)$/.exec(answer.toString('latin1', at, end))?.[1];
    at = end + 1;
    found.push(size === undefined ? undefined : answer.subarray(at, at + Number(size)));
    if (size !== undefined) at += Number(size) + 1;
  }
  return found;
}
