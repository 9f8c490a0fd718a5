import { execFile } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'node_modules', '.cache', 'sluice-e2e');

/** `sluice`, compiled as it is shipped. */
export const PROGRAM = join(FOLDER, 'dist', 'main.js');

/** Compiles the sources once for all files, beside `dist`; types are another command's affair. */
export async function setup(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  await copyFile(join(ROOT, 'package.json'), join(FOLDER, 'package.json'));
  const compiler = join(ROOT, 'node_modules', '.bin', 'tsc');
  await promisify(execFile)(compiler, ['-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--outDir', join(FOLDER, 'dist')]);
}
