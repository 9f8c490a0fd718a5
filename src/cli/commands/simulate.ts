import { Option, type Command } from 'commander';
import type { Cli } from '../io.js';
import { examples, outputOption, parseCount, parseDuration, parsePercent, parseRate, parseSeed } from '../options.js';
import type { SimulateFlags } from '../simulate/run.js';

const ABOUT = `
Plays the Canary of a file against traffic as it is declared here, by the decisions of the controller itself, and prints
how often a release is promoted or taken back, for what reason, after what time, and how many bad requests it costs.
Without --canary-error-rate it does so for several canaries, from a healthy one to one that is half broken.
`;

export function registerSimulate(program: Command, { io, exit }: Cli): void {
  program
    .command('simulate')
    .description('Print the odds of a release before the first one: promoted, taken back, after what time, at what cost.')
    .argument('<file>', 'file with a Canary, or - for standard input')
    .option('--name <canary>', 'which Canary, where the file holds several')
    .addOption(new Option('--error-rate <percent>', 'of the requests to the stable version, how many fail').argParser(parsePercent).default(0.001, '0.1%'))
    .addOption(new Option('--canary-error-rate <percent>', 'the same of the canary; default is a table of several').argParser(parsePercent))
    .addOption(new Option('--rps <number>', 'requests per second to both versions together').argParser(parseRate).default(100))
    .addOption(new Option('--p99 <duration>', 'latency of the stable version that 99 % of its requests stay below; default is half of what request-duration allows, 200ms at most').argParser(parseDuration))
    .addOption(new Option('--canary-p99 <duration>', 'the same of the canary; default is that of the stable version').argParser(parseDuration))
    .addOption(new Option('--matching <percent>', 'of the requests, how many have what a match asks for').argParser(parsePercent).default(0.1, '10%'))
    .addOption(new Option('--clusters <number>', 'how many requests fail together, on average').argParser(parseCount).default(1))
    .addOption(new Option('--runs <number>', 'releases that are played for each canary').argParser(parseCount).default(500))
    .addOption(new Option('--seed <number>', 'the same seed plays the same releases').argParser(parseSeed).default(1))
    .addOption(outputOption('text'))
    .addHelpText(
      'after',
      ABOUT + examples('sluice simulate canary.yaml --error-rate 0.1% --rps 100', 'sluice simulate canary.yaml --rps 5 --canary-error-rate 2%', 'sluice simulate canary.yaml --p99 400ms --canary-p99 800ms --canary-error-rate 0.1%'),
    )
    .action(async (file: string, flags: SimulateFlags) => {
      const { simulate } = await import('../simulate/run.js');
      exit(await simulate(io, file, flags));
    });
}
