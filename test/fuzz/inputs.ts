import fc from 'fast-check';

/** Text that parsers are known to trip over. */
const EVIL = [
  '', ' ', '\u0000', '\uFEFF', '\uD800', '__proto__', 'constructor', 'prototype', 'toString', '-', '--upload-pack=touch pwned', '-oProxyCommand=x', 'ext::sh -c x', '../../etc/passwd', '/etc/passwd',
  '${jndi:x}', '{{ name }}', '$(x)', '`x`', "'; --", 'NaN', 'Infinity', '-Inf', '1e999', '0x10', '9'.repeat(400), 'a'.repeat(5_000), 'http://169.254.169.254/', 'javascript:x', '%00', '%', '\r\nX: y', '~1~0', '/', '*', '0',
];

export const text = (): fc.Arbitrary<string> => fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom(...EVIL));
const leaf = (): fc.Arbitrary<unknown> => fc.oneof(text(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constant([]), fc.constant({}));
const key = (): fc.Arbitrary<string> => fc.oneof(fc.constantFrom('apiVersion', 'kind', 'metadata', 'name', 'namespace', 'spec', 'annotations', 'labels', 'http', 'route', 'weight', 'host', ...EVIL), fc.string());

/** Whatever JSON can say, own keys such as `__proto__` included. */
export const junk = (): fc.Arbitrary<unknown> =>
  fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4, withCrossShrink: true }, leaf(), fc.array(tie('value'), { maxLength: 4 }), fc.array(fc.tuple(key(), tie('value')), { maxLength: 4 }).map(ownKeys)),
  })).value;

/** As `JSON.parse` makes it: `__proto__` is a key like any other. */
const ownKeys = (entries: [string, unknown][]): unknown => {
  const object: Record<string, unknown> = {};
  for (const [name, value] of entries) Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
  return object;
};

interface Change {
  /** Which way down to the place, as shares of what there is to choose from. */
  path: number[];
  value: unknown;
  remove: boolean;
}
const change = (): fc.Arbitrary<Change> =>
  fc.record({ path: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 7 }), value: junk(), remove: fc.boolean() });

function changed(base: unknown, { path, value, remove }: Change): unknown {
  const root = structuredClone(base);
  let parent: unknown = root;
  for (const [depth, share] of path.entries()) {
    if (typeof parent !== 'object' || parent === null) return root;
    const keys = Object.keys(parent);
    const chosen = keys[Math.floor(share * keys.length)];
    if (chosen === undefined) return root;
    const holder = parent as Record<string, unknown>;
    const next = holder[chosen];
    if (depth === path.length - 1 || typeof next !== 'object' || next === null) {
      if (remove) Reflect.deleteProperty(holder, chosen);
      else holder[chosen] = value;
      return root;
    }
    parent = next;
  }
  return root;
}

/** One of these, with a few of its fields replaced or taken away. */
export const spoilt = <T>(...bases: T[]): fc.Arbitrary<T> =>
  fc.tuple(fc.constantFrom(...bases), fc.array(change(), { maxLength: 3 })).map(([base, changes]) => changes.reduce<unknown>(changed, base) as T);

/** Pieces that mean something to a parser of YAML or JSON. */
const TOKENS = ['---\n', '...\n', '%YAML 1.1\n', '&a ', '*a', '<<: *a\n', '!!binary ', '!!js/function ', '? ', ': ', '- ', '|\n', '>-\n', '[', ']', '{', '}', '"', "'", '#', '\t', '\n', '\r\n', '\\', ',', '\u2028', '0o17', '2001-01-01', 'yes', '~'];

/** One of these texts with pieces put in, cut out and doubled. */
export const spoiltText = (...bases: string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...bases), fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(12), fc.oneof(fc.constantFrom(...TOKENS), text()), fc.constantFrom(1, 1, 1, 50)), { maxLength: 6 }))
    .map(([base, edits]) =>
      edits.reduce((whole, [share, cut, piece, times]) => {
        const at = Math.floor(share * whole.length);
        return whole.slice(0, at) + piece.repeat(piece.length > 100 ? 1 : times) + whole.slice(at + cut);
      }, base),
    );
