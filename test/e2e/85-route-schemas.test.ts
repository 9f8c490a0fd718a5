import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { isAlreadyExists, KubeError, Resources, type KubeObject } from '../../src/kube/index.js';
import type { Resource } from '../../src/kube/types.js';
import { startControlPlane, type ControlPlane } from '../real/index.js';

const FOLDER = fileURLToPath(new URL('../mesh/istio/testdata/', import.meta.url));
/** How many golden cases there are at least: a folder that moved must not pass. */
const AT_LEAST = 150;

const routing = z.looseObject({ apiVersion: z.string(), kind: z.enum(['VirtualService', 'DestinationRule']), metadata: z.looseObject({ name: z.string(), namespace: z.string().default('shop') }) });
const answer = z.looseObject({ writes: z.array(z.looseObject({ object: z.unknown().optional() })) });
const given = z.object({ objects: z.array(z.unknown()).default([]), steps: z.array(z.looseObject({ put: z.unknown().optional() })).default([]) });

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane?.stop());

const read = (file: string): unknown => parse(readFileSync(FOLDER + file, 'utf8'));
const routesIn = (objects: unknown[]): KubeObject[] => objects.flatMap((object) => routing.safeParse(object).data ?? []) as KubeObject[];

const namespaces = new Set<string>();
async function ensureNamespace(name: string): Promise<void> {
  if (namespaces.has(name)) return;
  await plane.client.create(Resources.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
  namespaces.add(name);
}

/** Why a real API server with Istio's own schemas refuses to store this, in its words; undefined when it would take it. */
async function refusal({ apiVersion, kind, metadata: { name, namespace = 'shop', labels, annotations }, ...content }: KubeObject): Promise<string | undefined> {
  await ensureNamespace(namespace);
  const base = kind === 'VirtualService' ? Resources.VirtualService : Resources.DestinationRule;
  const resource: Resource = { ...base, version: apiVersion.split('/')[1] ?? base.version };
  try {
    await plane.client.create(resource, { ...content, apiVersion, kind, metadata: { name, namespace, labels, annotations } }, { dryRun: true, fieldValidation: 'Strict' });
    return undefined;
  } catch (error) {
    if (error instanceof KubeError && (error.code === 400 || error.code === 422)) return error.message;
    throw error;
  }
}

/** Fields that Istio's schemas do not have: those of a newer Istio, which the user wrote. */
const unknownFields = (words: string): string[] => [...words.matchAll(/unknown field "([^"]*)"/g)].map(([, field = '']) => field.split('.').at(-1) ?? '');

it('every object that the router writes in a golden case is one that Istio’s schemas allow, as far as the user’s own was', async () => {
  const cases = readdirSync(FOLDER).flatMap((file) => (file.endsWith('.out.yaml') ? [file.slice(0, -'.out.yaml'.length)] : []));
  expect(cases.length).toBeGreaterThan(AT_LEAST);
  const wrong: string[] = [];
  let written = 0;
  for (const name of cases) {
    const { objects, steps } = given.parse(read(`${name}.in.yaml`));
    const before = routesIn([...objects, ...steps.map(({ put }) => put)]);
    const answered = read(`${name}.out.yaml`);
    // Either what is written, or the manifest of a syncing tool with our overlay on it.
    for (const object of routesIn(answer.safeParse(answered).data?.writes.map((write) => write.object) ?? [answered])) {
      written += 1;
      const why = await refusal(object);
      if (why === undefined) continue;
      const theirs = await Promise.all(before.filter(({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name).map(refusal));
      const known = theirs.flatMap((words) => (words === undefined ? [] : unknownFields(words)));
      const added = unknownFields(why).filter((field) => !known.includes(field));
      if (theirs.every((words) => words === undefined) || added.length > 0) wrong.push(`${name}: ${object.kind} ${object.metadata.name}: ${why}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(written).toBeGreaterThan(AT_LEAST);
});
