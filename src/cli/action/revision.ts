import type { Canary, Verb } from '../../api/index.js';
import { conditionOf, namespaceFlag, statusOf } from '../canaries.js';
import { CliError } from '../errors.js';

/**
 * The revision that an action is for when nobody names one: it is pinned now, so that an action that arrives late never hits
 * another release.
 * @throws CliError when there is nothing that the verb could be about.
 */
export function revisionFor(verb: Verb, canary: Canary): string {
  const status = statusOf(canary);
  const { name, namespace = '' } = canary.metadata;
  const see = `see: sluice status ${name}${namespaceFlag(namespace)}`;
  if (verb !== 'retry') {
    if (status.canary) return status.canary.revision;
    throw new CliError(`${verb} ${name}: no release is under way, so nothing was done; ${see}`);
  }
  const quarantined = status.quarantined ?? [];
  // The newest failure is not always what Git wants now; where Git's wish is the one held back, its condition names it.
  const progressing = conditionOf(status, 'Progressing');
  const words = progressing?.reason === 'Quarantined' ? progressing.message.split(/\W+/) : [];
  const found = quarantined.find(({ revision }) => words.includes(revision)) ?? quarantined[0];
  if (found) return found.revision;
  throw new CliError(`retry ${name}: no revision is quarantined, so nothing was done; ${see}`);
}
