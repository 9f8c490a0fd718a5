import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Stops what was started, last first. Every step is tried, whatever the others do. */
export class Cleanup {
  readonly #steps: { name: string; stop: () => unknown }[] = [];

  add(name: string, stop: () => unknown): void {
    this.#steps.push({ name, stop });
  }

  async run(onError: (name: string, error: unknown) => void): Promise<void> {
    for (const { name, stop } of this.#steps.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        onError(name, error);
      }
    }
  }
}

/** The folder that a sandbox works in: the one to keep, or a temporary one that goes with it. */
export async function makeWorkplace(keep: string | undefined, cleanup: Cleanup): Promise<string> {
  if (keep !== undefined) {
    const dir = resolve(keep);
    await mkdir(dir, { recursive: true });
    return dir;
  }
  const dir = await mkdtemp(join(tmpdir(), 'sluice-sandbox-'));
  cleanup.add('temporary folder', () => rm(dir, { recursive: true, force: true }));
  return dir;
}
