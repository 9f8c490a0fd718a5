import type { Clock } from '../../../src/sandbox/cluster/clock.js';
import type { Container, Deployment, Pod, PodSpec, Service } from '../../../src/sandbox/cluster/types.js';
import { until as poll } from '../../until.js';

/** A clock that moves only when told. */
export class ManualClock implements Clock {
  private time = Date.parse('2026-01-01T00:00:00Z');
  private timers: { due: number; action: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(ms: number, action: () => void): () => void {
    const timer = { due: this.time + ms, action };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** Moves on by `ms`, firing what falls due in order and letting promises run in between. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const next = this.timers.filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.due);
      next.action();
    }
    this.time = end;
    await settle();
  }
}

/** Lets pending promises and file operations run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 25; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until `check` gives a value that is not falsy. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  return poll(() => what, async () => (await check()) || undefined, timeoutMs);
}

const container = (extra: Partial<Container> = {}): Container => ({
  name: 'reviews',
  image: 'docker.io/istio/examples-bookinfo-reviews-v1:1.20.3',
  ports: [{ name: 'http', containerPort: 9080 }],
  ...extra,
});

export const pod = (name: string, spec: Partial<PodSpec> = {}, containerExtra: Partial<Container> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels: { app: 'reviews' } },
  spec: { containers: [container(containerExtra)], ...spec },
});

export const deployment = (spec: Partial<Deployment['spec']> = {}, image = 'sandbox/reviews:1'): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'reviews', namespace: 'default' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'reviews' } },
    template: { metadata: { labels: { app: 'reviews' } }, spec: { containers: [container({ image })] } },
    ...spec,
  },
});

export const service = (name = 'reviews', spec: Partial<Service['spec']> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default', labels: { team: 'books' } },
  spec: { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
});
