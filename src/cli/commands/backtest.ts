import { Option, type Command } from 'commander';
import type { BacktestFlags } from '../backtest/run.js';
import type { Cli } from '../io.js';
import { examples, outputOption, parseDuration, parseHeader, parseHttpUrl, parseWhen } from '../options.js';

const ABOUT = `
Reads what Istio's proxies counted of both versions in that time, finds when the canary had which share of the requests,
and asks the thresholds and the verdict of the Canary at every moment at which they would have been asked.
A bearer token for the metrics server comes by SLUICE_METRICS_TOKEN; a user and a password may be in its address.
`;

export function registerBacktest(program: Command, { io, exit }: Cli): void {
  program
    .command('backtest')
    .description('Play a release that is in the record of a metrics server again: what this Canary would have made of it, and when.')
    .argument('<file>', 'file with a Canary and its MetricTemplates, or - for standard input')
    .addOption(new Option('--metrics-server <url>', 'Prometheus, or what speaks its API').argParser(parseHttpUrl).makeOptionMandatory())
    .addOption(new Option('--from <time>', 'before the release began: RFC 3339, or how long ago, such as 3h').argParser(parseWhen).makeOptionMandatory())
    .addOption(new Option('--to <time>', 'after it ended').argParser(parseWhen).makeOptionMandatory())
    .option('--stable <service>', "Service of the version that served before; default: the Canary's slot that had the requests")
    .option('--canary <service>', 'Service of the version that came')
    .option('-n, --namespace <namespace>', 'namespace of the Services; default is that of the Canary')
    .option('--name <canary>', 'which Canary, where the file holds several')
    .addOption(new Option('--reporter <who>', 'whose counts').choices(['workload', 'destination', 'waypoint']))
    .addOption(new Option('--metrics-grid <duration>', 'length of the windows of evidence').argParser(parseDuration).default(5_000, '5s'))
    .addOption(new Option('--timeout <duration>', 'longest time for one query').argParser(parseDuration).default(30_000, '30s'))
    .addOption(new Option('--header <name:value>', 'sent along, such as X-Scope-OrgID:shop; may be repeated').argParser(parseHeader).default([], 'none'))
    .addOption(outputOption('text'))
    .addHelpText(
      'after',
      ABOUT +
        examples(
          'sluice backtest canary.yaml --metrics-server http://localhost:9090 --from 2026-03-02T12:00:00Z --to 2026-03-02T12:30:00Z',
          'sluice backtest canary.yaml --metrics-server http://localhost:9090 --from 3h --to 2h --stable reviews-primary --canary reviews-canary',
        ),
    )
    .action(async (file: string, flags: BacktestFlags) => {
      const { backtest } = await import('../backtest/run.js');
      exit(await backtest(io, file, flags));
    });
}
