import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { subjects } from './requests/index.js';
import type { Answers, Json } from './types.js';

const folder = new URL('./golden/', import.meta.url);
const CRDS = 'crds.json';

const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(new URL(name, folder), 'utf8')) as unknown;
const write = (name: string, content: string): Promise<void> => writeFile(new URL(name, folder), content);

/** The real server's answers as they were recorded. */
export async function recordedAnswers(): Promise<Answers> {
  const parts = await Promise.all(Object.keys(subjects).map((subject) => read(`${subject}.json`)));
  return Object.assign({}, ...(parts as Answers[])) as Answers;
}

/** The CustomResourceDefinitions that were installed in the real server when its answers were recorded. */
export const recordedCrds = async (): Promise<Json[]> => (await read(CRDS)) as Json[];

/** Writes a file for each subject, one line for each answer. */
export async function record(answers: Answers, crds: Json[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [subject, scenarios] of Object.entries(subjects)) {
    const names = scenarios.flatMap(({ steps }) => steps.map(({ name }) => name));
    const lines = names.map((name) => `${JSON.stringify(name)}: ${JSON.stringify(answers[name])}`);
    await write(`${subject}.json`, `{\n${lines.join(',\n')}\n}\n`);
  }
  await write(CRDS, `[\n${crds.map((crd) => JSON.stringify(withoutDescriptions(crd))).join(',\n')}\n]\n`);
  return fileURLToPath(folder);
}

/** A definition whose schemas have no prose: answers do not depend on it. */
function withoutDescriptions(crd: Json): Json {
  const copy = structuredClone(crd);
  for (const version of (copy['spec'] as { versions: { schema?: unknown }[] }).versions)
    version.schema = stripped(version.schema, false);
  return copy;
}

function stripped(value: unknown, names: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => stripped(item, false));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      // Under `properties` a description is a field of that name.
      .filter(([key, item]) => names || key !== 'description' || typeof item !== 'string')
      .map(([key, item]) => [key, stripped(item, key === 'properties' && !names)]),
  );
}
