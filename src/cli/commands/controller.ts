import { Option, type Command } from 'commander';
import type { ControllerFlags } from '../controller/run.js';
import type { Cli } from '../io.js';
import { examples, logLevelOption, parseCount, parseDuration, parseHttpUrl, parseLink, parseListenFlag } from '../options.js';

export function registerController(program: Command, { io, exit }: Cli): void {
  program
    .command('controller')
    .description('Run the controller until SIGTERM or SIGINT. It logs JSON and serves /healthz, /readyz and /metrics.')
    .option('--kubeconfig <file>', "kubeconfig; default is the pod's service account, then KUBECONFIG, then ~/.kube/config")
    .option('--context <name>', 'context of the kubeconfig')
    .option('-n, --namespace <namespace>', 'look after this namespace only; default is all')
    .addOption(
      new Option('--metrics-server <url>', 'Prometheus for the built-in metrics')
        .argParser(parseHttpUrl)
        .default('http://prometheus.istio-system:9090'),
    )
    .addOption(
      new Option('--listen <address>', 'HOST:PORT of /healthz, /readyz and /metrics').argParser(parseListenFlag).default(':8080'),
    )
    .addOption(logLevelOption())
    .option('--cluster <name>', 'name of the cluster in messages')
    .addOption(
      new Option('--link <name=url>', 'a view of a release that messages lead to, such as Grafana=https://grafana.example.com/d/sluice-release?var-namespace={{ namespace }}; may be repeated')
        .argParser(parseLink)
        .default([], 'none'),
    )
    .option('--data-dir <folder>', 'where copies of Git repositories are kept; default is a fresh temporary folder')
    .addOption(
      new Option('--metrics-grid <duration>', 'length of the shared windows of evidence')
        .argParser(parseDuration)
        .default(5_000, '5s'),
    )
    .addOption(new Option('--concurrency <number>', 'Canaries that are worked on at once').argParser(parseCount).default(32))
    .addOption(new Option('--leader-elect', 'work only while holding the Lease sluice-controller').default(true))
    .option('--no-leader-elect', 'work at once; only for a single process')
    .option(
      '--leader-election-namespace <namespace>',
      'namespace of that Lease; default is POD_NAMESPACE, then --namespace, then sluice-system',
    )
    .addOption(
      new Option('--leader-elect-lease-duration <duration>', 'how long the Lease of a leader that fell silent is respected; whole seconds')
        .argParser(parseDuration)
        .default(15_000, '15s'),
    )
    .option('--allow-cross-namespace', 'let Canaries refer to templates and providers of other namespaces, and GitSources apply there', false)
    .option('--allow-link-local', 'let webhooks, metrics servers, receivers and repositories be at link-local addresses', false)
    .addHelpText(
      'after',
      examples(
        'sluice controller',
        'sluice controller --kubeconfig ~/.kube/config --namespace shop --listen 127.0.0.1:8080 --no-leader-elect',
      ),
    )
    .action(async (flags: ControllerFlags) => {
      const { controller } = await import('../controller/run.js');
      exit(await controller(io, flags));
    });
}
