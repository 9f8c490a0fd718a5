import type { Command } from 'commander';
import { UsageError } from '../errors.js';
import type { Cli } from '../io.js';
import { examples } from '../options.js';
import { addSandboxFlags, playScript } from './sandbox.js';

export function registerDemo(program: Command, cli: Cli): void {
  addSandboxFlags(program.command('demo').description('Show it working: Bookinfo reviews v1 → v2 is promoted, then a bad v3 is taken back. Takes about a minute.'))
    .option('--scenario <name>', 'what is played: default, git-revert, git-pull-request, or the number of an example in examples/bookinfo', 'default')
    .addHelpText('after', examples('sluice demo', 'sluice demo --output json', 'sluice demo --scenario git-revert', 'sluice demo --scenario 4'))
    .action(async ({ scenario, ...flags }: Parameters<typeof playScript>[1] & { scenario: string }) => {
      const { SCENARIOS } = await import('../../sandbox/scenarios.js');
      const { exampleNames, readExample } = await import('../../sandbox/example.js');
      const chosen = SCENARIOS[scenario] ?? (await readExample(scenario));
      if (!chosen) throw new UsageError(`--scenario ${scenario}: expected one of ${[...Object.keys(SCENARIOS), ...(await exampleNames())].join(', ')}`);
      cli.exit(await playScript(cli.io, flags, chosen.script));
    });
}
