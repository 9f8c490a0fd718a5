import { readFile } from 'node:fs/promises';
import { Failure } from './json-api.js';

/** What the controller finds around itself: the identity that its cloud gives it comes from there. */
export interface Surroundings {
  env: Record<string, string | undefined>;
  /** Text of a file. @throws when it cannot be read */
  read(path: string): Promise<string>;
}

export const systemSurroundings: Surroundings = { env: process.env, read: (path) => readFile(path, 'utf8') };

/** The token in a file that the platform put into the controller's pod and renews. @throws Failure */
export async function identityToken(surroundings: Surroundings, path: string): Promise<string> {
  const text = await surroundings.read(path).catch(() => '');
  if (text.trim() === '') throw new Failure(`the identity of the controller cannot be shown: ${path} cannot be read, or is empty`, false);
  return text.trim();
}
