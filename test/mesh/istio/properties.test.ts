import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RoutePlan } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { createIstioRouter } from '../../../src/mesh/istio/index.js';
import { canary, Cluster } from './cluster.js';

const router = createIstioRouter();
const RUNS = { numRuns: 150 };

type Item = { destination: { host: string }; weight?: number };
type Http = { name?: string; route?: Item[] };

const OWN_HOSTS = ['reviews', 'reviews.shop', 'reviews.shop.svc', 'reviews.shop.svc.cluster.local'];
const OTHER_HOSTS = ['other', 'reviews-v2', 'reviews.web.svc.cluster.local', 'ratings-blue', 'reviews.example.com'];
const isSlot = (host: string) => /^reviews-(blue|green)(\.shop(\.svc.*)?)?$/.test(host);
const isOwn = (host: string) => OWN_HOSTS.includes(host) || isSlot(host);

/** Fields that this version of Sluice has never heard of, in any place of the object. */
const unknownFields = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 6 }).map((key) => `x-${key}`),
  fc.jsonValue({ maxDepth: 2 }),
  { maxKeys: 2 },
);

/** Keys in any order: a release must give that order back too. */
const shuffled = <T extends object>(parts: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  parts.chain((object) => {
    const entries = Object.entries(object);
    return fc.shuffledSubarray(entries, { minLength: entries.length }).map((order) => Object.fromEntries(order) as T);
  });

const item = (host: fc.Arbitrary<string>, weight: number | undefined): fc.Arbitrary<Item> =>
  fc
    .tuple(host, unknownFields, unknownFields, fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined }))
    .chain(([name, inItem, inDestination, port]) =>
      shuffled(
        shuffled(fc.constant({ ...inDestination, host: name, ...(port ? { port: { number: port } } : {}) })).map(
          (destination) => ({
            ...inItem,
            destination,
            ...(weight === undefined ? {} : { weight }),
          }),
        ),
      ),
    ) as fc.Arbitrary<Item>;

const host = fc.constantFrom(...OWN_HOSTS, ...OTHER_HOSTS);
const lone = fc
  .option(fc.integer({ min: 0, max: 300 }), { nil: undefined })
  .chain((weight) => item(host, weight).map((only) => [only]));
const divided = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 3 }), fc.boolean())
  .chain(([cuts, leaveOut]) => {
    const points = [0, ...cuts.sort((a, b) => a - b), 100];
    const weights = points.slice(1).map((point, i) => point - (points[i] ?? 0));
    return fc.tuple(...weights.map((weight) => item(host, weight === 0 && leaveOut ? undefined : weight)));
  });

const http = fc
  .tuple(
    fc.option(fc.constantFrom('a', 'b', 'main', '__proto__'), { nil: undefined }),
    unknownFields,
    fc.oneof({ weight: 4, arbitrary: fc.oneof(lone, divided) }, { weight: 1, arbitrary: fc.constant(undefined) }),
  )
  .chain(([name, fields, route]) =>
    shuffled(
      fc.constant({ ...fields, ...(name === undefined ? {} : { name }), ...(route ? { route } : { redirect: { uri: '/' } }) }),
    ),
  ) as fc.Arbitrary<Http>;

const virtualService: fc.Arbitrary<KubeObject> = fc
  .tuple(
    fc.array(http, { minLength: 1, maxLength: 5 }),
    unknownFields,
    unknownFields,
    fc.option(fc.constant({ team: 'books' }), { nil: undefined }),
  )
  .map(([routes, inSpec, fields, annotations]) => ({
    ...fields,
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'reviews', namespace: 'shop', resourceVersion: '7', ...(annotations ? { annotations } : {}) },
    spec: { hosts: ['reviews'], ...inSpec, http: routes },
  }));

const weights = fc.integer({ min: 0, max: 100 }).map((blue) => ({ blue, green: 100 - blue }));
const own = canary({ virtualService: { name: 'reviews' } });

const httpOf = (object: KubeObject | undefined): Http[] => (object?.spec as { http?: Http[] } | undefined)?.http ?? [];
const goesThroughSlots = (object: KubeObject): boolean =>
  httpOf(object).some(({ route }) => route?.some((d) => isOwn(d.destination.host)));
const withoutVersion = (object: KubeObject | undefined): string =>
  JSON.stringify(object, (key, value: unknown) => (key === 'resourceVersion' ? undefined : value));

function carryOut(cluster: Cluster, plan: RoutePlan): RoutePlan {
  expect(plan.problems).toEqual([]);
  cluster.apply(plan.writes);
  return plan;
}

/** Change every object in an answer, each once: one that is met twice would change in two places. */
function scribble(value: unknown, seen: Set<unknown>): void {
  if (typeof value !== 'object' || value === null) return;
  expect(seen.has(value)).toBe(false);
  seen.add(value);
  for (const child of Object.values(value)) scribble(child, seen);
  Object.assign(value, { scribbled: true });
}

const usable = virtualService.filter(goesThroughSlots);

describe('any VirtualService of a user', () => {
  it('is byte-identical after any number of weights and a release', () => {
    fc.assert(
      fc.property(usable, fc.array(weights, { minLength: 1, maxLength: 4 }), (original, series) => {
        const cluster = new Cluster([original]);
        for (const step of series) carryOut(cluster, router.plan(cluster.input(own), step));
        carryOut(cluster, router.release(cluster.input(own)));
        expect(withoutVersion(cluster.get('VirtualService', 'reviews'))).toBe(withoutVersion(original));
      }),
      RUNS,
    );
  });

  it('has weights in 0..100 that sum to 100 in every route that goes through the slots', () => {
    fc.assert(
      fc.property(usable, weights, (original, step) => {
        const cluster = new Cluster([original]);
        carryOut(cluster, router.plan(cluster.input(own), step));
        for (const { route = [] } of httpOf(cluster.get('VirtualService', 'reviews'))) {
          if (!route.some((d) => isSlot(d.destination.host))) continue;
          const all = route.map(({ weight = 0 }) => weight);
          expect(all.every((weight) => Number.isInteger(weight) && weight >= 0 && weight <= 100)).toBe(true);
          expect(all.reduce((a, b) => a + b, 0)).toBe(100);
        }
      }),
      RUNS,
    );
  });

  it('gives a slot nothing at weight 0, and something at any weight where its share is large enough', () => {
    fc.assert(
      fc.property(usable, weights, (original, step) => {
        const cluster = new Cluster([original]);
        carryOut(cluster, router.plan(cluster.input(own), step));
        for (const { route = [] } of httpOf(cluster.get('VirtualService', 'reviews'))) {
          route.forEach(({ destination, weight = 0 }, i) => {
            if (!destination.host.startsWith('reviews-blue')) return;
            const green = route[i + 1]?.weight ?? 0;
            if (step.blue === 0) expect(weight).toBe(0);
            if (step.green === 0) expect(green).toBe(0);
            if (step.blue > 0 && step.green > 0 && weight + green >= 2) expect(Math.min(weight, green)).toBeGreaterThanOrEqual(1);
          });
        }
      }),
      RUNS,
    );
  });

  it('keeps everything else as it is: other destinations, other routes, other fields', () => {
    const others = (object: KubeObject | undefined): string => {
      const { annotations: _, ...metadata } = { ...object?.metadata };
      const spec = {
        ...(object?.spec as object),
        http: httpOf(object).map((one) => ({ ...one, route: one.route?.filter((d) => !isOwn(d.destination.host)) })),
      };
      return withoutVersion({ ...(object as KubeObject), metadata: metadata as KubeObject['metadata'], spec });
    };
    fc.assert(
      fc.property(usable, weights, (original, step) => {
        const cluster = new Cluster([original]);
        carryOut(cluster, router.plan(cluster.input(own), step));
        expect(others(cluster.get('VirtualService', 'reviews'))).toBe(others(original));
      }),
      RUNS,
    );
  });

  it('needs no further write once it is written, and says the weights that were asked for', () => {
    fc.assert(
      fc.property(usable, weights, weights, (original, first, second) => {
        const cluster = new Cluster([original]);
        for (const step of [first, second]) {
          carryOut(cluster, router.plan(cluster.input(own), step));
          expect(router.plan(cluster.input(own), step)).toEqual({ writes: [], problems: [] });
          expect(router.observe(cluster.input(own))).toEqual({ weights: step, consistent: true });
        }
      }),
      RUNS,
    );
  });

  it('gets the same weights from a sync as from the controller, whatever the user changed', () => {
    fc.assert(
      fc.property(usable, usable, weights, (before, after, step) => {
        const cluster = new Cluster([before]);
        carryOut(cluster, router.plan(cluster.input(own), step));
        const live = cluster.get('VirtualService', 'reviews') as KubeObject;
        const applied = router.overlay(after, live);
        cluster.put(applied);
        expect(router.plan(cluster.input(own), step)).toEqual({ writes: [], problems: [] });
        carryOut(cluster, router.release(cluster.input(own)));
        expect(withoutVersion(cluster.get('VirtualService', 'reviews'))).toBe(withoutVersion(after));
      }),
      RUNS,
    );
  });

  it('gives a removed annotation no power: slots become the Service again', () => {
    fc.assert(
      fc.property(usable, weights, (original, step) => {
        const cluster = new Cluster([original]);
        carryOut(cluster, router.plan(cluster.input(own), step));
        const live = cluster.get('VirtualService', 'reviews') as KubeObject;
        delete live.metadata.annotations;
        cluster.put(live);
        carryOut(cluster, router.release(cluster.input(own)));
        const hosts = (object: KubeObject | undefined) =>
          httpOf(object).map(({ route }) => route?.map((d) => d.destination.host));
        expect(hosts(cluster.get('VirtualService', 'reviews'))).toEqual(hosts(original));
      }),
      RUNS,
    );
  });

  it('is never changed in place', () => {
    fc.assert(
      fc.property(usable, weights, (original, step) => {
        const input = new Cluster([JSON.parse(JSON.stringify(original)) as KubeObject]).input(own);
        const before = structuredClone(input);
        const text = JSON.stringify(original);
        const [written] = router.plan(input, step).writes;
        const laid = router.overlay(original, written?.object as KubeObject);
        for (const answer of [written?.object, laid]) scribble(answer, new Set());
        router.release(input);
        router.observe(input);
        expect(isDeepStrictEqual(input, before)).toBe(true);
        expect(JSON.stringify(original)).toBe(text);
      }),
      { numRuns: 50 },
    );
  });
});

describe('garbage', () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const broken = fc.record({
    apiVersion: fc.oneof(fc.constant('networking.istio.io/v1'), json),
    kind: fc.constant('VirtualService'),
    metadata: fc.oneof(
      json,
      fc.record({
        name: fc.constantFrom('reviews', 'x'),
        namespace: fc.constant('shop'),
        labels: json,
        annotations: fc.oneof(
          json,
          fc.dictionary(
            fc.constantFrom('sluice.dev/overlay', 'a'),
            fc.oneof(fc.string(), fc.constant('{"v":1,"canaries":{"reviews":{}}}'), fc.constant('{"v":1}')),
          ),
        ),
        managedFields: json,
      }),
    ),
    spec: fc.oneof(
      json,
      fc.record({
        hosts: json,
        gateways: json,
        host: json,
        http: fc.array(
          fc.oneof(
            json,
            fc.record({
              name: json,
              route: fc.array(
                fc.oneof(
                  json,
                  fc.record({
                    destination: fc.record({
                      host: fc.oneof(fc.constantFrom('reviews', 'reviews-blue', 'reviews-green'), json),
                      subset: json,
                    }),
                    weight: json,
                  }),
                ),
              ),
            }),
          ),
        ),
      }),
    ),
  }) as unknown as fc.Arbitrary<KubeObject>;

  it('is answered, never thrown at', () => {
    const subjects = [own, canary(), canary({ virtualService: { name: 'reviews', routes: ['a'] } })];
    fc.assert(
      fc.property(fc.array(broken, { maxLength: 4 }), weights, (objects, step) => {
        for (const subject of subjects) {
          const names = { service: 'reviews', slots: { blue: 'reviews-blue', green: 'reviews-green' } };
          const input = { canary: subject, names, virtualServices: objects, destinationRules: objects };
          for (const problem of router.plan(input, step).problems) expect(problem.message).not.toBe('');
          router.release(input);
          router.observe(input);
          for (const live of objects) for (const manifest of objects) router.overlay(manifest, live);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('in an annotation does not keep the weights from being written', () => {
    fc.assert(
      fc.property(
        usable,
        fc.oneof(
          fc.string(),
          json.map((value) => JSON.stringify(value)),
        ),
        weights,
        (original, text, step) => {
          original.metadata.annotations = { 'sluice.dev/overlay': text };
          const cluster = new Cluster([original]);
          carryOut(cluster, router.plan(cluster.input(own), step));
          expect(router.observe(cluster.input(own)).weights).toEqual(step);
        },
      ),
      { numRuns: 100 },
    );
  });
});
