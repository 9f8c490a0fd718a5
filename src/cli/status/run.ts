import { SluiceResources, type Canary, type CanaryStatus, type GitSource } from '../../api/index.js';
import { createInformer } from '../../kube/index.js';
import { getCanary, statusOf } from '../canaries.js';
import { withCluster, type Cluster, type ClusterFlags } from '../cluster.js';
import { Exit, UsageError } from '../errors.js';
import { json, table } from '../format.js';
import { aborted, type Io } from '../io.js';
import { page } from './page.js';
import { header, row } from './rows.js';
import { canaryView, sourceView, type SourceView } from './view.js';

export interface StatusFlags extends ClusterFlags {
  allNamespaces?: boolean;
  watch?: boolean;
  output: 'table' | 'json';
}

/** How often a terminal is drawn again for its countdowns, in milliseconds. */
const REDRAW_MS = 1_000;
/** Home, and clear to the end of the screen: no flicker, and the scrollback stays. */
const CLEAR = '\u001b[H\u001b[J';

/** `sluice status`. */
export async function status(io: Io, name: string | undefined, flags: StatusFlags): Promise<number> {
  if (name !== undefined && flags.allNamespaces)
    throw new UsageError('--all-namespaces goes with the list, not with the name of one Canary; use -n for its namespace');
  return withCluster(io, flags, async (cluster) => {
    if (flags.watch) return watch(io, cluster, name, flags);
    if (name === undefined) io.out(list(io, await listCanaries(cluster, flags), flags, cluster.namespace));
    else io.out(await one(io, cluster, await getCanary(cluster, name), flags));
    return Exit.ok;
  });
}

const order = (a: Canary, b: Canary): number =>
  `${a.metadata.namespace}/${a.metadata.name}`.localeCompare(`${b.metadata.namespace}/${b.metadata.name}`);

async function listCanaries({ client, namespace }: Cluster, flags: StatusFlags): Promise<Canary[]> {
  const { items } = await client.list(SluiceResources.Canary, {
    ...(flags.allNamespaces ? {} : { namespace }),
    dropManagedFields: true,
  });
  return items;
}

function list(io: Io, canaries: Canary[], flags: StatusFlags, namespace: string): string {
  const all = flags.allNamespaces ?? false;
  const views = canaries.toSorted(order).map(canaryView);
  if (flags.output === 'json') return json({ canaries: views });
  if (views.length === 0)
    return all
      ? 'There are no Canaries.\n'
      : `There are no Canaries in namespace ${namespace}; -A shows those of all namespaces.\n`;
  return table(io, [header(all), ...views.map((view) => row(view, all, io.now()))]);
}

async function one(io: Io, cluster: Cluster, canary: Canary, flags: StatusFlags): Promise<string> {
  const sources = await sourcesOf(cluster, statusOf(canary));
  const view = canaryView(canary);
  return flags.output === 'json' ? json({ ...view, sources }) : page(io, view, sources);
}

/** The GitSources that the revisions came from, where they may be read. */
async function sourcesOf({ client }: Cluster, { stable, canary }: CanaryStatus): Promise<SourceView[]> {
  const names = new Set([canary?.source, stable?.source].filter((source) => source !== undefined));
  const found = [...names].map(async (source) => {
    const [namespace, name] = source.split('/');
    if (!namespace || !name) return [];
    // The source may be gone or out of bounds for this user: the page is useful without it.
    const live = await client.get<GitSource>(SluiceResources.GitSource, namespace, name).catch(() => undefined);
    return live ? [sourceView(live)] : [];
  });
  return (await Promise.all(found)).flat();
}

/** Prints on every change until interrupted: the whole again on a terminal, else only what changed. */
async function watch(io: Io, cluster: Cluster, name: string | undefined, flags: StatusFlags): Promise<number> {
  // The first answer shows at once what an informer would go on trying: a missing right, a missing kind, a missing Canary.
  if (name === undefined) await listCanaries(cluster, flags);
  else await getCanary(cluster, name);
  const informer = createInformer<Canary>(cluster.client, SluiceResources.Canary, {
    ...(flags.allNamespaces ? {} : { namespace: cluster.namespace }),
    ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
  });
  const drawing = io.isTTY && flags.output === 'table';
  const printer = new ChangePrinter(io, flags);
  let draws = Promise.resolve();
  const draw = (): void => {
    draws = draws.then(async () => {
      const [only] = informer.list();
      const text =
        name === undefined || !only ? list(io, informer.list(), flags, cluster.namespace) : await one(io, cluster, only, flags);
      io.out(CLEAR + text);
    });
  };
  if (!drawing) informer.onChange((key, canary) => printer.changed(key.name, canary));
  informer.start(io.signal);
  await Promise.race([informer.whenSynced(), aborted(io.signal)]);
  if (drawing) informer.onChange(draw);
  while (!io.signal.aborted) {
    if (drawing) draw();
    await io.sleep(REDRAW_MS, io.signal);
  }
  await draws;
  return Exit.interrupted;
}

/** For pipes and logs: the header once, then a line per change. */
class ChangePrinter {
  #begun = false;

  constructor(
    private readonly io: Io,
    private readonly flags: StatusFlags,
  ) {}

  changed(name: string, canary: Canary | undefined): void {
    const { io, flags } = this;
    if (flags.output === 'json') return io.out(`${JSON.stringify(canary ? canaryView(canary) : { name, deleted: true })}\n`);
    const all = flags.allNamespaces ?? false;
    const line = canary ? row(canaryView(canary), all, io.now()) : [name, 'deleted'];
    // Lines come one by one; the header's widths keep them roughly in columns.
    const [head = '', text = ''] = table({ color: false }, [header(all), line]).split('\n');
    io.out(this.#begun ? `${text}\n` : `${head}\n${text}\n`);
    this.#begun = true;
  }
}
