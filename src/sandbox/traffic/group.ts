import type { IncomingHttpHeaders } from 'node:http';
import type { CallerGroup } from '../script.js';
import type { Mesh, SourceSpec } from '../mesh/types.js';
import { startCallers, type CallerStats, type CallRecord, type Callers } from './callers.js';

/** What a browser keeps: cookies by name, until they end. */
class Jar {
  readonly #cookies = new Map<string, { value: string; until: number }>();

  take(headers: IncomingHttpHeaders, now: number): void {
    for (const text of headers['set-cookie'] ?? []) {
      const [pair = '', ...attributes] = text.split(';').map((part) => part.trim());
      const at = pair.indexOf('=');
      if (at < 1) continue;
      const age = attributes.find((item) => /^max-age=/i.test(item))?.slice('max-age='.length);
      this.#cookies.set(pair.slice(0, at), { value: pair.slice(at + 1), until: age === undefined ? Infinity : now + Number(age) * 1000 });
    }
  }
  header(now: number): string | undefined {
    const live = [...this.#cookies].filter(([, { until }]) => until > now).map(([name, { value }]) => `${name}=${value}`);
    return live.length > 0 ? live.join('; ') : undefined;
  }
}

/** Two groups' counts as one. */
function added(one: CallerStats, other: CallerStats): CallerStats {
  const byVersion = { ...one.byVersion };
  for (const [version, { ok, failed }] of Object.entries(other.byVersion))
    byVersion[version] = { ok: (byVersion[version]?.ok ?? 0) + ok, failed: (byVersion[version]?.failed ?? 0) + failed };
  return { sent: one.sent + other.sent, ok: one.ok + other.ok, failed: one.failed + other.failed, inFlight: one.inFlight + other.inFlight, byVersion };
}

/** The workload whose sidecar callers use. */
export const PRODUCTPAGE: SourceSpec = { workload: 'productpage', namespace: 'default', labels: { app: 'productpage', version: 'v1' } };
const INGRESS: SourceSpec = { workload: 'istio-ingressgateway', namespace: 'istio-system', labels: { app: 'istio-ingressgateway', istio: 'ingressgateway' } };
const TIMEOUT_MS = 15_000;

/** Start all groups of callers, each at the proxy that it enters by. `log` hears the group and the user of each answer. */
export async function startGroups(groups: CallerGroup[], mesh: Mesh, log: (group: string, record: CallRecord, user: number | undefined) => void): Promise<Pick<Callers, 'stop' | 'stats'>> {
  const started = await Promise.all(
    groups.map(async (group) => {
      const url = await mesh.outbound(group.gateway === undefined ? PRODUCTPAGE : { ...INGRESS, gateway: group.gateway });
      return startGroup(group, url, (record, user) => log(group.name, record, user));
    }),
  );
  return {
    stop: async () => void (await Promise.all(started.map((callers) => callers.stop()))),
    stats: () => started.map((callers) => callers.stats()).reduce(added),
  };
}

/** Start one group of callers at a proxy. `log` hears which of its users each answer was for. */
function startGroup(group: CallerGroup, url: string, log: (record: CallRecord, user: number | undefined) => void): Callers {
  const jars = Array.from({ length: group.users ?? 0 }, () => new Jar());
  const jarOf = (n: number): Jar | undefined => jars[n % Math.max(1, jars.length)];
  return startCallers({
    url,
    host: group.host,
    path: group.path,
    rps: group.rps,
    timeoutMs: TIMEOUT_MS,
    // What is due while the machine is busy is sent all the same, as long as answers may still come.
    concurrencyLimit: Math.max(1_000, Math.ceil((group.rps * TIMEOUT_MS) / 1_000)),
    headers: (n) => {
      const cookie = jarOf(n)?.header(Date.now());
      return { ...group.headers, ...(cookie === undefined ? {} : { cookie }) };
    },
    onHeaders: (n, headers) => jarOf(n)?.take(headers, Date.now()),
    log: (record) => log(record, jars.length > 0 ? record.n % jars.length : undefined),
  });
}
