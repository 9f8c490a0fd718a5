import type { Command } from 'commander';
import type { ExplainFlags } from '../explain/run.js';
import type { Cli } from '../io.js';
import { clusterOptions, examples, outputOption } from '../options.js';

export function registerExplain(program: Command, { io, exit }: Cli): void {
  const command = program
    .command('explain')
    .description('Say why a Canary is where it is, what it waits for, when the next step is due, and what you can do.')
    .argument('<name>', 'name of a Canary')
    .addOption(outputOption('text'))
    .addHelpText('after', examples('sluice explain reviews', 'sluice explain reviews -n shop --output json'));
  clusterOptions(command).action(async (name: string, flags: ExplainFlags) => {
    const { explain } = await import('../explain/run.js');
    exit(await explain(io, name, flags));
  });
}
