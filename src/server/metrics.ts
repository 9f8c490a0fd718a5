import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Canary } from '../api/index.js';
import type { Decision } from '../core/observation.js';
import type { RequestRecord } from '../kube/index.js';

/** What the controller tells Prometheus about itself; see docs/operations.md for the meaning of each series. */
export class ControllerMetrics {
  readonly registry = new Registry();
  readonly #requests = new Counter({ name: 'sluice_api_requests_total', help: 'Requests to the Kubernetes API.', labelNames: ['verb', 'resource', 'code'], registers: [this.registry] });
  readonly #queries = new Counter({ name: 'sluice_metric_queries_total', help: 'Queries to metrics servers.', labelNames: ['ok'], registers: [this.registry] });
  readonly #releases = new Counter({ name: 'sluice_releases_total', help: 'Releases that ended.', labelNames: ['namespace', 'name', 'result'], registers: [this.registry] });
  readonly #stepLag = new Histogram({
    name: 'sluice_step_lag_seconds',
    help: 'Time between the instant at which a step or check was due and the decision on it.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });
  readonly #reconciles = new Counter({ name: 'sluice_reconciles_total', help: 'Decisions made.', registers: [this.registry] });
  readonly #errors = new Counter({ name: 'sluice_reconcile_errors_total', help: 'Decisions that could not be carried out at once.', registers: [this.registry] });
  readonly #leading = new Gauge({ name: 'sluice_leader', help: '1 while this process leads.', registers: [this.registry] });

  constructor(canaries: () => Canary[]) {
    // Its default looks at the event loop a hundred times a second, which is most of what an idle controller does.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 200 });
    const each = (gauge: Gauge, value: (canary: Canary) => number | undefined) => {
      gauge.reset();
      for (const canary of canaries()) {
        const number = value(canary);
        if (number !== undefined) gauge.set({ namespace: canary.metadata.namespace ?? '', name: canary.metadata.name }, number);
      }
    };
    // Read when scraped, from the live objects: series vanish with their Canary.
    new Gauge({
      name: 'sluice_canary_weight',
      help: 'Share of the traffic that the canary has, in percent.',
      labelNames: ['namespace', 'name'],
      registers: [this.registry],
      collect() {
        each(this, (canary) => canary.status?.canaryWeight ?? 0);
      },
    });
    new Gauge({
      name: 'sluice_canary_running',
      help: '1 while a release is under way.',
      labelNames: ['namespace', 'name'],
      registers: [this.registry],
      collect() {
        each(this, (canary) => (canary.status?.run ? 1 : 0));
      },
    });
    new Gauge({
      name: 'sluice_canary_stalled',
      help: '1 while something waits for a person.',
      labelNames: ['namespace', 'name'],
      registers: [this.registry],
      collect() {
        each(this, (canary) => (canary.status?.conditions?.some((item) => item.type === 'Stalled' && item.status === 'True') ? 1 : 0));
      },
    });
    new Gauge({
      name: 'sluice_revision_info',
      help: '1 for the stable revision of each Canary and for the one that is being released, with the commit that brought it.',
      labelNames: ['namespace', 'name', 'role', 'revision', 'commit'],
      registers: [this.registry],
      // Two series for each Canary at most; those of older releases go.
      collect() {
        this.reset();
        for (const { metadata, status } of canaries())
          for (const role of ['stable', 'canary'] as const) {
            const side = status?.[role];
            if (side) this.set({ namespace: metadata.namespace ?? '', name: metadata.name, role, revision: side.revision, commit: side.commit ?? 'unknown' }, 1);
          }
      },
    });
  }

  request({ verb, resource, code }: RequestRecord): void {
    this.#requests.inc({ verb, resource, code: String(code) });
  }
  query(ok: boolean): void {
    this.#queries.inc({ ok: String(ok) });
  }
  reconcileFailed(): void {
    this.#errors.inc();
  }
  leading(leads: boolean): void {
    this.#leading.set(leads ? 1 : 0);
  }
  /** `dueAt` and `now` in unix milliseconds. */
  decision(canary: Canary, decision: Decision, dueAt: number | undefined, now: number): void {
    this.#reconciles.inc();
    const acted = decision.status.nextStepTime !== canary.status?.nextStepTime;
    if (dueAt !== undefined && dueAt <= now && acted) this.#stepLag.observe((now - dueAt) / 1000);
    const [last] = decision.status.history ?? [];
    if (last && last.run !== canary.status?.history?.[0]?.run)
      this.#releases.inc({ namespace: canary.metadata.namespace ?? '', name: canary.metadata.name, result: last.result });
  }
}
