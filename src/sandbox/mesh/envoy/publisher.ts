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
  private clusters = new Map<string, Json>();
  private serial = 0;
  private endpointFiles = new Set<string>();

  constructor(private readonly options: PublisherOptions) {}

  /** The files that Envoy must find when it starts. */
  async prepare(): Promise<void> {
    await this.write(this.cds(new Map()));
    await this.write(this.lds(new Map()));
  }

  async publish(plan: EnvoyPlan): Promise<void> {
    const changedEndpoints = await this.writeAll(plan.endpoints);
    const both = new Map([...this.clusters, ...plan.clusters]);
    const clustersStep = await this.writeAll([this.cds(both)]);
    await this.accepted([...changedEndpoints, ...clustersStep], true);
    this.clusters = plan.clusters;
    // New listeners read their routes at once, so those exist first; old ones get theirs after the clusters are warm.
    const routesStep = await this.writeAll(plan.routes);
    const listenersStep = await this.writeAll([this.lds(plan.listeners)]);
    await this.accepted([...listenersStep, ...routesStep], false);
    await this.accepted(await this.writeAll([this.cds(plan.clusters)]), false);
    await this.removeStaleEndpoints(plan);
  }

  private cds(clusters: Map<string, Json>): ResourceFile {
    return { path: join(this.options.files, 'cds.json'), resources: [...clusters.values()], stat: cdsStat };
  }

  private lds(listeners: Map<string, Json>): ResourceFile {
    return { path: join(this.options.files, 'lds.json'), resources: [...listeners.values()], stat: ldsStat };
  }

  /** Writes what changed; the result maps each statistic to the version to wait for. */
  private async writeAll(files: readonly ResourceFile[]): Promise<[string, string][]> {
    const steps = await Promise.all(files.map((file) => this.write(file)));
    return steps.flatMap((step) => (step === undefined ? [] : [step]));
  }

  private async write(file: ResourceFile): Promise<[string, string] | undefined> {
    const content = JSON.stringify(file.resources);
    if (this.written.get(file.path) === content) return undefined;
    this.serial += 1;
    const version = String(this.serial);
    const next = `${file.path}.next`;
    await writeFile(next, `{"version_info":"${version}","resources":${content}}`);
    await rename(next, file.path);
    this.written.set(file.path, content);
    return [file.stat, version];
  }

  private async accepted(steps: readonly [string, string][], warm: boolean): Promise<void> {
    if (steps.length === 0) return;
    const deadline = Date.now() + ACCEPT_MS;
    for (;;) {
      const stats = await this.stats();
      const missing = steps.filter(([stat, version]) => stats.get(stat) !== version);
      if (missing.length === 0 && (!warm || stats.get('cluster_manager.warming_clusters') === '0')) return;
      if (Date.now() > deadline) {
        const names = missing.map(([stat, version]) => `${stat} is ${stats.get(stat) ?? 'absent'}, not ${version}`).join('; ');
        throw new Error(`Envoy did not take the new configuration within ${ACCEPT_MS / 1000} s (${names || 'clusters still warming'}); see its log`);
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
    const wanted = new Set(plan.endpoints.map(({ path }) => path));
    for (const path of this.endpointFiles) {
      if (wanted.has(path)) continue;
      this.written.delete(path);
      await rm(path, { force: true });
    }
    this.endpointFiles = wanted;
  }
}
