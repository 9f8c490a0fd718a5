import { realpathSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import type { Script } from '../../sandbox/script.js';
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.js';
import { CliError, Exit, UsageError } from '../errors.js';
import { aborted, type Cli, type Io } from '../io.js';
import { examples } from '../options.js';

interface Flags {
  kubeconfig?: string;
  envoy?: string;
  prometheus?: string;
  rps?: string;
  pushDelay?: string;
  run?: string;
  keep?: string;
  output: 'text' | 'json';
}

/** The flags that choose the parts of a sandbox. */
export function addSandboxFlags(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'use this API server instead of the embedded one (its nodes must not run pods)')
    .option('--envoy <path>', 'use this Envoy binary instead of the built-in proxy')
    .option('--prometheus <path>', 'use this Prometheus binary instead of the embedded one')
    .option('--rps <number>', 'requests per second from callers')
    .option('--push-delay <duration>', 'how late proxies learn of a change, such as 2s')
    .option('--keep <dir>', 'leave the evidence in this folder: repository.git, audit.jsonl, requests.jsonl, messages.jsonl, controller.log')
    .addOption(new Option('-o, --output <format>', 'json prints the summary as one JSON object on the last line').choices(['text', 'json']).default('text'));
}

export function registerSandbox(program: Command, cli: Cli): void {
  addSandboxFlags(
    program
      .command('sandbox')
      .description('Run the whole loop on this machine: Git, Kubernetes, a mesh, metrics, callers, and Sluice. Ctrl-C ends all of it.')
      .option('--run <script>', 'play the commits of this YAML file, then end (see docs/sandbox.md)'),
  )
    .addHelpText('after', examples('sluice sandbox', 'sluice sandbox --rps 100 --envoy /usr/local/bin/envoy', 'sluice sandbox --run script.yaml --keep evidence'))
    .action(async (flags: Flags) => {
      if (flags.run === undefined) return interactive(cli.io, flags);
      const { readFile } = await import('node:fs/promises');
      const { parseScript } = await import('../../sandbox/script.js');
      const text = await readFile(flags.run, 'utf8').catch((error: Error) => {
        throw new UsageError(`--run ${flags.run}: ${error.message}`);
      });
      let script: Script;
      try {
        script = parseScript(text, flags.run);
      } catch (error) {
        throw new UsageError(`--run ${error instanceof Error ? error.message : String(error)}`);
      }
      cli.exit(await playScript(cli.io, flags, script));
    });
}

async function sandboxOptions(io: Io, flags: Flags, script?: Script): Promise<SandboxOptions> {
  const { durationMs } = await import('../../api/index.js');
  const rps = flags.rps === undefined ? (script?.rps ?? 30) : Number(flags.rps);
  if (!Number.isFinite(rps) || rps < 0 || rps > 2000) throw new UsageError(`--rps ${flags.rps}: expected a number from 0 to 2000`);
  let pushDelayMs = 0;
  try {
    pushDelayMs = flags.pushDelay === undefined ? 0 : durationMs(flags.pushDelay);
  } catch (error) {
    throw new UsageError(`--push-delay: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {
    rps,
    pushDelayMs,
    kubeconfig: flags.kubeconfig,
    envoy: flags.envoy,
    prometheus: flags.prometheus,
    keep: flags.keep,
    analysis: script?.analysis,
    canary: script?.canary,
    callers: script?.callers,
    files: script?.files,
    gitHost: script?.gitHost,
    onProblem: (message) => io.err(`sandbox: ${message}\n`),
  };
}

/** Play a script to its end. Returns the exit code. */
export async function playScript(io: Io, flags: Flags, script: Script): Promise<number> {
  const [{ startSandbox }, { Player, WrongEnding }, { Progress }] = await Promise.all([
    import('../../sandbox/sandbox.js'),
    import('../../sandbox/play.js'),
    import('../../sandbox/progress.js'),
  ]);
  const progress = new Progress(io);
  progress.say('starting Git, Kubernetes, the mesh, Prometheus, Bookinfo and Sluice');
  // What a script leaves is there to be looked at: the summary names the repository.
  const keep = flags.keep ?? (await mkdtemp(join(tmpdir(), 'sluice-run-')));
  const sandbox = await startSandbox(await sandboxOptions(io, { ...flags, keep }, script));
  progress.say(`reviews v1 is adopted and serves; callers send ${flags.rps ?? script.rps} requests per second`);
  progress.follow(sandbox);
  const player = new Player({
    sandbox,
    script,
    signal: io.signal,
    now: () => io.now(),
    sleep: (ms, signal) => io.sleep(ms, signal),
    onCommit: (sha, commit) => progress.say(`git commit ${sha.slice(0, 7)}: ${commit.message}`, 'bold'),
  });
  let code: number = Exit.ok;
  try {
    await player.play();
    if (io.signal.aborted) code = Exit.interrupted;
  } catch (error) {
    if (!(error instanceof WrongEnding)) throw error;
    io.err(`sluice: ${error.message}\n`);
    code = Exit.failed;
  } finally {
    progress.stop();
    await sandbox.stop();
  }
  const summary = player.summary();
  progress.summary(summary);
  io.out(`  evidence: ${sandbox.dir}\n`);
  if (flags.output === 'json') io.out(`${JSON.stringify(summary)}\n`);
  return code;
}

async function interactive(io: Io, flags: Flags): Promise<void> {
  const [{ startSandbox }, { Progress }, { startPages }] = await Promise.all([
    import('../../sandbox/sandbox.js'),
    import('../../sandbox/progress.js'),
    import('../../sandbox/pages.js'),
  ]);
  const progress = new Progress(io);
  progress.say('starting Git, Kubernetes, the mesh, Prometheus, Bookinfo and Sluice');
  const sandbox = await startSandbox(await sandboxOptions(io, flags));
  const pages = await startPages(sandbox.productpageUrl, 'productpage:9080');
  try {
    io.out(welcome(sandbox, pages.url));
    progress.follow(sandbox);
    await aborted(io.signal);
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error));
  } finally {
    io.out('\nending everything that was started\n');
    progress.stop();
    await pages.stop();
    await sandbox.stop();
  }
}

/** How this program is called from any folder, whatever is on the PATH. */
function itself(): string {
  const script = realpathSync(process.argv[1] ?? '.');
  return `${script.endsWith('.ts') ? 'npx tsx' : 'node'} ${script}`;
}

const welcome = (sandbox: Sandbox, page: string): string => `
The sandbox is up. Commit to the repository, and the commit is released.

  git clone ${sandbox.git.url} bookinfo && cd bookinfo
      edit reviews.yaml (an image tag, an env such as ERROR_RATE), git commit, git push
  export KUBECONFIG=${sandbox.kubeconfigPath}
  alias sluice='${itself()}'
      sluice status reviews        sluice explain reviews        kubectl get canaries -w

  Bookinfo     ${page}/productpage
  Prometheus   ${sandbox.prometheusUrl}
  Controller   ${sandbox.controllerUrl}/metrics
  API server   ${sandbox.apiUrl}
  Files        ${sandbox.dir}

Ctrl-C ends all of it.

`;
