import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  canarySpec,
  FINALIZER,
  Labels,
  type Canary,
  type CanarySpec,
  type CanaryStatus,
  type SlotName,
} from '../../src/api/index.js';
import type { Weights } from '../../src/core/evidence.js';
import { layOver } from '../../src/core/overlay.js';
import { canaryNames } from '../../src/core/names.js';
import { makeRevision } from '../../src/core/revision.js';
import { Resources, type KubeObject } from '../../src/kube/index.js';
import { createIstioRouter } from '../../src/mesh/istio/index.js';
import { at, canary, createWorld, golden, idle, running, without, type World } from './world.js';

const template = (name: string, version: string) => ({
  metadata: { labels: { app: name } },
  spec: { containers: [{ name, image: `example.com/${name}:${version}` }] },
});
const revisionOf = (name: string, version: string): string => makeRevision(template(name, version), []).name;

/** What a cluster in the middle of a release of v2 holds. */
class Release {
  readonly stable: string;
  readonly canary: string;

  constructor(
    private readonly world: World,
    readonly name: string,
    private readonly wanted = 'v2',
    stable = revisionOf(name, 'v1'),
  ) {
    this.stable = stable;
    this.canary = revisionOf(name, 'v2');
  }

  put(status: Partial<CanaryStatus>, more: { weights: Weights; ready?: number; spec?: Partial<CanarySpec> }): void {
    const { store } = this.world.server;
    const labels = { app: this.name };
    const object = canary(this.name, this.#named(status), { spec: { replicas: 2, ...more.spec } });
    this.world.put({ ...object, metadata: { ...object.metadata, finalizers: [FINALIZER] } });
    const target = deployment(this.name, labels, 2, template(this.name, this.wanted));
    store.create<KubeObject>(Resources.Deployment, target);
    store.patch(Resources.Deployment, 'default', this.name, layOver(target, this.name, { '/spec/replicas': 0 }), 'merge');
    store.create<KubeObject>(
      Resources.Service,
      service(this.name, { ...labels, [Labels.canary]: this.name, [Labels.slot]: 'blue' }),
    );
    this.#slot('blue', this.stable, 2);
    this.#slot('green', this.canary, more.ready ?? 2);
    const spec = canarySpec.parse(object.spec);
    const read: Canary = { ...object, spec };
    const { writes } = createIstioRouter().plan(
      { canary: read, names: canaryNames(spec), virtualServices: [], destinationRules: [] },
      more.weights,
    );
    for (const { resource, object: route } of writes) store.create(resource, route);
  }

  #named(status: Partial<CanaryStatus>): Partial<CanaryStatus> {
    const { stable, canary: side } = status;
    return {
      ...status,
      seededReplicas: 2,
      targetReplicas: 2,
      ...(stable ? { stable: { ...stable, revision: this.stable } } : {}),
      ...(side ? { canary: { ...side, revision: this.canary } } : {}),
    };
  }

  #slot(slot: SlotName, revision: string, ready: number): void {
    const { store } = this.world.server;
    const name = `${this.name}-${slot}`;
    const labels = { app: this.name, [Labels.canary]: this.name, [Labels.slot]: slot, [Labels.revision]: revision };
    const live = deployment(name, labels, 2, { ...template(this.name, 'any'), metadata: { labels } });
    store.create<KubeObject>(Resources.Deployment, { ...live, metadata: { ...live.metadata, labels } });
    store.create<KubeObject>(Resources.Service, service(name, labels));
    const pods = [1, 2].map((number) => `${name}-${number}`);
    for (const [index, pod] of pods.entries()) {
      const created = store.create<KubeObject>(Resources.Pod, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: pod, namespace: 'default', labels },
        spec: template(this.name, 'any').spec,
      });
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: index < ready ? 'True' : 'False' }] };
      store.update<KubeObject>(Resources.Pod, { ...created, status }, { subresource: 'status' });
    }
    store.create<KubeObject>(Resources.EndpointSlice, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: pods.map((pod, index) => ({
        addresses: [`10.0.0.${index + 1}`],
        conditions: { ready: index < ready },
        targetRef: { kind: 'Pod', name: pod },
      })),
      ports: [{ port: 9080 }],
    });
  }
}

const deployment = (name: string, labels: Record<string, string>, replicas: number, podTemplate: object): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'default' },
  spec: { replicas, selector: { matchLabels: labels }, template: podTemplate },
});
const service = (name: string, selector: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { selector, ports: [{ port: 9080 }] },
});

describe('sluice explain', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world.close());
  const waiting = (reason: string, message: string) => ({
    type: 'Progressing',
    status: 'True' as const,
    reason,
    message,
    lastTransitionTime: at(-60),
  });

  it('says what a step waits for, and when the next check is due', async () => {
    new Release(world, 'reviews').put(running, { weights: { blue: 75, green: 25 } });
    const { code, out, err } = await world.run('explain', 'reviews');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    golden('explain-analysing.txt', out);
  });

  it('says which evidence a check takes that is due', async () => {
    new Release(world, 'due').put({ ...running, nextStepTime: at(-1) }, { weights: { blue: 75, green: 25 } });
    const { out } = await world.run('explain', 'due');
    golden('explain-due.txt', out);
    expect(out).toContain('request-success-rate over the last 18s');
  });

  it('says what the comparison with the stable version has shown, and how many requests are missing', async () => {
    const verdict = {
      run: 'a2canary00-1',
      step: '25',
      next: at(-40),
      missing: 12,
      streams: [
        {
          metric: 'request-success-rate',
          until: at(-45),
          canary: { total: 38, bad: 2 },
          stable: { total: 114, bad: 0 },
          low: -3.1,
          high: 24.2,
          ratio: [1.2, 2.1, 2.6, 2.5],
          difference: [1.1, 2.4, 4.2, 5.1],
          health: -3,
          dispersion: { windows: 130, bad: 12, total: 14_000, squares: 0.02 },
        },
      ],
    };
    const spec = canarySpec.parse({ ...canary('compared', running).spec, analysis: { interval: '30s', stepWeights: [10, 25, 50], verdict: {} } });
    new Release(world, 'compared').put({ ...running, verdict }, { weights: { blue: 75, green: 25 }, spec });
    const { code, out } = await world.run('explain', 'compared');
    expect(code).toBe(0);
    golden('explain-compared.txt', out);
    const explained = JSON.parse((await world.run('explain', 'compared', '--output', 'json')).out) as { compared: { missing: number; streams: { odds: string }[] } };
    expect(explained.compared).toMatchObject({ missing: 12, streams: [{ odds: expect.stringMatching(/^1 in \d+$/) as unknown }] });
  });

  it('says whom a hold waits for, and how to go on', async () => {
    const held = {
      ...running,
      run: { ...running.run, held: { by: 'ada', reason: 'lunch', at: at(-20) } } as NonNullable<CanaryStatus['run']>,
    };
    new Release(world, 'held').put(held, { weights: { blue: 75, green: 25 } });
    const { out } = await world.run('explain', 'held');
    golden('explain-held.txt', out);
    expect(out).toContain('sluice resume held');
  });

  it('asks for the approval that a step needs', async () => {
    const approval = {
      ...without(running, 'deadline'),
      phase: 'WaitingPromotion' as const,
      conditions: [waiting('WaitingForApproval', 'approved waits for approval at weight 25 %: sluice approve approved')],
    };
    const spec = {
      analysis: { interval: '30s', steps: [{ weight: 10 }, { weight: 25, approve: true }, { weight: 50, hold: '10m' }] },
    } as Partial<CanarySpec>;
    new Release(world, 'approved').put({ ...approval, nextStepTime: at(-1) }, { weights: { blue: 75, green: 25 }, spec });
    const { out } = await world.run('explain', 'approved');
    golden('explain-approval.txt', out);
    expect(out).toContain('sluice approve approved');
  });

  it('points at pods that are not ready', async () => {
    const starting = {
      ...without(running, 'step', 'nextStepTime'),
      canaryWeight: 0,
      run: { id: 'r-1', startedAt: at(-20), weights: [] },
      failedChecks: 0,
      checks: [],
    };
    new Release(world, 'starting').put(starting, { weights: { blue: 100, green: 0 }, ready: 1 });
    const { out } = await world.run('explain', 'starting');
    golden('explain-starting.txt', out);
    expect(out).toContain('kubectl describe pods -l sluice.dev/canary=starting,sluice.dev/slot=green');
  });

  it('says why a quarantined revision does not run, and how to run it again', async () => {
    const release = new Release(world, 'broken');
    release.put(
      { ...idle, quarantined: [{ revision: release.canary, reason: 'success rate 93.1 % < 99 %', at: at(-600) }] },
      { weights: { blue: 100, green: 0 } },
    );
    const { out } = await world.run('explain', 'broken');
    golden('explain-quarantined.txt', out);
    expect(out).toContain('sluice retry broken');
  });

  it('says that nobody takes a step that is long due', async () => {
    new Release(world, 'lonely').put({ ...running, nextStepTime: at(-300) }, { weights: { blue: 75, green: 25 } });
    expect((await world.run('explain', 'lonely')).out).toContain('no controller seems to run');
  });

  it('names a revision that an upgrade gave another hash by the name that it keeps, and says why', async () => {
    const hash = revisionOf('renamed', 'v1');
    new Release(world, 'renamed', 'v1', 'a0000lder').put({ ...idle, origin: { key: 'earlier', hash, revision: 'a0000lder' } }, { weights: { blue: 100, green: 0 } });
    const { out } = await world.run('explain', 'renamed');
    expect(out).toContain('Revision a0000lder');
    expect(out).toContain('no release is under way');
    expect(out).toContain(`Git wants that revision still: an upgrade of the API server or of Sluice computes ${hash} for the same template, and that is no release.`);
    expect(out).not.toContain(`Git wants revision ${hash}`);
  });

  it.each<[string, Record<string, unknown>, RegExp[]]>([
    ['stepWeight', { stepWeight: 20, maxWeight: 50 }, [/weight 20 % +hold 1m/, /weight 40 % +hold 1m/, /weight 50 % +hold 1m/]],
    ['stepWeights after copies', { stepWeights: [50], mirror: true, mirrorWeight: 30 }, [/weight 0 %, copies of 30 % of the requests/, /weight 50 %/]],
    ['an A/B test', { iterations: 5, match: [{ headers: { cookie: { regex: 'a=1' } } }] }, [/weight 0 %, 100 % of the requests with cookie: \/a=1\/ +hold 5m, 5 checks/]],
    ['blue/green', { iterations: 2 }, [/weight 0 % +hold 2m, 2 checks/, /weight 100 % +hold 1m/]],
    [
      'steps',
      { steps: [{ fault: { host: 'ratings', delay: { fixedDelay: '7s' } }, replicas: 1, approve: true }, { weight: 10, hold: '10m' }] },
      [/weight 0 %, delay 7s to what it asks of ratings +hold 1m, 1 pod, then an approval/, /weight 10 % +hold 10m/],
    ],
  ])('shows the plan that %s compiles to, before anything is released', async (form, plan, wanted) => {
    const name = `plan-of-${form.replaceAll(/[^a-z]+/gi, '-').toLowerCase()}`;
    const { stepWeights: _, ...analysis } = canary(name, idle).spec.analysis as Record<string, unknown>;
    world.put(canary(name, idle, { spec: { analysis: { ...analysis, interval: '1m', ...plan } as never } }));
    const { out } = await world.run('explain', name);
    const lines = out.slice(out.indexOf('Steps')).split('\n').slice(1);
    for (const [index, line] of [...wanted, /weight 100 % +promotion/].entries()) expect(lines[index]).toMatch(line);
    expect(lines[wanted.length + 1]).toBe('');
  });

  it('gives JSON', async () => {
    const { out } = await world.run('explain', 'reviews', '--output', 'json');
    const explanation = JSON.parse(out) as {
      why: { reason: string };
      steps: { weight: number; state: string }[];
      commands: { command: string }[];
      nextStepTime: string;
    };
    expect(explanation.nextStepTime).toBe(at(12));
    expect(explanation.steps.map(({ weight, state }) => [weight, state])).toEqual([
      [10, 'done'],
      [25, 'current'],
      [50, 'next'],
      [100, 'later'],
    ]);
    expect(explanation.commands.map(({ command }) => command)).toContain('sluice abort reviews');
  });

  it('writes nothing', async () => {
    const before = world.server.store.resourceVersion;
    await world.run('explain', 'held');
    expect(world.server.store.resourceVersion).toBe(before);
  });

  it('explains from the status alone what it cannot read', async () => {
    const bare = await createWorld({ istio: false });
    bare.put(canary('reviews', running));
    const explaining = bare.start('explain', 'reviews');
    let ended = false;
    void explaining.code.then(() => (ended = true));
    await expect
      .poll(
        () => {
          explaining.clock.advance(500);
          return ended;
        },
        { interval: 50, timeout: 8_000 },
      )
      .toBe(true);
    expect(await explaining.code).toBe(0);
    expect(explaining.out).toContain('1 of 3 checks failed');
    expect(explaining.out).toContain('what the controller would do now: list');
    expect(explaining.out).toContain('networking.istio.io');
    await bare.close();
  });
});
