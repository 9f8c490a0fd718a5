import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { parseExposition, parseSeries } from './exposition.js';
import { Labels } from './labels.js';
import { QueryEngine } from './query.js';
import { Scraper, type ScrapeTarget } from './scraper.js';
import { createApiServer } from './server.js';
import { Database } from './storage/database.js';

export type { ScrapeTarget } from './scraper.js';

const MAX_SERIES = 200_000;

export interface PrometheusOptions {
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  port?: number;
  /** Time between scrapes, milliseconds. Default 1000; 0 scrapes only when scrapeOnce() is called. */
  scrapeIntervalMs?: number;
  /** How long samples are kept, milliseconds. Default one hour. */
  retentionMs?: number;
  /** How far an instant selector looks back, milliseconds. Default five minutes. */
  lookbackMs?: number;
  /** How many series are held at most. Default 200,000; a scrape that would exceed it fails. */
  maxSeries?: number;
  /** What to scrape, asked before each scrape. */
  targets: () => ScrapeTarget[];
  /** Unix milliseconds; the system clock unless a test says otherwise. */
  now?: () => number;
  logger?: { warn(details: object, message: string): void };
}

export interface Prometheus {
  /** Address of the HTTP API, without a slash at the end. */
  url: string;
  /**
   * Stores an exposition as if it had been scraped at that time (unix milliseconds), with these labels added.
   * @throws ExpositionError when the text is not the Prometheus text format.
   */
  ingest(text: string, labels: Record<string, string>, timestampMs: number): void;
  /** Scrapes every target now. */
  scrapeOnce(): Promise<void>;
  /** Stops scraping and serving, and waits for both. */
  stop(): Promise<void>;
}

/**
 * Starts an in-memory Prometheus that scrapes its targets and answers PromQL over Prometheus's HTTP API.
 * @throws Error when the port cannot be listened on.
 */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const now = options.now ?? Date.now;
  const intervalMs = options.scrapeIntervalMs ?? 1000;
  const database = new Database({ retentionMs: options.retentionMs ?? 3_600_000, maxSeries: options.maxSeries ?? MAX_SERIES });
  const onError = (target: ScrapeTarget, reason: string): void =>
    options.logger?.warn({ job: target.job, instance: target.instance, reason }, 'scrape failed');
  const scraper = new Scraper({ database, targets: options.targets, now, intervalMs: intervalMs || 1000, onError });
  const engine = new QueryEngine(database);
  const server = createApiServer({
    database,
    engine,
    scraper,
    now,
    lookbackMs: options.lookbackMs ?? 300_000,
    intervalMs: intervalMs || 1000,
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const running = new Set<Promise<void>>();
  const scrapeOnce = (): Promise<void> => {
    const scrape = scraper.scrapeAll().finally(() => running.delete(scrape));
    running.add(scrape);
    return scrape;
  };
  const scheduled = (): void => {
    scrapeOnce().catch((error: unknown) => options.logger?.warn({ reason: String(error) }, 'scrape round failed'));
  };
  const timer = intervalMs > 0 ? setInterval(scheduled, intervalMs) : undefined;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ingest: (text, labels, timestampMs) => ingest(database, text, labels, timestampMs),
    scrapeOnce,
    stop: async () => {
      clearInterval(timer);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      scraper.close();
      await Promise.allSettled(running);
      await closed;
    },
  };
}

function ingest(database: Database, text: string, labels: Record<string, string>, timestampMs: number): void {
  const extra = Object.entries(labels);
  parseExposition(text, {
    sample: (series, type, value, ownTimestampMs) => {
      const stored = database.getOrCreate(Labels.of([...parseSeries(series, type), ...extra]));
      stored.append(ownTimestampMs ?? timestampMs, value);
    },
  });
}
