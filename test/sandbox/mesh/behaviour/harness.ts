import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Mesh, RequestRecord } from '../../../../src/sandbox/mesh/types.js';
import {
  call,
  emptyInput,
  pod,
  service,
  slice,
  startApp,
  TestFeed,
  until,
  virtualService,
  type App,
  type PodSpec,
  type Reply,
} from '../world.js';

export type StartMesh = (options: { feed: TestFeed; onRequest: (record: RequestRecord) => void }) => Promise<Mesh>;

export const BLUE = { destination: { host: 'reviews-blue' } };
export const GREEN = { destination: { host: 'reviews-green' } };

const HOST = 'reviews';

/** A port on which nothing listens, for the length of a test. */
export const closedPort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
};

/** A mesh with a caller (productpage) and the Services reviews, reviews-blue and reviews-green behind it. */
export class Harness {
  readonly records: RequestRecord[] = [];
  /** What `flaky` answers next; below 0 it drops the connection, without an entry it answers 200. */
  readonly flakyAnswers: number[] = [];
  mesh!: Mesh;
  /** The caller's proxy. */
  url = '';
  /** Answers `v1`; after 400 ms under `/slow`. */
  blue!: App;
  /** Answers `v2`. */
  green!: App;
  flaky!: App;
  /** Records may come after the next test has begun, so each request carries an id of its own test. */
  test = 0;
  private sent = 0;
  private readonly feed = new TestFeed();

  async start(startMesh: StartMesh): Promise<void> {
    this.blue = await startApp('v1', (request, response) => {
      if (request.url?.startsWith('/slow') === true) setTimeout(() => response.end('v1'), 400);
      else response.end('v1');
    });
    this.green = await startApp('v2');
    this.flaky = await startApp('v9', (_request, response) => {
      const answer = this.flakyAnswers.shift() ?? 200;
      if (answer < 0) {
        response.destroy();
        return;
      }
      response.statusCode = answer;
      response.end('v9');
    });
    this.mesh = await startMesh({ feed: this.feed, onRequest: (one) => this.records.push(one) });
    await this.program(undefined);
    this.url = await this.mesh.outbound({ workload: 'productpage-v1', namespace: 'default', app: 'productpage', version: 'v1' });
  }

  begin(): void {
    this.test += 1;
    this.sent = 0;
    this.flakyAnswers.length = 0;
    for (const app of [this.blue, this.green, this.flaky]) app.seen.length = 0;
  }

  async stop(): Promise<void> {
    await this.mesh?.stop();
    for (const app of [this.blue, this.green, this.flaky]) await app.stop();
  }

  /** Push a world whose VirtualService `reviews` has these entries, and wait until the proxies obey it. */
  program = async (
    http: unknown[] | undefined,
    pods: { blue?: PodSpec[]; green?: PodSpec[] } = {},
    extra = emptyInput(),
  ): Promise<void> => {
    const labels = (version: string): Record<string, string> => ({ app: 'reviews', version });
    const blues = pods.blue ?? [{ name: 'blue-1', real: this.blue.port, workload: 'reviews-blue', labels: labels('v1') }];
    const greens = pods.green ?? [{ name: 'green-1', real: this.green.port, workload: 'reviews-green', labels: labels('v2') }];
    const { version } = this.feed.push({
      virtualServices: [...(http ? [virtualService('reviews', { hosts: ['reviews'], http })] : []), ...extra.virtualServices],
      destinationRules: extra.destinationRules,
      services: [service('reviews'), service('reviews-blue'), service('reviews-green'), ...extra.services],
      endpointSlices: [slice('reviews', [...blues, ...greens]), slice('reviews-blue', blues), slice('reviews-green', greens)],
      pods: [...blues, ...greens].map(pod),
    });
    await until(() => this.mesh.applied() >= version, `configuration ${version} to be applied`);
  };

  get = (path = '/', options: Parameters<typeof call>[3] = {}): Promise<Reply> => {
    const id = `test-${this.test}-${this.sent}`;
    this.sent += 1;
    return call(this.url, HOST, path, { ...options, headers: { 'x-request-id': id, ...options.headers } });
  };

  /** The record of the test's n-th request. */
  record = async (n = 0): Promise<RequestRecord> => {
    const find = (): RequestRecord | undefined =>
      this.records.find(({ requestId, mirrored }) => requestId === `test-${this.test}-${n}` && !mirrored);
    await until(() => find() !== undefined, 'the request to be recorded');
    return find() as RequestRecord;
  };

  /** Status, flags and whether it arrived, of each try of the test's n-th request. */
  tries = async (n = 0): Promise<unknown[]> =>
    (await this.record(n)).attempts.map(({ status, flags, reached }) => [status, flags, reached]);
}

export const useHarness = (startMesh: StartMesh): Harness => {
  const harness = new Harness();
  beforeAll(() => harness.start(startMesh));
  afterAll(() => harness.stop());
  beforeEach(() => harness.begin());
  return harness;
};
