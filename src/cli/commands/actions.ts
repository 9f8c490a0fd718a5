import { Option, type Command } from 'commander';
import type { ActionFlags } from '../action/run.js';
import type { Verb } from '../../api/others.js';
import type { Cli } from '../io.js';
import { clusterOptions, examples, outputOption, parseDuration } from '../options.js';

const SUMMARIES: Record<Verb, string> = {
  approve: 'Let a step that waits for approval go on.',
  hold: 'Keep a release at its weight until it is resumed. The deadline does not run meanwhile.',
  resume: 'Let a held release go on.',
  abort: 'Take a release back now; its revision is quarantined.',
  promote: 'Send all traffic to the canary now, without the remaining steps and checks.',
  retry: 'Release a quarantined revision again.',
};

const CODES = `
Exit codes:
  0  Applied
  1  Refused, with the reason
  4  no controller answered in time
With --wait, those of sluice wait follow.
`;

/** `approve`, `hold`, `resume`, `abort`, `promote` and `retry`: one CanaryAction each. */
export function registerActions(program: Command, { io, exit }: Cli): void {
  for (const [verb, summary] of Object.entries(SUMMARIES) as [Verb, string][]) {
    const command = program
      .command(verb)
      .description(summary)
      .argument('<name>', 'name of a Canary')
      .option('--revision <revision>', 'only if this revision is meant; default is the one that is there now')
      .option('--reason <text>', 'why; it is kept in the history')
      .option('--by <name>', 'who asks; default is who the API server says you are')
      .option('--wait', 'then wait for the result of the release')
      .addOption(new Option('--timeout <duration>', 'with --wait: how long').argParser(parseDuration).default(600_000, '10m'))
      .addOption(outputOption('text'))
      .addHelpText(
        'after',
        CODES + examples(`sluice ${verb} reviews`, `sluice ${verb} reviews -n shop --reason "checked with the shop team"`),
      );
    clusterOptions(command).action(async (name: string, flags: ActionFlags) => {
      const { act } = await import('../action/run.js');
      exit(await act(io, verb, name, flags));
    });
  }
}
