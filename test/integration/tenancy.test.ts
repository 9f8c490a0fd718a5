import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Resources } from '../../src/kube/resources.js';
import type { KubeObject } from '../../src/kube/types.js';
import { startWorld, type RunOptions } from './harness.js';
import { alertProvider, canary, canaryWith, configMap, deployment, gitSource, metricTemplate, secret } from './manifests.js';
import type { Shop } from './shop.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

// A controller that allows everything goes on with what another one refused: faults in a host that these shops do not have.
const world = await startWorld({ controller: false, excused: /reviews-fault: .* is sent to ratings, which has no ready endpoint/ });

describe('a controller of one namespace', () => {
  it('asks for nothing of any other one', async () => {
    const [own, other] = [await world.shop(), await world.shop()];
    const controller = await world.runController({ namespace: own.namespace, userAgent: 'sluice-namespaced' });
    await other.running();
    other.put(canary());
    await own.adopted();
    own.release('v2');
    expect(await own.ended(1)).toMatchObject({ result: 'Succeeded' });
    expect(other.canary?.status).toBeUndefined();
    expect(other.canary?.metadata.finalizers ?? []).toEqual([]);
    const asked = world.audit.filter((entry) => entry.userAgent === 'sluice-namespaced' && entry.resource !== undefined);
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((entry) => entry.namespace !== own.namespace).map(({ method, path }) => `${method} ${path}`)).toEqual([]);
    await controller.stop();
  });
});

describe('a reference to another namespace', () => {
  const METRICS = [{ name: 'error-ratio', templateRef: { name: 'errors', namespace: 'NEIGHBOUR' }, thresholdRange: { max: 5 } }];
  const refused: [what: string, spec: Record<string, unknown>, message: RegExp][] = [
    ['a MetricTemplate', { analysis: { metrics: METRICS } }, /spec\.analysis\.metrics error-ratio: templateRef\.namespace shop-\d+ is another namespace/],
    ['an AlertProvider', { analysis: { alerts: [{ name: 'theirs', severity: 'info', providerRef: { name: 'team', namespace: 'NEIGHBOUR' } }] } }, /spec\.analysis\.alerts theirs: providerRef is in namespace shop-\d+; use an AlertProvider in shop-\d+, or start the controller with --allow-cross-namespace/],
    ['a Gateway', { service: { gateways: ['NEIGHBOUR/edge'] } }, /spec\.service\.gateways shop-\d+\/edge is in namespace shop-\d+/],
    ['a Gateway in the older form', { service: { gateways: ['edge.NEIGHBOUR.svc.cluster.local'] } }, /spec\.service\.gateways edge\.shop-\d+\.svc\.cluster\.local is in namespace shop-\d+/],
    ['a host with faults', { analysis: { stepWeights: undefined, steps: [{ weight: 20 }, { weight: 20, fault: { host: 'ratings.NEIGHBOUR', abort: { httpStatus: 500 } } }] } }, /spec\.analysis\.steps\[1\]\.fault\.host ratings\.shop-\d+ is in namespace shop-\d+; name a Service in shop-\d+, or start the controller with --allow-cross-namespace/],
    ['a host with faults, in full', { analysis: { stepWeights: undefined, steps: [{ weight: 20, fault: { host: 'ratings.NEIGHBOUR.svc.cluster.local', delay: { fixedDelay: '1s' } } }] } }, /spec\.analysis\.steps\[0\]\.fault\.host ratings\.shop-\d+\.svc\.cluster\.local is in namespace shop-\d+/],
  ];
  /** The same with the neighbour's name in every text. */
  const meaning = <T>(value: T, neighbour: Shop): T => {
    if (typeof value === 'string') return value.replaceAll('NEIGHBOUR', neighbour.namespace) as T;
    if (Array.isArray(value)) return value.map((item: unknown) => meaning(item, neighbour)) as T;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, meaning(item as unknown, neighbour)])) as T;
  };

  it.each(refused)('to %s is refused and named; nothing of it is used', async (_what, spec, message) => {
    const [shop, neighbour] = [await world.shop(), await world.shop()];
    neighbour.put(metricTemplate('1'));
    const controller = await world.runController({ namespace: undefined });
    const before = neighbour.messages.length;
    await shop.running();
    shop.put(canary(meaning(spec, neighbour)));
    const stalled = await shop.reason('Stalled', 'InvalidSpec');
    expect(stalled.message).toMatch(message);
    expect(neighbour.messages).toHaveLength(before);
    expect(shop.weights).toEqual({});
    shop.put(canary());
    await shop.phase('Initialized');
    // Also what is adopted already, and mid-run.
    shop.put(canary(meaning(spec, neighbour)));
    await shop.reason('Stalled', 'InvalidSpec');
    shop.release('v2');
    await shop.reason('Progressing', 'InvalidSpec');
    expect(shop.history).toEqual([]);
    expect(neighbour.messages).toHaveLength(before);
    await controller.stop();
    // A later controller may allow it.
    shop.put(canary({ suspend: true }));
  });

  it('is followed when that is allowed', async () => {
    const [shop, neighbour] = [await world.shop(), await world.shop()];
    neighbour.put(metricTemplate('1'));
    const controller = await world.runController({ allowCrossNamespace: true });
    const alerts = [{ name: 'theirs', severity: 'info', providerRef: { name: 'team', namespace: neighbour.namespace } }];
    await shop.adopted(canaryWith({ metrics: [{ name: 'error-ratio', templateRef: { name: 'errors', namespace: neighbour.namespace }, thresholdRange: { max: 5 } }], alerts }));
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    await shop.see('their message', () => neighbour.told('Succeeded').length === 1);
    await controller.stop();
  });
});

describe('a GitSource', () => {
  const planted = ({ namespace }: Shop): KubeObject => ({ ...configMap({ a: 'b' }, 'planted'), metadata: { name: 'planted', namespace } });

  it('puts nothing into another namespace, and creates none; what is of its own is applied', async () => {
    const [shop, neighbour] = [await world.shop(), await world.shop()];
    const controller = await world.runController({ ownNamespace: 'sluice-system' });
    await shop.repository({ 'own.yaml': [configMap({ a: 'b' }, 'own')], 'theirs.yaml': [planted(neighbour)], 'all.yaml': [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: `${shop.namespace}-more` } }] });
    await shop.sourceReason('ApplyFailed');
    const messages = (shop.source()?.status?.failures ?? []).map(({ message }) => message).toSorted();
    expect(messages).toMatchObject([expect.stringMatching(/^all\.yaml:1 Namespace .* belongs to the whole cluster/), expect.stringContaining(`lies in namespace ${neighbour.namespace}, and a GitSource of ${shop.namespace} reaches that namespace only`)]);
    expect(shop.get(Resources.ConfigMap, 'own')).toBeDefined();
    expect(neighbour.get(Resources.ConfigMap, 'planted')).toBeUndefined();
    await controller.stop();
  });

  it.each<[string, (shop: Shop) => RunOptions]>([
    ['lies where the controller is installed', ({ namespace }) => ({ ownNamespace: namespace })],
    ['may by --allow-cross-namespace', () => ({ allowCrossNamespace: true })],
  ])('that %s does', async (_, options) => {
    const [shop, neighbour] = [await world.shop(), await world.shop()];
    const controller = await world.runController(options(shop));
    await shop.repository({ 'theirs.yaml': [planted(neighbour)] });
    await shop.sourceReason('Synced');
    expect(neighbour.get(Resources.ConfigMap, 'planted')).toBeDefined();
    await controller.stop();
  });

  it('of the namespace that a controller looks after alone is no exception', async () => {
    const [shop, neighbour] = [await world.shop(), await world.shop()];
    const controller = await world.runController({ namespace: shop.namespace, ownNamespace: shop.namespace });
    await shop.repository({ 'theirs.yaml': [planted(neighbour)] });
    await shop.sourceReason('ApplyFailed');
    expect(neighbour.get(Resources.ConfigMap, 'planted')).toBeUndefined();
    await controller.stop();
  });
});

/** Everything below a folder, as text. */
async function contents(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) if (entry.isFile()) found.push(await readFile(join(entry.parentPath, entry.name), 'latin1').catch(() => ''));
  return found;
}

describe('a secret', () => {
  const SECRETS = {
    address: 'c4nary-address-path-91', token: 'c4nary-bearer-92', query: 'c4nary-url-query-93', password: 'c4nary-git-password-94', metrics: 'c4nary-metrics-token-95', pod: 'c4nary-of-the-pods-96', webhook: 'c4nary-webhook-userinfo-97', tracked: 'c4nary-tracked-98',
  };

  it('is in no log, status, event, message, metric, page or object of ours, whatever fails', async () => {
    const shop = await world.shop();
    const logs: string[] = [];
    const controller = await world.runController({ namespace: shop.namespace });
    shop.put(secret({ address: `${world.stub.url}/hidden/${SECRETS.address}?key=${SECRETS.query}`, token: SECRETS.token }, 'chat'));
    shop.put(secret({ username: 'ada', password: SECRETS.password }, 'git'));
    shop.put(secret({ token: SECRETS.metrics }, 'metrics'));
    shop.put(secret({ key: SECRETS.pod }, 'pods'));
    shop.put(secret({ key: SECRETS.tracked }, 'tracked'));
    shop.put({ ...alertProvider('x'), metadata: { name: 'chat' }, spec: { type: 'webhook', secretRef: { name: 'chat' } } });
    shop.put({ ...metricTemplate('1'), spec: { provider: { type: 'prometheus', address: world.metrics.url, secretRef: { name: 'metrics' } }, query: '1' } });
    shop.put(gitSource('https://127.0.0.1:1/shop.git', { secretRef: { name: 'git' } }));
    world.stub.reply(`/hidden/${SECRETS.address}?key=${SECRETS.query}`, [500, 'no']);
    const alerts = [{ name: 'team', severity: 'info', providerRef: { name: 'team' } }, { name: 'chat', severity: 'info', providerRef: { name: 'chat' } }];
    const metrics = [{ name: 'error-ratio', templateRef: { name: 'errors' }, thresholdRange: { max: 5 } }];
    const webhooks = [{ name: 'gate', type: 'rollout', url: `http://ada:${SECRETS.webhook}@127.0.0.1:1/?t=${SECRETS.query}`, timeout: '1s' }];
    const revisions = { configs: [{ kind: 'Secret', name: 'tracked', mode: 'track' }] };
    await shop.adopted(canary({ revisions, analysis: { alerts, metrics } }), deployment('v1', { envFrom: [{ secretRef: { name: 'pods' } }, { secretRef: { name: 'tracked' } }] }));
    shop.release('v2');
    expect(await shop.ended(1)).toMatchObject({ result: 'Succeeded' });
    shop.put(canary({ revisions, analysis: { alerts, metrics, webhooks } }));
    shop.release('v3');
    expect(await shop.ended(2)).toMatchObject({ result: 'Failed' });
    await shop.see('attempts to tell', () => world.stub.at(`/hidden/${SECRETS.address}?key=${SECRETS.query}`).length > 1);
    await shop.see('a failed fetch', () => shop.source()?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'False'));
    // A receiver that is gone for good becomes an Event.
    world.stub.reply(`/hidden/${SECRETS.address}?key=${SECRETS.query}`, [404, 'gone']);
    await shop.see('an Event', () => world.audit.some((entry) => entry.namespace === shop.namespace && (entry.requestBody as { reason?: string } | undefined)?.reason === 'NotificationFailed'));
    logs.push(...controller.log, ...(await Promise.all(['metrics', 'healthz', 'readyz', ''].map(async (page) => (await fetch(`${controller.url}/${page}`)).text()))));
    // The frozen copy of a tracked Secret is a Secret, too.
    const frozen = world.writes(shop.namespace).filter(({ resource }) => resource === 'secrets');
    expect(frozen.length).toBeGreaterThan(0);
    // A status goes with the spec that it is for, which the user wrote.
    const written = world.writes(shop.namespace).filter((write) => !frozen.includes(write)).map(({ requestBody }) => JSON.stringify({ ...(requestBody as KubeObject | undefined), ...((requestBody as KubeObject | undefined)?.kind === 'Canary' ? { spec: undefined } : {}) }));
    const messages = [...shop.messages, ...world.stub.received.filter(({ path }) => path.startsWith('/hidden'))].map(({ body }) => JSON.stringify(body));
    const kept = await contents(world.dir);
    await controller.stop();
    for (const [name, value] of Object.entries(SECRETS)) {
      for (const form of [value, Buffer.from(value).toString('base64'), encodeURIComponent(value)]) {
        const held = (place: string, texts: string[]): string[] => texts.filter((text) => text.includes(form)).map((text) => `${name} in ${place}: ${text.slice(0, 300)}`);
        expect([...held('a log or page', logs), ...held('an object', written), ...held('a message', messages), ...held('a file', kept)]).toEqual([]);
      }
    }
    // The secrets were in use all the same.
    expect(written.length).toBeGreaterThan(20);
    expect(messages.length).toBeGreaterThan(3);
  });

  it('that somebody committed in a manifest with a mistake is in no log, status or event either', async () => {
    const shop = await world.shop();
    const controller = await world.runController({ namespace: shop.namespace });
    const value = 'c4nary-committed-99';
    const manifest = (name: string, rest: string): string => `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\n${rest}\n`;
    const mistakes = {
      'quote.yaml': manifest('quote', `stringData:\n  password: "${value}`),
      'nested.yaml': manifest('nested', `stringData:\n  password:\n    value: ${value}`),
      'plain.yaml': manifest('plain', `data:\n  password: ${value}!`),
      'list.yaml': manifest('list', `data: [${value}]`),
      'unknown.yaml': manifest('unknown', `pasword: ${value}`),
      'twice.yaml': manifest('twice', `stringData:\n  password: ${value}\n  password: ${value}`),
      'alias.yaml': manifest('alias', `stringData:\n  password: *${value}`),
      'tag.yaml': manifest('tag', `stringData:\n  password: !<${value}> x`),
      'local.yaml': manifest('local', `stringData:\n  password: !${value}`),
      'handle.yaml': manifest('handle', `stringData:\n  password: !a!${value}`),
      'suffix.yaml': manifest('suffix', `stringData:\n  password: !${value}!`),
      'header.yaml': manifest('header', `stringData:\n  password: |${value}`),
      'folded.yaml': manifest('folded', `stringData:\n  password: >${value}`),
      'anchor.yaml': manifest('anchor', `stringData:\n  password: &${value} &${value}`),
      'flow.yaml': manifest('flow', `stringData: {password: "${value}" ${value}}`),
      'escape.yaml': manifest('escape', `stringData:\n  password: "\\${value}"`),
      'directive.yaml': `%${value}\n---\n${manifest('directive', 'stringData: {}')}`,
      'key.yaml': manifest('key', `stringData:\n  ? ${value}\n : ${value}\n ]${value}`),
      'type.yaml': manifest('type', `type: ${value}\nimmutable: ${value}`),
      'number.yaml': manifest('number', 'stringData:\n  password: 99088077066'),
      'kind.yaml': `apiVersion: v1\nkind: Secret\nmetadata: [${value}]\n`,
    };
    await shop.repository({ ...mistakes, 'good.yaml': manifest('good', `stringData:\n  password: ${value}`) });
    await shop.sourceReason('InvalidManifest');
    expect((shop.source()?.status?.failures ?? []).map(({ message }) => message.split(/[:.]/)[0]).length).toBeGreaterThanOrEqual(8);
    expect(shop.get(Resources.Secret, 'good')).toBeDefined();
    const events = world.server.store.list(Resources.Event, { namespace: shop.namespace });
    const logs = [...controller.log, await (await fetch(`${controller.url}/metrics`)).text()];
    await controller.stop();
    const told = [JSON.stringify(shop.source()?.status), ...events.map((event) => JSON.stringify(event)), ...logs];
    const leaks = new RegExp(`.{0,200}(${value}|99088077066)`, 's');
    expect(told.flatMap((words) => leaks.exec(words)?.[0] ?? [])).toEqual([]);
  });
});
