import { describe, expect, it } from 'vitest';
import { parseManifests } from '../../src/git/manifests.js';

/** Far more than any of these takes, and far less than what they took to read before they were refused. */
const SOON_MS = 20_000;
/** Time of the processor, so that a busy machine makes no difference. */
const now = (): number => process.cpuUsage().user / 1_000;

const header = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n';
const hostile: [what: string, text: string, message: RegExp][] = [
  ['aliases that multiply', `a: &a [${'x,'.repeat(10)}]\n${Array.from('bcdefghij').map((letter, index) => `${letter}: &${letter} [${`*${'abcdefghij'[index]},`.repeat(10)}]`).join('\n')}`, /a\.yaml:1 cannot be read: Excessive alias count/],
  ['merges that multiply', `a: &a {x: 1}\n${Array.from({ length: 200 }, (_, index) => `b${index}: {<<: [${'*a,'.repeat(10)}]}`).join('\n')}`, /Excessive alias count/],
  ['a hundred thousand documents', '---\na\n'.repeat(100_000), /has 100000 documents; at most 1000 are read\. Divide it into several files\. Nothing of it was applied/],
  ['a list of a million items', `${header}  - b\n${'  - b\n'.repeat(1_000_000)}`, /a\.yaml:1 has about 1000\d+ lines, items and fields; at most 200000 are read of one document/],
  ['a flow list of a million items', `x: [${'1,'.repeat(1_000_000)}]`, /a\.yaml:1 has about 100000\d lines, items and fields/],
  ['ten megabytes of depth', '['.repeat(10 * 1024 * 1024), /lines, items and fields; at most 200000/],
  ['depth that no stack holds', '{a: '.repeat(20_000), /is not YAML: Maximum call stack size exceeded/],
];

describe('a manifest', () => {
  it.each(hostile)(
    'of %s is refused at once',
    (_what, text, message) => {
      const started = now();
      const { objects, failures } = parseManifests('a.yaml', text);
      expect(now() - started).toBeLessThan(SOON_MS);
      expect(objects).toEqual([]);
      expect(failures).toHaveLength(1);
      expect(failures[0]?.message).toMatch(message);
    },
    120_000,
  );

  it('of very many fields is read in time, and a field that comes twice is found', () => {
    const fields = Array.from({ length: 50_000 }, (_, index) => `  key-${index}: v\n`).join('');
    const started = now();
    expect(parseManifests('a.yaml', header + fields)).toMatchObject({ objects: [{ manifest: { kind: 'ConfigMap' } }], failures: [] });
    expect(parseManifests('a.yaml', `${header}${fields}  key-7: again\n`)).toMatchObject({ objects: [], failures: [{ message: 'a.yaml:50005 is not YAML: keys must be unique, and "key-7" comes twice' }] });
    expect(now() - started).toBeLessThan(SOON_MS);
  }, 120_000);

  it('changes nothing but itself, whatever its fields are called', () => {
    const { objects } = parseManifests('a.yaml', `${header}  a: b\n__proto__: {polluted: true}\nconstructor: {prototype: {polluted: true}}\n`);
    expect(objects).toHaveLength(1);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
