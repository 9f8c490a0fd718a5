import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { registerActions } from './commands/actions.js';
import { registerBacktest } from './commands/backtest.js';
import { registerController } from './commands/controller.js';
import { registerCrds } from './commands/crds.js';
import { registerDemo } from './commands/demo.js';
import { registerExplain } from './commands/explain.js';
import { registerLint } from './commands/lint.js';
import { registerSandbox } from './commands/sandbox.js';
import { registerSimulate } from './commands/simulate.js';
import { registerStatus } from './commands/status.js';
import { registerUninstall } from './commands/uninstall.js';
import { registerWait } from './commands/wait.js';
import { CliError, describeError, Exit } from './errors.js';
import type { Cli, Io } from './io.js';
import { examples } from './options.js';

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The whole command line. Only what a command's help needs is loaded; the work itself when it is called. */
async function createProgram(cli: Cli): Promise<Command> {
  const program = new Command('sluice');
  program
    .description('GitOps progressive delivery for Kubernetes.\nWorks as a kubectl plugin, too: install it as kubectl-sluice.')
    .version(version(), '--version', 'print the version')
    .helpCommand('help [command]', 'print the help of a command')
    .showHelpAfterError('(run with --help for what is expected)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.io.out(text),
      writeErr: (text) => cli.io.err(text),
      getOutHasColors: () => cli.io.color,
      getErrHasColors: () => cli.io.color,
    })
    .addHelpText(
      'after',
      examples(
        'sluice status',
        'sluice explain reviews',
        'sluice wait reviews --commit 1a2b3c4',
        'kubectl sluice approve reviews',
      ),
    );
  registerStatus(program, cli);
  registerExplain(program, cli);
  registerWait(program, cli);
  registerActions(program, cli);
  registerController(program, cli);
  registerSandbox(program, cli);
  registerDemo(program, cli);
  registerLint(program, cli);
  registerSimulate(program, cli);
  registerBacktest(program, cli);
  registerCrds(program, cli);
  registerUninstall(program, cli);
  return program;
}

const asksForStacks = (argv: string[]): boolean => /(^| )--log-level[ =](debug|trace)( |$)/.test(argv.join(' '));

/**
 * Run one command line, without the program's own name. Never rejects.
 * @returns the exit code: see {@link Exit}.
 */
export async function run(argv: string[], io: Io): Promise<number> {
  let code: number = Exit.ok;
  try {
    const program = await createProgram({ io, exit: (wanted) => (code = wanted) });
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed its message already. Help and version that were asked for are no mistakes.
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.ok : Exit.usage;
    io.err(`sluice: ${describeError(error)}\n`);
    if (asksForStacks(argv) && error instanceof Error) io.err(`${error.stack ?? ''}\n`);
    return error instanceof CliError ? error.code : Exit.failed;
  }
}
