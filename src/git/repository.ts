import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import { createGitHome, gitEnvironment } from './environment.js';
import { trailersOf } from './write-back/message.js';
import { GitError, runGit, type GitCall } from './run.js';

/** New content by path; null deletes; a link is an entry of mode 120000, a submodule one of mode 160000 with the id of its commit. */
export type TreeChanges = Record<string, string | { link: string } | { submodule: string } | null>;

export interface CommitOptions {
  message: string;
  /** Default is `Sluice Sandbox <sandbox@sluice.invalid>`. */
  author?: { name: string; email: string };
  /** Default is `main`. */
  branch?: string;
  /** Unix milliseconds; default is now. */
  at?: number;
  /** Start a new history instead of going on from the branch, as a force-push does. */
  orphan?: boolean;
}

const DEFAULT_AUTHOR = { name: 'Sluice Sandbox', email: 'sandbox@sluice.invalid' };

/** Makes an empty bare repository whose default branch is `main`, and gives its file:// address. Works without any configuration of the user. */
export async function createBareRepository(dir: string): Promise<{ dir: string; url: string }> {
  await mkdir(dir, { recursive: true });
  await withGit(dir, async (call) => {
    await runGit(['init', '--quiet', '--bare', '--template=', '.'], call);
    // `git init --initial-branch` is younger than Git 2.25.
    await runGit(['symbolic-ref', 'HEAD', 'refs/heads/main'], call);
  });
  return { dir, url: pathToFileURL(dir).href };
}

/**
 * Commits changes to a branch of a bare repository, without a working tree, and gives the new commit's id.
 * @throws Error when a path leaves the repository or Git refuses.
 */
export async function commitTree(dir: string, changes: TreeChanges, options: CommitOptions): Promise<string> {
  const ref = `refs/heads/${options.branch ?? 'main'}`;
  return withGit(dir, async (call) => {
    const parent = await tip(ref, call);
    const input = importStream(ref, options.orphan ? undefined : parent, changes, options);
    // `get-mark` answers on standard output. `--force` only matters to `orphan`: otherwise the parent is the tip.
    return (await runGit(['fast-import', '--quiet', ...(options.orphan ? ['--force'] : [])], { ...call, input })).trim();
  });
}

/** The newest commit of a branch of a bare repository. Rejects when there is no such branch. */
export async function headOf(dir: string, branch = 'main'): Promise<{ head: string; subject: string; trailers: Record<string, string> }> {
  return withGit(dir, async (call) => {
    const output = await runGit(['log', '-1', '--no-show-signature', '--format=%H%n%B', `refs/heads/${branch}`, '--'], call);
    const [head = '', ...message] = output.split('\n');
    return { head, subject: message[0] ?? '', trailers: trailersOf(message.join('\n')) };
  });
}

async function withGit<T>(dir: string, task: (call: GitCall) => Promise<T>): Promise<T> {
  const home = await createGitHome(tmpdir(), () => [], 'sluice-git-');
  try {
    return await task({ cwd: dir, environment: gitEnvironment(home.dir) });
  } finally {
    await home.dispose();
  }
}

async function tip(ref: string, call: GitCall): Promise<string | undefined> {
  try {
    return (await runGit(['rev-parse', '--verify', '--quiet', ref], call)).trim();
  } catch (error) {
    if (error instanceof GitError && error.exitCode === 1) return undefined;
    throw error;
  }
}

function importStream(ref: string, parent: string | undefined, changes: TreeChanges, options: CommitOptions): string {
  const { name, email } = options.author ?? DEFAULT_AUTHOR;
  const person = `${name.replace(/[<>\n]/g, '')} <${email.replace(/[<>\n]/g, '')}> ${Math.floor((options.at ?? Date.now()) / 1000)} +0000`;
  const lines = [`commit ${ref}`, 'mark :1', `author ${person}`, `committer ${person}`, data(options.message)];
  if (parent) lines.push(`from ${parent}`);
  for (const [path, content] of Object.entries(changes)) {
    if (content === null) lines.push(`D ${quotePath(path)}`);
    else if (typeof content === 'string') lines.push(`M 100644 inline ${quotePath(path)}`, data(content));
    else if ('submodule' in content) lines.push(`M 160000 ${content.submodule} ${quotePath(path)}`);
    else lines.push(`M 120000 inline ${quotePath(path)}`, data(content.link));
  }
  return `${lines.join('\n')}\n\nget-mark :1\ndone\n`;
}

const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}`;

function quotePath(path: string): string {
  if (path === '' || path.startsWith('/') || path.split('/').some((part) => part === '..' || part === '.git' || part === '')) {
    throw new Error(
      `path ${JSON.stringify(path)} is not one of a file in the repository; write it from the root, such as deploy/app.yaml`,
    );
  }
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
