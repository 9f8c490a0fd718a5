import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_VERSION, SluiceResources } from '../../src/api/index.js';
import { CANARY, NAMESPACE } from '../../src/sandbox/sandbox.js';
import { World } from './harness.js';
import { binomialInterval } from './split.js';

/** The share that callers get, measured over many requests while a step is held. */
const WEIGHTS = [1, 10, 50, 90];
const REQUESTS = 2_400;
const CONFIDENCE = 0.999;
/** Requests under way at a time. */
const AT_ONCE = 24;
/** What proxies take to obey a version, on a busy machine; milliseconds. */
const PUSH_MS = 1_500;

/** Two VirtualServices on one host would be ignored by Istio: one is for callers in the mesh, the other for another host. */
const virtualService = (name: string, host: string, subset?: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}}
spec:
  hosts: [${host}]
  http:
    - name: reviews
      route: [{destination: {host: reviews${subset ? `, subset: ${subset}` : ''}}}]
`;
const RULE = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {app: reviews}}]
`;

const modes = [
  {
    how: 'of two VirtualServices of the user',
    service: { virtualServices: [{ name: 'reviews' }, { name: 'reviews-api', routes: ['reviews'] }] },
    files: { 'routes.yaml': [virtualService('reviews', 'reviews'), virtualService('reviews-api', 'reviews-api.example.com')].join('---\n') },
    hosts: ['reviews', 'reviews-api.example.com'],
  },
  {
    how: "of the user's subset",
    service: { routing: 'subsets', virtualService: { name: 'reviews' } },
    files: { 'routes.yaml': [virtualService('reviews', 'reviews', 'v1'), RULE].join('---\n') },
    hosts: ['reviews'],
  },
];

describe.each(modes)('the split $how', ({ service, files, hosts }) => {
  let world: World;
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  beforeAll(async () => {
    world = await World.start({
      rps: 5,
      virtualService: 'reviews',
      canary: { service, progressDeadlineSeconds: 300 },
      files,
      // What the mesh counted has to agree, too.
      analysis: { interval: '1s', steps: WEIGHTS.map((weight) => ({ weight, approve: true })), metrics: [], verifyShare: true },
    });
  });
  afterAll(async () => {
    agent.destroy();
    await world?.stop();
  });

  /** The slot that answered one request; undefined for an answer that none of them gave. */
  const ask = (host: string): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      request(new URL('/reviews/0', world.sandbox.productpageUrl), { agent, headers: { host } }, (response) => {
        const slot = response.headers['x-sluice-slot'];
        response.resume().on('end', () => resolve(typeof slot === 'string' ? slot : undefined));
      })
        .on('error', reject)
        .end();
    });

  /** How many of so many requests a slot answered. */
  async function answered(host: string, slot: string, requests: number): Promise<number> {
    let [sent, count] = [0, 0];
    const one = async (): Promise<void> => {
      while (sent < requests) {
        sent += 1;
        const by = await ask(host);
        expect(['blue', 'green']).toContain(by);
        if (by === slot) count += 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    return count;
  }

  /** Chance alone leaves the interval once in a thousand times; what leaves it twice, over four times as many requests too, is no chance. */
  async function assertShare(host: string, slot: string, weight: number): Promise<void> {
    const within = async (requests: number): Promise<string | undefined> => {
      const count = await answered(host, slot, requests);
      const [low, high] = binomialInterval(requests, weight / 100, CONFIDENCE);
      return count >= low && count <= high ? undefined : `${count} of ${requests} requests to ${host}, not ${low} to ${high}, at weight ${weight} %`;
    };
    const first = await within(REQUESTS);
    if (first !== undefined) expect(await within(4 * REQUESTS), `after ${first}`).toBeUndefined();
  }

  const approve = (weight: number): Promise<unknown> =>
    world.plane.client.create(SluiceResources.CanaryAction, {
      apiVersion: API_VERSION,
      kind: 'CanaryAction',
      metadata: { name: `approve-${weight}`, namespace: NAMESPACE },
      spec: { canary: CANARY, verb: 'approve', by: 'e2e' },
    });

  it(`is the weight at every step, over ${REQUESTS} requests`, async () => {
    const [since, slot] = [Date.now(), world.freeSlot];
    const commit = await world.commit({}, 'Step by step');
    for (const weight of WEIGHTS) {
      await world.weight(slot, weight, since);
      await world.until(`approval of ${weight} %`, () => world.status.phase === 'Waiting' || world.progressing?.reason === 'WaitingForApproval');
      await sleep(PUSH_MS);
      for (const host of hosts) await assertShare(host, slot, weight);
      await approve(weight);
    }
    expect(await world.ended(commit)).toMatchObject({ result: 'Succeeded', weights: [...WEIGHTS, 100] });
    await sleep(PUSH_MS);
    for (const host of hosts) await assertShare(host, slot, 100);
    world.assertNothingLost();
  });
});
