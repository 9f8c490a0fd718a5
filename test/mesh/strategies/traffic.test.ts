/** Where requests go in each step of the examples: the router's objects, obeyed by the sandbox's mesh, without any process. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { canarySpec, type Canary } from '../../../src/api/index.js';
import { compilePlan, type PlanStep } from '../../../src/core/plan.js';
import type { RouteExtras } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { createIstioRouter } from '../../../src/mesh/istio/index.js';
import { compileMesh } from '../../../src/sandbox/mesh/config.js';
import { programHosts } from '../../../src/sandbox/mesh/domains.js';
import { findRoute } from '../../../src/sandbox/mesh/match.js';
import type { Route } from '../../../src/sandbox/mesh/types.js';
import { describeSource } from '../../../src/sandbox/mesh/workload.js';
import { service } from '../../sandbox/mesh/world.js';
import { Cluster } from '../istio/cluster.js';

const EXAMPLES = join(import.meta.dirname, '../../../examples/bookinfo');
const router = createIstioRouter();

interface Caller {
  headers?: Record<string, string>;
  path?: string;
  host?: string;
  gateway?: string;
  labels?: Record<string, string>;
}

/** A repository of the examples, with its Canary's plan. */
class Example {
  readonly subject: Canary;
  readonly cluster: Cluster;
  readonly plan: PlanStep[];

  constructor(number: string, analysis: Record<string, unknown> = {}) {
    const folder = readdirSync(EXAMPLES).find((name) => name.startsWith(`${number}-`)) ?? '';
    const repo = join(EXAMPLES, folder, 'repo');
    const objects = readdirSync(repo).flatMap((file) => parseAllDocuments(readFileSync(join(repo, file), 'utf8')).map((document) => document.toJS() as KubeObject));
    const placed = objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace: 'shop' } }));
    this.subject = placed.find(({ kind }) => kind === 'Canary') as Canary;
    this.subject.spec = canarySpec.parse({ ...this.subject.spec, analysis: { ...this.subject.spec.analysis, ...analysis } });
    this.cluster = new Cluster(placed.filter(({ kind }) => kind === 'VirtualService' || kind === 'DestinationRule'));
    this.plan = compilePlan(this.subject.spec.analysis);
  }

  /** Write the routes of a step (from 1); 0 is what adoption writes. */
  step(number: number, affinity?: RouteExtras['affinity']): this {
    const step: Partial<PlanStep> = this.plan[number - 1] ?? {};
    const { weight = 0, match, mirror, fault } = step;
    const extras = { slot: 'green' as const, ...(match ? { match } : {}), ...(mirror === undefined ? {} : { mirror }), ...(fault ? { fault } : {}), ...(affinity ? { affinity } : {}) };
    const { writes, problems } = router.plan(this.cluster.input(this.subject), { blue: 100 - weight, green: weight }, Object.keys(extras).length > 1 ? extras : undefined);
    expect(problems).toEqual([]);
    this.cluster.apply(writes);
    return this;
  }

  release(): this {
    this.cluster.apply(router.release(this.cluster.input(this.subject)).writes);
    return this;
  }

  /** The route that a request takes. */
  route({ headers = {}, path = '/reviews/0', host = 'reviews', gateway, labels = { app: 'productpage' } }: Caller): Route {
    const { virtualServices, destinationRules } = this.cluster.input(this.subject);
    const services = ['reviews', 'reviews-blue', 'reviews-green', 'reviews-blue-control', 'reviews-green-control', 'ratings', 'details', 'productpage'].map((name) => service(name, 'shop'));
    const config = compileMesh({ virtualServices, destinationRules, services, endpointSlices: [], pods: [] });
    expect(config.problems).toEqual([]);
    const source = describeSource({ workload: 'caller', namespace: 'shop', labels, ...(gateway === undefined ? {} : { gateway }) });
    const table = programHosts(config, source).find(({ domains }) => domains.includes(host));
    const route = table && findRoute(table.routes, { method: 'GET', authority: host, path, query: '', headers });
    if (!route) throw new Error(`nothing routes ${host}${path}`);
    return route;
  }

  /** Percent per slot: `blue 80, green 20`. */
  goes(caller: Caller = {}): string {
    const { action } = this.route(caller);
    if (action.kind !== 'forward') return action.kind;
    return action.destinations.map(({ cluster, weight }) => `${/reviews-((?:blue|green)(?:-control)?)\./.exec(cluster)?.[1] ?? cluster} ${weight}`).join(', ');
  }
}

const jason = { headers: { 'end-user': 'jason' } };

describe('requests in the examples', () => {
  it('1: stay on the stable slot, subset and all, until a weight moves them', () => {
    const example = new Example('01').step(0);
    expect(example.goes()).toBe('blue 100');
    expect(example.step(1).goes()).toBe('blue 80, green 20');
  });

  it('2 and 3: follow the weights', () => {
    expect([1, 2].map((number) => new Example('02').step(number).goes())).toEqual(['blue 50, green 50', 'green 100']);
    expect([1, 2, 3].map((number) => new Example('03').step(number).goes())).toEqual(['blue 90, green 10', 'blue 80, green 20', 'blue 70, green 30']);
  });

  it('4: of one user go to the new version by whichever rule, with its own timeout', () => {
    const example = new Example('04').step(1);
    expect(example.goes(jason)).toBe('green 100');
    expect(example.goes({ headers: { 'end-user': 'anna' } })).toBe('blue 100');
    expect(example.goes({ headers: { 'end-user': 'jason', 'x-tester': 'yes' } })).toBe('green 100');
    expect(example.goes({ headers: { 'x-tester': 'yes' } })).toBe('blue 100');
    expect(example.route({ headers: { 'end-user': 'jason', 'x-tester': 'yes' } }).timeoutMs).toBe(10_000);
    expect(example.route(jason).timeoutMs).toBe(3_000);
  });

  it('4: of one user, with a control arm, are halved between the new version and the arm; others never go to either', () => {
    const example = new Example('04', { control: true }).step(1);
    for (const headers of [jason.headers, { ...jason.headers, 'x-tester': 'yes' }]) expect(example.goes({ headers })).toBe('blue-control 50, green 50');
    const others: Caller[] = [{ headers: { 'end-user': 'anna' } }, { headers: { 'x-tester': 'yes' } }, {}];
    for (const caller of others) expect(example.goes(caller)).toBe('blue 100');
    expect(example.step(0).goes(jason)).toBe('blue 100');
  });

  it.each([
    ['user=jason', 'green 100'],
    ['lang=en; user=jason; theme=dark', 'green 100'],
    ['user=jasonx', 'blue 100'],
    ['notuser=jason', 'blue 100'],
  ])('5: with the cookie %s go to %s', (cookie, expected) => {
    expect(new Example('05').step(1).goes({ headers: { cookie } })).toBe(expected);
  });

  it('6 and 7: are copied, and answered by the stable version', () => {
    for (const number of ['06', '07']) {
      const example = new Example(number).step(1);
      expect(example.goes()).toBe('blue 100');
      expect(example.route({}).mirrors).toEqual([{ cluster: 'outbound|9080||reviews-green.shop.svc.cluster.local', percent: 100 }]);
      expect(example.step(2).route({}).mirrors).toEqual([]);
    }
  });

  it('8: of the canary to ratings fail, and nobody else does; afterwards none', () => {
    const example = new Example('08').step(1);
    const canary = { host: 'ratings', path: '/ratings/0', labels: { app: 'reviews', 'sluice.dev/canary': 'reviews', 'sluice.dev/slot': 'green' } };
    const stable = { ...canary, labels: { ...canary.labels, 'sluice.dev/slot': 'blue' } };
    expect(example.route(canary).fault).toEqual({ abort: { percent: 100, status: 500 } });
    expect(example.route(stable).fault).toBeUndefined();
    expect(example.route({ host: 'ratings' }).fault).toBeUndefined();
    expect(example.step(2).route(canary)).toMatchObject({ fault: { delay: { percent: 100, ms: 7000 } }, timeoutMs: 10_000 });
    expect(example.goes({ headers: { 'x-tester': 'yes' } })).toBe('green 100');
    expect(example.goes()).toBe('blue 100');
    expect(example.step(3).route(canary).fault).toBeUndefined();
    expect(example.goes({ headers: { 'x-tester': 'yes' } })).toBe('blue 50, green 50');
  });

  it('9: have their timeout and retries at every weight', () => {
    for (const number of [0, 1, 2]) expect(new Example('09').step(number).route({})).toMatchObject({ timeoutMs: 500, retries: { attempts: 3, perTryTimeoutMs: 2_000 } });
  });

  it('11 and 12: are divided at the gateway by the one rule, and its neighbours stay', () => {
    const gate = { host: 'bookinfo.example.com', gateway: 'shop/bookinfo-gateway' };
    for (const [number, expected] of [['11', 'blue 80, green 20'], ['12', 'blue 50, green 50']] as const) {
      const example = new Example(number).step(1);
      expect(example.goes(gate)).toBe(expected);
      for (const path of ['/productpage', '/static/x.css', '/login', '/logout', '/api/v1/products/0'])
        expect(example.goes({ ...gate, path })).toBe('outbound|9080||productpage.shop.svc.cluster.local 100');
    }
  });

  it('of users with a cookie stay where they were sent while the weights grow', () => {
    const affinity = { canary: { name: 'v', value: 'c0ffee', attributes: 'Max-Age=60' }, stable: { name: 'w', value: 'c0ffee', attributes: 'Max-Age=60' } };
    const example = new Example('03');
    for (const number of [1, 2, 3]) {
      example.step(number, affinity);
      expect(example.goes({ headers: { cookie: 'a=b; v=c0ffee' } })).toBe('green 100');
      expect(example.goes({ headers: { cookie: 'w=c0ffee; a=b' } })).toBe('blue 100');
      expect(example.goes({ headers: { cookie: 'v=anotherrun' } })).toBe(`blue ${100 - 10 * number}, green ${10 * number}`);
    }
    const { action } = example.route({});
    const given = action.kind === 'forward' ? action.destinations.map(({ headers }) => headers?.response?.add) : [];
    expect(given).toEqual([{ 'set-cookie': 'w=c0ffee; Max-Age=60' }, { 'set-cookie': 'v=c0ffee; Max-Age=60' }]);
    expect(example.step(0).goes({ headers: { cookie: 'v=c0ffee' } })).toBe('blue 100');
  });

  it('find every route again as it was in Git once the Canary goes', () => {
    for (const name of readdirSync(EXAMPLES).filter((entry) => /^\d\d-/.test(entry))) {
      const example = new Example(name.slice(0, 2));
      const before = JSON.stringify(specs(example));
      for (let number = 0; number <= example.plan.length; number += 1) example.step(number);
      expect(JSON.stringify(specs(example.release())), name).toBe(before);
    }
  });
});

const specs = ({ cluster, subject }: Example): unknown[] => {
  const { virtualServices, destinationRules } = cluster.input(subject);
  return [...virtualServices, ...destinationRules].map((object) => [object.metadata.name, object.metadata.annotations, object['spec']]);
};

it('every example has a README that says how to play it, and a script', () => {
  const names = readdirSync(EXAMPLES).filter((entry) => /^\d\d-/.test(entry));
  expect(names).toHaveLength(15);
  for (const name of names) {
    expect(readFileSync(join(EXAMPLES, name, 'README.md'), 'utf8')).toContain(`--scenario ${Number(name.slice(0, 2))}`);
    expect(parse(readFileSync(join(EXAMPLES, name, 'scenario.yaml'), 'utf8'))).toHaveProperty('commits');
  }
});
