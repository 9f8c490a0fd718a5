import { Option, type Command } from 'commander';
import type { Cli } from '../io.js';
import { clusterOptions, examples, outputOption, parseDuration } from '../options.js';
import type { UninstallFlags } from '../uninstall/run.js';

const CODES = `
Exit codes:
  0  every Canary was deleted; with --wait, every target has its pods and routes back
  1  the API server said no
  2  the command line is wrong
  4  Canaries were still there after --timeout
`;

export function registerUninstall(program: Command, { io, exit }: Cli): void {
  const command = program
    .command('uninstall')
    .description('Suspend every GitSource and delete every Canary, so that the targets serve by themselves again. The controller must still run.')
    .option('-A, --all-namespaces', 'in all namespaces')
    .option('--wait', 'until every target has its pods and routes back')
    .addOption(new Option('--timeout <duration>', 'with --wait: how long').argParser(parseDuration).default(600_000, '10m'))
    .addOption(outputOption('text'))
    .addHelpText('after', CODES + examples('sluice uninstall -n shop --wait', 'sluice uninstall --all-namespaces --wait --timeout 20m'));
  clusterOptions(command).action(async (flags: UninstallFlags) => {
    const { uninstall } = await import('../uninstall/run.js');
    exit(await uninstall(io, flags));
  });
}
