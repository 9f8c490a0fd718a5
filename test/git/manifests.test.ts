import { describe, expect, it } from 'vitest';
import { digestOf, parseManifests } from '../../src/git/manifests.js';
import { inStages } from '../../src/git/order.js';

const one = (text: string) => parseManifests('a.yaml', text).objects[0]?.manifest;
const messages = (text: string): string[] => parseManifests('a.yaml', text).failures.map(({ message }) => message);
const head = (kind: string, name = 'x'): string => `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}}\n`;

describe('files of manifests', () => {
  it('may hold several documents and lists, each with its line', () => {
    const text = `# top\n---\n${head('A')}---\n---\napiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: B, metadata: {name: b}}\n  - {apiVersion: v1, kind: C, metadata: {name: c}}\n`;
    expect(parseManifests('a.yaml', text).objects.map(({ manifest, line }) => [manifest.kind, line])).toEqual([
      ['A', 3],
      ['B', 11],
      ['C', 12],
    ]);
  });

  it('are read the way kubectl reads them', () => {
    const object = one(
      `${head('A')}spec: {mode: 0644, on: yes, date: 2024-01-02, time: 12:30, base: &b {x: 1}, merged: {<<: *b, z: 2}}\n`,
    );
    expect(object?.spec).toEqual({
      mode: 420,
      true: true,
      date: '2024-01-02',
      time: '12:30',
      base: { x: 1 },
      merged: { x: 1, z: 2 },
    });
  });

  it('may be JSON', () => {
    expect(parseManifests('a.json', '{"apiVersion":"v1","kind":"A","metadata":{"name":"x"}}').objects).toHaveLength(1);
  });

  it('lose what only the server writes', () => {
    const object = one(
      `apiVersion: v1\nkind: A\nmetadata:\n  name: x\n  uid: u\n  resourceVersion: "5"\n  creationTimestamp: null\n  annotations: {sluice.dev/commit: old, keep: me}\nstatus: {a: 1}\n`,
    );
    expect(object).toEqual({ apiVersion: 'v1', kind: 'A', metadata: { name: 'x', annotations: { keep: 'me' } } });
  });

  it.each([
    ['an unclosed map', 'a: {b\n', /a\.yaml:\d+ is not YAML/],
    ['a key twice', `${head('A')}spec: 1\nspec: 2\n`, /a\.yaml:5 is not YAML: .*unique/],
    ['no kind', 'apiVersion: v1\nmetadata: {name: x}\n', /a\.yaml:1 is not a Kubernetes object: kind/],
    ['no name', 'apiVersion: v1\nkind: A\nmetadata: {generateName: x-}\n', /metadata\.name/],
    [
      'a label that is no text',
      'apiVersion: v1\nkind: A\nmetadata: {name: x, labels: {a: true}}\n',
      /metadata\.labels\.a: .*quotes/,
    ],
    ['a scalar', 'hello\n', /is not a Kubernetes object: expected a mapping/],
    ['a name that is a path', 'apiVersion: v1\nkind: A\nmetadata: {name: ../../x}\n', /metadata\.name/],
  ])('name the line of %s', (_, text, expected) => {
    expect(messages(text)).toHaveLength(1);
    expect(messages(text)[0]).toMatch(expected);
  });

  it('cannot blow up memory with aliases', () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `l${level + 1}: &l${level + 1} [${Array.from({ length: 9 }, () => `*l${level}`).join(',')}]`,
    );
    const [message] = messages(`${head('A')}l0: &l0 [x]\n${levels.join('\n')}\n`);
    expect(message).toMatch(/alias/i);
  });

  it('keep the good documents of a file with a bad one', () => {
    const parsed = parseManifests('a.yaml', `${head('A')}---\nfoo: bar\n---\n${head('B')}`);
    expect(parsed.objects.map(({ manifest }) => manifest.kind)).toEqual(['A', 'B']);
    expect(parsed.failures).toMatchObject([{ file: 'a.yaml', line: 5 }]);
  });
});

it('a digest does not depend on the order of keys', () => {
  const base = { apiVersion: 'v1', kind: 'A', metadata: { name: 'x' } };
  expect(digestOf({ ...base, a: 1, b: [1, 2] })).toBe(digestOf({ b: [1, 2], a: 1, ...base }));
  expect(digestOf({ ...base, b: [1, 2] })).not.toBe(digestOf({ ...base, b: [2, 1] }));
});

it('what others need is applied first, and Canaries last', () => {
  const kinds = ['Canary', 'VirtualService', 'Deployment', 'ConfigMap', 'CustomResourceDefinition', 'Namespace'];
  const objects = kinds.map((kind) => ({ manifest: { apiVersion: 'v1', kind, metadata: { name: 'x' } }, file: 'a', line: 1 }));
  expect(inStages(objects).map((stage) => stage.map(({ manifest }) => manifest.kind).join())).toEqual(kinds.toReversed());
});
