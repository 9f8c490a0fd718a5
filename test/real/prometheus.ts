import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { ensureParts } from './parts.js';
import { answers, freePorts, startDaemon, type Daemon } from './process.js';

/** One group of `file_sd_config`: `host:port` addresses that share labels. */
export interface ScrapeTargets {
  targets: string[];
  labels?: Record<string, string>;
}

export interface PrometheusOptions {
  /** Where configuration, data and log go. */
  dir: string;
  targets?: ScrapeTargets[];
  /** A Prometheus duration; `1s` by default. */
  scrapeInterval?: string;
  /** `metrics_path` of all targets. */
  metricsPath?: string;
  /** Also written into the configuration as they are: `relabel_configs` of the one job. */
  relabelConfigs?: Record<string, unknown>[];
  flags?: string[];
}

export interface RealPrometheus {
  url: string;
  daemon: Daemon;
  /** Replaces what is scraped; Prometheus sees it within a second or so, without a reload. */
  setTargets(targets: ScrapeTargets[]): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a real Prometheus on 127.0.0.1 and waits until it answers queries. */
export async function startRealPrometheus(options: PrometheusOptions): Promise<RealPrometheus> {
  const { prometheus: program } = await ensureParts({ need: ['prometheus'] });
  await mkdir(options.dir, { recursive: true });
  const targetsFile = path.join(options.dir, 'targets.json');
  const configFile = path.join(options.dir, 'prometheus.yaml');
  const setTargets = async (targets: ScrapeTargets[]): Promise<void> => {
    // Renamed into place: a half-written file would be read.
    await writeFile(`${targetsFile}.new`, JSON.stringify(targets));
    await rename(`${targetsFile}.new`, targetsFile);
  };
  await setTargets(options.targets ?? []);
  await writeFile(configFile, configuration(options, targetsFile));
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const daemon = startDaemon(
    'prometheus',
    program,
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${path.join(options.dir, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-lifecycle',
      ...(options.flags ?? []),
    ],
    { dir: options.dir },
  );
  await daemon
    .ready(() => answers(`${url}/-/ready`))
    .catch(async (error: unknown) => {
      await daemon.stop();
      throw error;
    });
  return { url, daemon, setTargets, stop: () => daemon.stop() };
}

function configuration(options: PrometheusOptions, targetsFile: string): string {
  const interval = options.scrapeInterval ?? '1s';
  return stringify({
    global: { scrape_interval: interval, scrape_timeout: interval },
    scrape_configs: [
      {
        job_name: 'mesh',
        honor_labels: true,
        metrics_path: options.metricsPath ?? '/metrics',
        relabel_configs: options.relabelConfigs ?? [],
        file_sd_configs: [{ files: [targetsFile], refresh_interval: '1s' }],
      },
    ],
  });
}
