import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cdsStat, ldsStat, type EnvoyPlan, type ResourceFile } from './plan.js';
import { sleep } from './process.js';
import type { Json } from './routes.js';

const ACCEPT_MS = 5000;
const POLL_MS = 10;

export interface PublisherOptions {
  files: string;
  admin: (path: string) => Promise<string>;
}

/**
 * Hands plans to a running Envoy through its watched files, make before break: endpoints and clusters, then listeners, then the
 * routes that name them; what no route names any more goes last. Rejects when Envoy does not accept a step within 5 s; it then
 * goes on with what it had.
 */
export class Publisher {
  private readonly written = new Map<string, string>();
  /** Versions that Envoy was given and has not confirmed, by statistic. */
  private readonly outstanding = new Map<string, string>();
  private clusters = new Map<string, Json>();
  private listeners = new Map<string, Json>();
  private serial = 0;
  private endpointFiles = new Map<string, string>();

  constructor(private readonly options: PublisherOptions) {}

  /** The files that Envoy must find when it starts. */
  async prepare(): Promise<void> {
    await this.write([this.cds(new Map()), this.lds(new Map())]);
  }

  async publish(plan: EnvoyPlan): Promise<void> {
    await this.write(plan.endpoints);
    await this.write([this.cds(new Map([...this.clusters, ...plan.clusters]))]);
    await this.accepted(true);
    // A new listener reads its routes at once, so they exist before it; the other routes change when all that they name is there.
    await this.write(plan.routes.filter(({ path }) => !this.written.has(path)));
    await this.write([this.lds(new Map([...this.listeners, ...plan.listeners]))]);
    await this.accepted(false);
    await this.write(plan.routes);
    await this.accepted(false);
    this.clusters = plan.clusters;
    this.listeners = plan.listeners;
    await this.write([this.cds(plan.clusters), this.lds(plan.listeners)]);
    await this.accepted(false);
    await this.removeStaleEndpoints(plan);
  }

  private cds(clusters: Map<string, Json>): ResourceFile {
    return { path: join(this.options.files, 'cds.json'), resources: [...clusters.values()], stat: cdsStat };
  }

  private lds(listeners: Map<string, Json>): ResourceFile {
    return { path: join(this.options.files, 'lds.json'), resources: [...listeners.values()], stat: ldsStat };
  }

  /** Writes the files that changed. */
  private async write(files: readonly ResourceFile[]): Promise<void> {
    for (const { path, resources, stat } of files) {
      const content = JSON.stringify(resources);
      if (this.written.get(path) === content) continue;
      this.serial += 1;
      const version = String(this.serial);
      await writeFile(`${path}.next`, `{"version_info":"${version}","resources":${content}}`);
      await rename(`${path}.next`, path);
      this.written.set(path, content);
      this.outstanding.set(stat, version);
    }
  }

  /** Waits until Envoy uses all that was written. What it refused stays outstanding, so that later rounds fail too until it is replaced. */
  private async accepted(warm: boolean): Promise<void> {
    const deadline = Date.now() + ACCEPT_MS;
    while (this.outstanding.size > 0) {
      const stats = await this.stats();
      const missing = [...this.outstanding].filter(([stat, version]) => stats.get(stat) !== version);
      if (missing.length === 0 && (!warm || stats.get('cluster_manager.warming_clusters') === '0')) {
        this.outstanding.clear();
        return;
      }
      if (Date.now() > deadline) {
        const names = missing.map(([stat, version]) => `${stat} is ${stats.get(stat) ?? 'absent'}, not ${version}`).join('; ');
        throw new Error(
          `Envoy did not take the new configuration within ${ACCEPT_MS / 1000} s (${names || 'clusters still warming'}); see its log`,
        );
      }
      await sleep(POLL_MS);
    }
  }

  private async stats(): Promise<Map<string, string>> {
    const [texts, warming] = await Promise.all([
      this.options.admin('/stats?filter=version_text$&type=TextReadouts'),
      this.options.admin('/stats?filter=^cluster_manager.warming_clusters$'),
    ]);
    const entries = `${texts}\n${warming}`.split('\n').flatMap((line): [string, string][] => {
      const at = line.lastIndexOf(': ');
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 2).replaceAll('"', '')]];
    });
    return new Map(entries);
  }

  private async removeStaleEndpoints(plan: EnvoyPlan): Promise<void> {
    const wanted = new Map(plan.endpoints.map(({ path, stat }) => [path, stat]));
    for (const [path, stat] of this.endpointFiles) {
      if (wanted.has(path)) continue;
      this.written.delete(path);
      this.outstanding.delete(stat);
      await rm(path, { force: true });
    }
    this.endpointFiles = wanted;
  }
}
