import type { CanaryStatus } from '../api/index.js';
import type { DesiredRevision } from './observation.js';

/**
 * A revision is named by what the API server says of its template. An upgrade of the server, or of Sluice, may give another name
 * to what nobody touched: then the old name goes on, and nothing runs (trap K8). Returns what is wanted, by its lasting name, and
 * notes it in the status.
 */
export function withLastingName(status: CanaryStatus, desired: DesiredRevision): DesiredRevision {
  const { origin, revision } = desired;
  if (origin === undefined) return desired;
  const known = status.origin;
  const lasting = known && (known.key === origin || known.hash === revision) ? known.revision : revision;
  status.origin = { key: origin, hash: revision, revision: lasting };
  return lasting === revision ? desired : { ...desired, revision: lasting };
}
