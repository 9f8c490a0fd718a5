import { describe, expect, it } from 'vitest';
import type { Canary, CanaryMessage, CanaryStatus } from '../../src/api/index.js';
import { parseLink } from '../../src/cli/options.js';
import type { Cache } from '../../src/engine/cache.js';
import type { LinkTemplate } from '../../src/engine/links.js';
import { Outbox } from '../../src/engine/outbox.js';
import type { Notification } from '../../src/engine/ports.js';
import { canary } from '../mesh/istio/cluster.js';

const AT = '2030-01-01T12:00:00.000Z';
const GRAFANA = 'Grafana=https://grafana.example.com/d/sluice-release?var-namespace={{ namespace }}&var-service={{service}}&from={{ from }}&to={{ to }}';

/** What a receiver gets of one message. */
async function told(links: LinkTemplate[], status: Partial<CanaryStatus>, more: Partial<CanaryMessage> = {}): Promise<Notification['links']> {
  const subject = canary();
  const message: CanaryMessage = { id: 'shop/reviews/run-1/Started', event: 'Started', severity: 'info', text: 'x', at: AT, to: ['team'], revision: 'b2', commit: '1111', ...more };
  const spec = { ...subject.spec, analysis: { ...subject.spec.analysis, alerts: [{ name: 'team', severity: 'info', providerRef: { name: 'chat' } }] } } as Canary['spec'];
  const whole: Canary = { ...subject, spec, status: { canaryWeight: 0, failedChecks: 0, ...status, messages: [message] } };
  return new Promise((resolve) => {
    const cache = { alertProviders: { get: () => ({ metadata: { name: 'chat' }, spec: { type: 'webhook' } }) } } as unknown as Cache;
    const outbox = new Outbox({
      cache,
      links,
      notifier: { send: (_provider, notification) => Promise.resolve(resolve(notification.links)) },
      hooks: { call: () => Promise.reject(new Error('no webhook is there')) },
      secrets: {} as never,
      now: () => Date.parse(AT),
      allowCrossNamespace: false,
      onDone: () => {},
      onFailure: () => {},
    });
    outbox.deliver('shop/reviews', whole);
  });
}

const stable = { revision: 'a1', slot: 'blue' as const };
const urls = async (...args: Parameters<typeof told>): Promise<string[]> => ((await told(...args)) ?? []).map(({ url }) => url);

describe('links of a message', () => {
  it('lead to the Canary’s own view, at the time of its release', async () => {
    const run = { id: 'run-1', startedAt: '2030-01-01T11:59:00.000Z', weights: [] };
    expect(await told(parseLink(GRAFANA, []), { stable, run })).toEqual([
      { name: 'Grafana', url: `https://grafana.example.com/d/sluice-release?var-namespace=shop&var-service=reviews&from=${Date.parse(run.startedAt)}&to=${Date.parse(AT)}` },
    ]);
    const past = { run: 'run-1', revision: 'b2', result: 'Failed' as const, reason: 'ChecksFailed', message: '', weights: [], startedAt: '2030-01-01T11:00:00.000Z', endedAt: '2030-01-01T11:30:00.000Z' };
    const [url] = await urls(parseLink(GRAFANA, []), { stable, history: [past] });
    expect(url).toContain(`from=${Date.parse(past.startedAt)}&to=${Date.parse(past.endedAt)}`);
  });

  it('name the slot that the version is in: beside the stable one, or the stable one once it is promoted', async () => {
    const kiali = parseLink('Kiali=https://kiali.example.com/{{ canaryService }}/{{ stableService }}', []);
    expect(await urls(kiali, { stable })).toEqual(['https://kiali.example.com/reviews-green/reviews-blue']);
    expect(await urls(kiali, { stable: { revision: 'b2', slot: 'green' } })).toEqual(['https://kiali.example.com/reviews-green/reviews-blue']);
  });

  it('hold values as parts of an address, whatever they are', async () => {
    const link = parseLink('Commit=https://git.example.com/{{ commit }}?r={{ revision }}', []);
    expect(await urls(link, { stable }, { commit: 'a/b c?&' })).toEqual(['https://git.example.com/a%2Fb%20c%3F%26?r=b2']);
  });

  it('are none where nobody asked for any', async () => {
    expect(await told([], { stable })).toBeUndefined();
  });
});

describe('--link', () => {
  it('may be repeated, and its address may hold an equals sign', () => {
    expect(parseLink('B=https://b.example.com/?x=1', parseLink('A=http://a', []))).toEqual([
      { name: 'A', url: 'http://a' },
      { name: 'B', url: 'https://b.example.com/?x=1' },
    ]);
  });

  it.each([
    ['https://a.example.com', /Expected NAME=URL/],
    ['=https://a.example.com', /Expected NAME=URL/],
    ['A=javascript:alert(1)', /Expected NAME=URL/],
    ['A=https://{{ name }}', /Expected NAME=URL/],
    ['A=https://a/{{ pod }}', /Nothing fills \{\{ pod \}\}; there are name, namespace/],
  ])('refuses %s', (text, words) => {
    expect(() => parseLink(text, [])).toThrow(words);
  });
});
