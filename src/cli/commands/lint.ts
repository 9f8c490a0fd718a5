import { Option, type Command } from 'commander';
import type { Cli } from '../io.js';
import type { LintFlags } from '../lint/run.js';
import { examples, outputOption, parseDuration, parseRate } from '../options.js';

const CODES = `
Exit codes:
  0  no errors; there may be warnings and notes
  1  errors: a gate that cannot pass or cannot fail, a field that the API server refuses, a file that cannot be read
  2  the command line is wrong
`;

export function registerLint(program: Command, { io, exit }: Cli): void {
  program
    .command('lint')
    .description('Find gates that cannot pass or cannot fail, and fields that the API server would refuse, in manifests. Asks no cluster.')
    .argument('<files...>', 'files or folders with Canaries and MetricTemplates, or - for standard input')
    .option('-n, --namespace <namespace>', 'namespace of objects that name none', 'default')
    .addOption(new Option('--scrape-interval <duration>', 'time between two scrapes of the proxies').argParser(parseDuration).default(15_000, '15s'))
    .addOption(new Option('--rps <number>', 'requests per second to the target: finds minSamples that are never reached').argParser(parseRate))
    .addOption(outputOption('text'))
    .addHelpText('after', CODES + examples('sluice lint canary.yaml metrics.yaml', 'sluice lint deploy/ --rps 20 --scrape-interval 5s', 'kustomize build deploy | sluice lint - --output json'))
    .action(async (files: string[], flags: LintFlags) => {
      const { lint } = await import('../lint/run.js');
      exit(await lint(io, files, flags));
    });
}
