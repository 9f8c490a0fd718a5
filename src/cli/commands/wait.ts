import { Option, type Command } from 'commander';
import type { Cli } from '../io.js';
import { clusterOptions, examples, outputOption, parseCommit, parseDuration } from '../options.js';
import type { WaitFlags } from '../wait/run.js';

const CODES = `
Exit codes:
  0  Succeeded, or the commit changed nothing in this Canary
  1  Failed: taken back, with the reason
  2  the command line is wrong
  3  Superseded by a newer revision, or Cancelled
  4  no result within --timeout
`;

export function registerWait(program: Command, { io, exit }: Cli): void {
  const command = program
    .command('wait')
    .description('Wait for the result of one release: that of a commit, that of a revision, or the one in progress.')
    .argument('<name>', 'name of a Canary')
    .addOption(
      new Option('--commit <sha>', 'the release of this commit: at least 7 digits').argParser(parseCommit).conflicts('revision'),
    )
    .option('--revision <revision>', 'the release of this revision, as sluice status shows it')
    .addOption(new Option('--timeout <duration>', 'how long to wait').argParser(parseDuration).default(600_000, '10m'))
    .addOption(outputOption('text'))
    .addHelpText(
      'after',
      CODES +
        examples(
          'sluice wait reviews --commit $(git rev-parse HEAD)',
          'sluice wait reviews --revision a41f0c9b27 --timeout 1h',
          'sluice wait reviews --output json',
        ),
    );
  clusterOptions(command).action(async (name: string, flags: WaitFlags) => {
    const { wait } = await import('../wait/run.js');
    exit(await wait(io, name, flags));
  });
}
