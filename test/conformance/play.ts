import { OpenWatch, PATIENCE_MS, readAll, send, type RawAnswer } from './http.js';
import { Normaliser } from './normalise.js';
import type { Answer, Answers, Json, Request, Scenario, Step, Target, Until } from './types.js';

const POLL_MS = 25;

/** Plays scenarios, a few at a time, and gives the normalised answers. Rejects when a request cannot be sent. */
export async function play(target: Target, scenarios: Scenario[], width = 6): Promise<Answers> {
  const answers: Answers = {};
  const waiting = [...scenarios];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      Object.assign(answers, await playOne(target, next));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return answers;
}

async function playOne(target: Target, { namespace, steps }: Scenario): Promise<Answers> {
  await prepareNamespace(target, namespace);
  const player = new Player(target, namespace);
  const answers: Answers = {};
  try {
    for (const step of steps) answers[step.name] = await player.step(step);
  } finally {
    player.close();
  }
  return answers;
}

/** The namespace with its service account, which controllers make. */
async function prepareNamespace(target: Target, name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  const created = await readAll(await send(target, { name: '', call: 'POST /api/v1/namespaces', body }));
  if (created.status !== 201) throw new Error(`namespace ${name} was not created: ${JSON.stringify(created.body)}`);
  const account: Request = {
    name: `service account of ${name}`,
    call: `GET /api/v1/namespaces/${name}/serviceaccounts/default`,
    until: { status: 200 },
  };
  await repeat(target, account);
}

class Player {
  private readonly variables: Map<string, string>;
  private readonly watches = new Map<string, OpenWatch>();
  private readonly normaliser = new Normaliser();

  constructor(
    private readonly target: Target,
    namespace: string,
  ) {
    this.variables = new Map([['ns', namespace]]);
  }

  async step(step: Step): Promise<Answer> {
    if ('read' in step) {
      const watch = this.watches.get(step.read);
      const events = watch === undefined ? `there is no watch ${step.read}` : await watch.take(step.events);
      return this.normaliser.answer({ status: 200, headers: {}, body: events });
    }
    const request = this.fill(step);
    const prefix = at(request.body, 'metadata.generateName');
    if (typeof prefix === 'string') this.normaliser.expectGenerated(prefix);
    if (step.open !== undefined) return this.open(request, step.open);
    const raw = await repeat(this.target, request);
    for (const [name, path] of Object.entries(step.save ?? {})) this.variables.set(name, show(at(raw.body, path)));
    return this.normaliser.answer(raw, step.view === undefined ? raw.body : step.view(raw.body as Json));
  }

  close(): void {
    for (const watch of this.watches.values()) watch.close();
  }

  private async open(request: Request, name: string): Promise<Answer> {
    const response = await send(this.target, request);
    if (response.statusCode !== 200) return this.normaliser.answer(await readAll(response));
    this.watches.set(name, new OpenWatch(response));
    return this.normaliser.answer({ status: 200, headers: response.headers, body: 'open' });
  }

  private fill(step: Request): Request {
    const replace = (text: string): string =>
      text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
        const value = this.variables.get(name);
        if (value === undefined) throw new Error(`${step.name}: nothing was saved as ${name}`);
        return value;
      });
    const { body } = step;
    const filled =
      typeof body === 'string'
        ? replace(body)
        : body === undefined
          ? undefined
          : (JSON.parse(replace(JSON.stringify(body))) as unknown);
    return { ...step, call: replace(step.call), ...(filled === undefined ? {} : { body: filled }) };
  }
}

/** The answer once it is as the request wants it, else the last one that came within {@link PATIENCE_MS}. */
async function repeat(target: Target, request: Request): Promise<RawAnswer> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const raw = await readAll(await send(target, request));
    if (request.until === undefined || holds(raw, request.until) || Date.now() > deadline) return raw;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function holds(raw: RawAnswer, until: Until): boolean {
  if (until.status !== undefined && raw.status !== until.status) return false;
  if (until.path === undefined) return true;
  const found = at(raw.body, until.path);
  if (until.absent === true) return found === undefined;
  return until.is === undefined ? found !== undefined : JSON.stringify(found) === JSON.stringify(until.is);
}

const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null));

function at(value: unknown, path: string): unknown {
  let current: unknown = value;
  for (const key of path.split('.')) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Json)[key];
  }
  return current;
}
