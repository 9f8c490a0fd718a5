import { setFlagsFromString } from 'node:v8';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino, type Logger } from 'pino';
import { runController } from '../../controller/controller.js';
import type { LinkTemplate } from '../../engine/links.js';
import { createKubeClient } from '../../kube/index.js';
import { ControllerMetrics } from '../../server/metrics.js';
import { CliError, describeError, Exit, UsageError } from '../errors.js';
import { aborted, type Io } from '../io.js';

/** As commander gives them; durations in milliseconds. */
export interface ControllerFlags {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
  metricsServer: string;
  listen: string;
  logLevel: string;
  cluster?: string;
  link: LinkTemplate[];
  dataDir?: string;
  metricsGrid: number;
  concurrency: number;
  leaderElect: boolean;
  leaderElectionNamespace?: string;
  leaderElectLeaseDuration: number;
  allowCrossNamespace: boolean;
  allowLinkLocal: boolean;
}

/** Names under which a credential could reach a log line, at the top and one level down. */
const SECRET_FIELDS = ['token', 'password', 'authorization', 'secret', 'credentials', 'identity_key', 'address'];
/** A write on its way and the Lease get this long after a signal, in milliseconds; then the process ends all the same. */
const GRACE_MS = 5_000;

/** `sluice controller`: until SIGTERM or SIGINT. */
export async function controller(io: Io, flags: ControllerFlags): Promise<number> {
  const logger = createLogger(io, flags.logLevel);
  const data = await dataFolder(flags.dataDir);
  let metrics: ControllerMetrics | undefined;
  const client = await createKubeClient({
    kubeconfig: flags.kubeconfig,
    context: flags.context,
    env: io.env,
    userAgent: 'sluice-controller',
    onRequest: (record) => metrics?.request(record),
  }).catch((error: unknown) => {
    throw new CliError(describeError(error));
  });
  const ownNamespace = flags.leaderElectionNamespace ?? io.env['POD_NAMESPACE'];
  const leaseNamespace = ownNamespace ?? flags.namespace ?? 'sluice-system';
  const done = new AbortController();
  // V8 lets a heap grow fourfold before it collects all of it. Half as much again is enough room; stricter, and CPU goes up.
  setFlagsFromString('--heap-growing-percent=50');
  const work = runController(
    {
      client,
      logger,
      metrics: (cache) => (metrics = new ControllerMetrics(() => cache.canaries.list())),
      metricsServer: flags.metricsServer,
      listen: flags.listen,
      dataDir: data.folder,
      metricsGridMs: flags.metricsGrid,
      concurrency: flags.concurrency,
      allowCrossNamespace: flags.allowCrossNamespace,
      allowLinkLocal: flags.allowLinkLocal,
      ...(flags.namespace === undefined ? {} : { namespace: flags.namespace }),
      ...(ownNamespace === undefined ? {} : { ownNamespace }),
      ...(flags.cluster === undefined ? {} : { cluster: flags.cluster }),
      links: flags.link,
      ...(flags.leaderElect ? { leaderElection: { namespace: leaseNamespace, leaseDurationMs: flags.leaderElectLeaseDuration } } : {}),
    },
    io.signal,
    (url) => logger.info({ url }, 'serving /healthz, /readyz and /metrics'),
  );
  try {
    await Promise.race([work, ended(io, done.signal)]);
    logger.info('ended');
    return Exit.ok;
  } catch (error) {
    throw listenError(error, flags.listen) ?? error;
  } finally {
    done.abort();
    client.close();
    await data.remove();
  }
}

/** Resolves when the work has had its time to end after a signal. */
async function ended(io: Io, done: AbortSignal): Promise<void> {
  await aborted(io.signal);
  await io.sleep(GRACE_MS, done);
}

/** JSON lines for machines; whatever looks like a credential is replaced, in whichever field it comes. */
export function createLogger(io: Pick<Io, 'out'>, level: string): Logger {
  const paths = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]);
  return pino(
    {
      level,
      base: undefined,
      redact: { paths, censor: '[redacted]' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => io.out(line) },
  );
}

async function dataFolder(wanted: string | undefined): Promise<{ folder: string; remove: () => Promise<void> }> {
  if (wanted === undefined) {
    const folder = await mkdtemp(path.join(tmpdir(), 'sluice-controller-'));
    return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
  }
  try {
    await mkdir(wanted, { recursive: true });
  } catch (error) {
    throw new UsageError(
      `--data-dir ${wanted} cannot be made (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}); name a folder that this process may write`,
    );
  }
  return { folder: wanted, remove: async () => {} };
}

function listenError(error: unknown, listen: string): CliError | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE')
    return new CliError(`--listen ${listen}: the port is in use; choose another one, or port 0 for a free one`);
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new CliError(`--listen ${listen}: this address cannot be used here (${code}); choose another one`, Exit.usage);
  return undefined;
}
