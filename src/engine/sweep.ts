import { SluiceResources } from '../api/index.js';
import type { Cache } from './cache.js';
import type { Writer } from './writer.js';

/** Actions that were answered are kept this long for readers, in milliseconds. */
const KEEP_MS = 24 * 3_600_000;
const EVERY_MS = 10 * 60_000;

/** Remove CanaryActions that were answered long ago. Returns the function that stops it. */
export function sweepActions(options: { cache: Cache; writer: Writer; now: () => number; onError: (error: unknown) => void }): () => void {
  const { cache, writer, now, onError } = options;
  const timer = setInterval(() => {
    for (const action of cache.actions.list()) {
      const at = Date.parse(action.status?.at ?? '');
      if (now() - at > KEEP_MS) writer.delete(SluiceResources.CanaryAction, action).catch(onError);
    }
  }, EVERY_MS);
  return () => clearInterval(timer);
}
