import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceResources } from '../../../src/api/index.js';
import { isNotFound, Resources } from '../../../src/kube/index.js';
import { auditedWrites, type AuditEvent } from '../audit.js';
import { readyAfter, TrapWorld } from './world.js';

const SLOT = 'sluice.dev/slot';
const CANARY = 'sluice.dev/canary';

let world: TrapWorld;
beforeAll(async () => {
  world = await TrapWorld.start();
});
afterAll(() => world?.stop());

/** What Sluice wrote in a namespace, in the order of the API server's answers. */
const writesIn = async (namespace: string): Promise<AuditEvent[]> =>
  (await auditedWrites(world.plane.auditLogPath)).filter(
    ({ objectRef, userAgent, responseStatus }) =>
      userAgent === 'sluice-controller' && objectRef?.namespace === namespace && (responseStatus?.code ?? 500) < 300,
  );
const at = (event: AuditEvent | undefined): number => (event ? Date.parse(event.stageTimestamp) : NaN);
const bodyOf = (event: AuditEvent): string => JSON.stringify(event.requestObject ?? {});

describe.concurrent('K5: moving a selector is not make-before-break for who holds addresses of pods', () => {
  it.each([
    ['k5-headless', { clusterIP: 'None' }],
    ['k5-balancer', { type: 'LoadBalancer' }],
    ['k5-local', { type: 'NodePort', externalTrafficPolicy: 'Local' }],
  ])('%s: both versions are selected for a minute before the old one is left out', async (namespace, spec) => {
    const app = await world.app(namespace);
    await app.adopt();
    await app.service('shop-slow', spec);
    await world.until('its overlay', async () => JSON.stringify((await app.get(Resources.Service, 'shop-slow'))['spec']).includes(SLOT));
    await app.change();
    await app.ended(1, 120_000);
    const moves = (await writesIn(namespace)).filter(
      ({ verb, objectRef }) => verb === 'patch' && objectRef?.resource === 'services' && objectRef.name === 'shop-slow',
    );
    const [, both, narrow] = moves;
    expect(bodyOf(both as AuditEvent)).toContain(`"${SLOT}":null`);
    expect(bodyOf(narrow as AuditEvent)).toContain(`"${SLOT}":"green"`);
    expect(at(narrow) - at(both), 'ms for which both versions were selected').toBeGreaterThanOrEqual(60_000);
    // And the pods that were left out go on for as long: whoever looked them up a moment before still calls them.
    expect(await app.pods(`${SLOT}=blue`)).toHaveLength(2);
  });
});

describe.concurrent('I3: adoption and release, in the order that proxies need', () => {
  const DRAIN_MS = 2_000;
  const canary = { revisions: { drainFor: `${DRAIN_MS}ms` } };
  /** Audited times are cut to microseconds; the wait began with the answer before them. */
  const LEEWAY_MS = 50;

  it('adopts: Services, ready slot, a wait, routes, a wait, the callers’ Service, a wait, then the target’s pods go', async () => {
    const app = await world.app('i3-adopt');
    await app.adopt({ template: readyAfter(500), canary });
    const isTarget = (event: AuditEvent): boolean => event.objectRef?.resource === 'deployments' && event.objectRef.name === 'shop' && bodyOf(event).includes('"replicas":0');
    // The end of the adoption is decided, and stored, before its last write.
    const writes = await world.until('the write of the target', async () => {
      const all = await writesIn('i3-adopt');
      return all.some(isTarget) && all;
    });
    const first = (what: string, match: (event: AuditEvent) => boolean): AuditEvent => {
      const found = writes.find(match);
      if (!found) throw new Error(`there was no write of ${what}`);
      return found;
    };
    const service = first(
      'the slot’s Service',
      ({ verb, objectRef }) =>
        verb === 'create' && objectRef?.resource === 'services' && (objectRef.name ?? '').startsWith('shop-'),
    );
    const slot = first('the slot', ({ verb, objectRef }) => verb === 'create' && objectRef?.resource === 'deployments');
    const route = first('the routes', ({ objectRef }) => objectRef?.resource === 'virtualservices');
    const callers = first(
      'the callers’ Service',
      ({ verb, objectRef }) => verb === 'patch' && objectRef?.resource === 'services' && objectRef.name === 'shop',
    );
    const target = first('the target', isTarget);
    expect(at(service)).toBeLessThanOrEqual(at(slot));
    // The slot was ready half a second after it was made, and proxies had the drain to learn of its endpoints.
    expect(at(route) - at(slot)).toBeGreaterThanOrEqual(500 + DRAIN_MS - LEEWAY_MS);
    expect(at(callers) - at(route)).toBeGreaterThanOrEqual(DRAIN_MS - LEEWAY_MS);
    expect(at(target) - at(callers)).toBeGreaterThanOrEqual(DRAIN_MS - LEEWAY_MS);
  });

  it('releases: the other slot is emptied, the target is ready, a wait, routes, a wait, the Service, a wait, then the slots go', async () => {
    const app = await world.app('i3-release');
    await app.adopt({ template: readyAfter(500), canary: { ...canary, revisions: { ...canary.revisions, warmFor: '10m' } } });
    await app.change();
    await app.ended(1);
    const since = (await writesIn('i3-release')).length;
    await app.remove();
    const writes = (await writesIn('i3-release')).slice(since);
    const order = writes.map(
      ({ verb, objectRef }) =>
        `${verb} ${objectRef?.resource}${objectRef?.subresource ? `/${objectRef.subresource}` : ''} ${objectRef?.name}`,
    );
    const index = (text: string): number => {
      const found = order.indexOf(text);
      if (found < 0) throw new Error(`${text} is not among ${order.join(', ')}`);
      return found;
    };
    const emptied = index('patch deployments/scale shop-blue');
    const target = index('patch deployments shop');
    const routes = index('delete virtualservices shop');
    const callers = index('patch services shop');
    const slots = index('delete deployments shop-green');
    expect([emptied, target, routes, callers, slots]).toEqual(
      [emptied, target, routes, callers, slots].toSorted((a, b) => a - b),
    );
    expect(at(writes[routes]) - at(writes[target])).toBeGreaterThanOrEqual(500 + DRAIN_MS - LEEWAY_MS);
    expect(at(writes[callers]) - at(writes[routes])).toBeGreaterThanOrEqual(DRAIN_MS - LEEWAY_MS);
    expect(at(writes[slots]) - at(writes[callers])).toBeGreaterThanOrEqual(DRAIN_MS - LEEWAY_MS);
    expect(JSON.stringify((await app.get(Resources.Service, 'shop'))['spec'])).not.toContain(CANARY);
  });

  it('says so before it gives back a template that is not the stable one', async () => {
    const app = await world.app('i3-other');
    await app.adopt();
    await app.client.patch(SluiceResources.Canary, 'i3-other', 'shop', { spec: { suspend: true } }, 'merge');
    await app.change();
    await world.until('the hold', async () => (await app.condition('Progressing')).reason === 'Suspended');
    await app.remove();
    await world.until('the warning', async () => {
      const { items } = await app.client.list(Resources.Event, { namespace: 'i3-other' });
      return items.some(
        (event) =>
          event['type'] === 'Warning' && event['reason'] === 'Released' && String(event['message']).includes('not analysed'),
      );
    });
  });

  it('a namespace that goes takes its Canary with it, in the middle of a release too', async () => {
    const app = await world.app('i3-namespace');
    await app.adopt({ canary: { analysis: { stepWeights: null, steps: [{ weight: 50, approve: true }] } } });
    await app.change();
    await app.weight(50);
    await app.client.delete(Resources.Namespace, undefined, 'i3-namespace');
    await world.until(
      'the namespace to be gone',
      () => app.client.get(Resources.Namespace, undefined, 'i3-namespace').then(() => false, isNotFound),
      60_000,
    );
  });
});
