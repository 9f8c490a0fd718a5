import type { Command } from 'commander';
import type { Cli } from '../io.js';
import { clusterOptions, examples, outputOption } from '../options.js';
import type { StatusFlags } from '../status/run.js';

export function registerStatus(program: Command, { io, exit }: Cli): void {
  const command = program
    .command('status')
    .description('Show what serves and what is being released: all Canaries, or one in full.')
    .argument('[name]', 'name of a Canary')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('-w, --watch', 'print again on every change, until interrupted; JSON is then one object a line')
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples(
        'sluice status',
        'sluice status -A --watch',
        'sluice status reviews -n shop',
        'sluice status reviews --output json',
      ),
    );
  clusterOptions(command).action(async (name: string | undefined, flags: StatusFlags) => {
    const { status } = await import('../status/run.js');
    exit(await status(io, name, flags));
  });
}
