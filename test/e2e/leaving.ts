import { expect } from 'vitest';
import { Annotations, SluiceResources } from '../../src/api/index.js';
import { FIRST_VERSION } from '../../src/sandbox/bookinfo.js';
import { Resources, type KubeObject, type Resource } from '../../src/kube/index.js';
import type { World } from './harness.js';

/** What the user wrote of one object, as the server stores it. */
interface Written {
  spec: string;
  labels: string;
  annotations: string[];
}
export type Pristine = Record<string, Written>;

const written = ({ spec, metadata }: KubeObject): Written => ({
  spec: JSON.stringify(spec),
  labels: JSON.stringify(metadata.labels),
  // Their values tell of the last sync, and one of them is there only when that sync brought several commits.
  annotations: Object.keys(metadata.annotations ?? {})
    .filter((key) => key !== Annotations.commits)
    .toSorted(),
});

const objectsOf = (virtualServices: string[]): [Resource, string][] => [
  [Resources.Deployment, 'reviews'],
  [Resources.Service, 'reviews'],
  [Resources.Service, 'ratings'],
  ...virtualServices.map((name): [Resource, string] => [Resources.VirtualService, name]),
];

/** The user's objects before Sluice looked after them. */
export async function pristine(world: World, virtualServices: string[] = []): Promise<Pristine> {
  const found = await Promise.all(
    objectsOf(virtualServices).map(([resource, name]) => world.plane.client.get(resource, 'default', name)),
  );
  return Object.fromEntries(found.map((object) => [`${object.kind} ${object.metadata.name}`, written(object)]));
}

/** Bookinfo runs without Sluice; the first version is in force. Put reviews under its care while callers call. */
export async function adoptUnderLoad(world: World): Promise<void> {
  await world.until('some requests', () => world.sandbox.tally.totals.total > 100);
  await world.sandbox.repository.addCanary();
  await world.until('the adoption', () => world.canary?.status?.phase === 'Initialized');
  expect(world.sandbox.tally.totals.failed, 'failed requests during the adoption').toBe(0);
}

/** Take reviews out of Sluice's care while callers call, and wait until it is. */
export async function leaveUnderLoad(world: World): Promise<void> {
  await world.sandbox.repository.removeCanary();
  await world.until('the Canary to be gone', () => world.canary === undefined);
  // Whatever the proxies learn late, callers meet.
  const gone = Date.now();
  await world.until('the proxies to know', () => Date.now() - gone > world.pushDelayMs + 3_000);
}

/** The target serves by itself, nothing of Sluice's is left, and what the user wrote is as they wrote it. */
export async function assertLeft(world: World, before: Pristine, virtualServices: string[] = []): Promise<void> {
  const { client } = world.plane;
  const ours: Resource[] = [
    Resources.Deployment,
    Resources.Service,
    Resources.ControllerRevision,
    Resources.ConfigMap,
    Resources.VirtualService,
    Resources.DestinationRule,
  ];
  for (const resource of ours) {
    const { items } = await client.list(resource, { namespace: 'default', labelSelector: 'sluice.dev/canary=reviews' });
    expect(
      items.map(({ metadata }) => metadata.name),
      `${resource.kind} objects that Sluice left behind`,
    ).toEqual([]);
  }
  const routes = await client.list(Resources.VirtualService, { namespace: 'default' });
  expect(routes.items.map(({ metadata }) => metadata.name).toSorted()).toEqual(virtualServices.toSorted());
  expect((await client.list(SluiceResources.Canary, { namespace: 'default' })).items).toEqual([]);
  const answers = await Promise.all(Array.from({ length: 20 }, () => world.call()));
  expect(answers.map(({ status, slot }) => ({ status, slot }))).toEqual(
    Array.from({ length: 20 }, () => ({ status: 200, slot: undefined })),
  );
  // With the first version back in Git, every object must be what it was.
  await world.sandbox.repository.release(FIRST_VERSION, 'The first version again');
  await world
    .until(
      'the first version',
      async () => (await pristine(world, virtualServices))['Deployment reviews']?.spec === before['Deployment reviews']?.spec,
      15_000,
    )
    .catch(() => undefined);
  expect(await pristine(world, virtualServices)).toEqual(before);
}
