import type { Command } from 'commander';
import type { Cli } from '../io.js';
import { examples } from '../options.js';
import { addSandboxFlags, playScript } from './sandbox.js';

export function registerDemo(program: Command, cli: Cli): void {
  addSandboxFlags(program.command('demo').description('Show it working: Bookinfo reviews v1 → v2 is promoted, then a bad v3 is taken back. Takes about a minute.'))
    .addHelpText('after', examples('sluice demo', 'sluice demo --output json'))
    .action(async (flags: Parameters<typeof playScript>[1]) => {
      const { DEMO_SCRIPT } = await import('../../sandbox/script.js');
      cli.exit(await playScript(cli.io, flags, DEMO_SCRIPT));
    });
}
