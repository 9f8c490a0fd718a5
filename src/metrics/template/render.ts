/** Values of placeholders by name; a name whose value is not known now has the reason instead. */
export type Placeholders = ReadonlyMap<string, string | { unknown: string }>;

export type Rendered<T> = { done: T } | { problem: string };

const PLACEHOLDER = /\{\{(.*?)\}\}/gs;

/** A quote or a brace would let a value end its place in the query and change what is asked. */
const UNSAFE = /["'`{}\\\p{Cc}\p{Cs}]/u;

/**
 * Fills the placeholders of a text, or says which one cannot be filled and why.
 * @param escape what is made of each value, in a URL for example
 */
export function render(text: string, values: Placeholders, escape: (value: string) => string = String): Rendered<string> {
  let problem: string | undefined;
  const done = text.replace(PLACEHOLDER, (_whole, inner: string) => {
    const key = inner.trim();
    const value = values.get(key);
    problem ??= problemOf(key, value, values);
    return typeof value === 'string' ? escape(value) : '';
  });
  if (problem === undefined && text.replace(PLACEHOLDER, '').includes('{{')) problem = 'a "{{" has no "}}"';
  return problem === undefined ? { done } : { problem };
}

function problemOf(key: string, value: ReturnType<Placeholders['get']>, values: Placeholders): string | undefined {
  if (value === undefined) return `"{{ ${key} }}" is not known; known are ${[...values.keys()].map((one) => `{{ ${one} }}`).join(', ')}`;
  if (typeof value !== 'string') return `"{{ ${key} }}": ${value.unknown}`;
  if (UNSAFE.test(value)) return `the value of "{{ ${key} }}" holds a quote, a brace, a backslash or a control character; take it out`;
  return undefined;
}

/** The same for every string in a value. Keys and what is not text stay as they are. */
export function renderAll<T>(value: T, values: Placeholders): Rendered<T> {
  let problem: string | undefined;
  const filled = (one: unknown): unknown => {
    if (typeof one === 'string') {
      const rendered = render(one, values);
      if ('done' in rendered) return rendered.done;
      problem ??= rendered.problem;
      return one;
    }
    if (Array.isArray(one)) return one.map(filled);
    if (typeof one !== 'object' || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, filled(inner)]));
  };
  const done = filled(value) as T;
  return problem === undefined ? { done } : { problem };
}

/** Names in `{{ … }}` of a text. */
export const placeholdersOf = (text: string): string[] => [...text.matchAll(PLACEHOLDER)].map(([, inner = '']) => inner.trim());
