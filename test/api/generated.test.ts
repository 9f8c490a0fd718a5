import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedFiles } from '../../scripts/generated.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('generated files', () => {
  it.each([...generatedFiles()])('%s is up to date with src/api (else run `npm run generate`)', async (path, text) => {
    expect(await readFile(join(root, path), 'utf8')).toBe(text);
  });

  it('leaves no CustomResourceDefinition behind that src/api no longer has', async () => {
    const expected = [...generatedFiles().keys()]
      .filter((path) => path.startsWith('crds/'))
      .map((path) => path.slice('crds/'.length));
    expect((await readdir(join(root, 'crds'))).toSorted()).toEqual(expected.toSorted());
  });
});
