/**
 * One feature per case: testdata/NAME.in.yaml holds a Canary's `service`, the live objects and what happens in order;
 * NAME.out.yaml holds what the router answers to the last step. `UPDATE_GOLDEN=1` writes the answers anew, for review in the diff.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { createIstioRouter } from '../../../src/mesh/istio/index.js';
import type { RouteExtras, RoutePlan } from '../../../src/engine/ports.js';
import type { KubeObject } from '../../../src/kube/types.js';
import { canary, Cluster } from './cluster.js';

type Step =
  | { plan: string; extras?: RouteExtras }
  | { release: true | 'routes' }
  | { prepare: true }
  | { observe: true }
  | { warnings: true }
  /** A manifest that a syncing tool is about to apply over the live object of that name. */
  | { overlay: KubeObject }
  /** A person's JSON patch of a live object, by `Kind/name`. */
  | { edit: string; patch: Operation[] }
  /** The Canary's `service` becomes another. */
  | { service: Record<string, unknown> }
  /** Its `analysis` does. */
  | { analysis: Record<string, unknown> }
  /** A tool writes an object as it is. */
  | { put: KubeObject };

interface Case {
  about: string;
  service?: Record<string, unknown>;
  analysis?: Record<string, unknown>;
  canary?: string;
  objects: KubeObject[];
  steps: Step[];
}

const folder = join(import.meta.dirname, 'testdata');
const names = readdirSync(folder).flatMap((file) => (file.endsWith('.in.yaml') ? [file.slice(0, -'.in.yaml'.length)] : []));

const weightsOf = (text: string) => {
  const [blue = Number.NaN, green = Number.NaN] = text.split('/').map(Number);
  return { blue, green };
};

const describePlan = ({ writes, problems }: RoutePlan): unknown => ({
  ...(problems.length > 0 ? { problems } : {}),
  writes: writes.map(({ op, resource, why, object }) => ({
    op,
    path: `/apis/${resource.group}/${resource.version}/namespaces/${object.metadata.namespace}/${resource.plural}/${object.metadata.name}`,
    why,
    ...(op === 'delete' ? {} : { object }),
  })),
});

function play({ service, analysis, canary: name, objects, steps }: Case): unknown {
  const router = createIstioRouter();
  const cluster = new Cluster(objects);
  let subject = canary(service, name, analysis);
  let answer: unknown;
  const carryOut = (planned: RoutePlan): unknown => {
    cluster.apply(planned.writes);
    return describePlan(planned);
  };
  for (const step of steps) {
    if ('plan' in step) answer = carryOut(router.plan(cluster.input(subject), weightsOf(step.plan), step.extras));
    else if ('release' in step) answer = carryOut(router.release(cluster.input(subject), step.release === 'routes'));
    else if ('prepare' in step) answer = carryOut(router.prepare(cluster.input(subject)));
    else if ('observe' in step) answer = router.observe(cluster.input(subject));
    else if ('warnings' in step) answer = router.observe(cluster.input(subject)).warnings;
    else if ('service' in step) subject = canary(step.service, name, analysis);
    else if ('analysis' in step) subject = canary(service, name, step.analysis);
    else if ('put' in step) cluster.put(step.put);
    else if ('overlay' in step) {
      const live = cluster.get(step.overlay.kind, step.overlay.metadata.name);
      if (!live) throw new Error(`no live ${step.overlay.metadata.name}`);
      answer = router.overlay(step.overlay, live);
    } else {
      const [kind = '', objectName = ''] = step.edit.split('/');
      const live = cluster.get(kind, objectName);
      cluster.put(jsonPatch.applyPatch(live, step.patch, true).newDocument as KubeObject);
    }
  }
  return answer;
}

const asText = (value: unknown): string => JSON.stringify(value, null, 2);

describe('the Istio router', () => {
  it('has a case for each of its features', () => {
    expect(names.length).toBeGreaterThanOrEqual(60);
  });

  for (const name of names) {
    const subject = parse(readFileSync(join(folder, `${name}.in.yaml`), 'utf8')) as Case;
    it(`${name}: ${subject.about}`, () => {
      const actual = play(subject);
      const file = join(folder, `${name}.out.yaml`);
      if (process.env.UPDATE_GOLDEN) writeFileSync(file, stringify(actual, { aliasDuplicateObjects: false, lineWidth: 0 }));
      // As text, because the order of keys counts too; through the parser, because the file's layout does not.
      expect(asText(actual)).toBe(asText(parse(readFileSync(file, 'utf8'))));
    });
  }
});
