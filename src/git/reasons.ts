/**
 * Every reason that a condition of a GitSource carries. The text is what docs/reference/reasons.md prints.
 */
export const GitReasons = {
  Synced: 'The cluster holds what the newest commit of the reference declares.',
  Fetching: 'The repository has not been read yet.',
  Suspended: 'spec.suspend holds the sync; what was applied stays.',
  InvalidSpec: 'A field of the GitSource has a value that cannot be used; the message names it.',
  InvalidUrl: 'spec.url is not an address that Git may be given.',
  InvalidSchedule: 'spec.schedule is not a cron expression of five fields, or spec.timeZone is no time zone.',
  CredentialsNotFound: 'The Secret that spec.secretRef names does not exist or lacks a key.',
  AuthenticationFailed: 'The Git server refused the credentials, or asks for some.',
  RepositoryNotFound: 'There is no repository at spec.url.',
  RefNotFound: 'The repository does not hold the branch, tag, version or commit of spec.ref.',
  VerificationFailed: 'The commit is not signed by a key that spec.verify trusts.',
  PathNotFound: 'spec.path is not a folder of the commit.',
  FetchFailed: 'The repository could not be read; it is tried again.',
  StorageFull: 'The disk on which repositories are cached is full.',
  InvalidManifest: 'A file of the repository cannot be applied as it is; the message names file and line.',
  ApplyFailed: 'The cluster refused an object; the others were applied and this one is tried again.',
  PruneRefused: 'The commit declares nothing although objects were applied from this source; nothing is deleted.',
} as const;
export type GitReason = keyof typeof GitReasons;

/** Reasons that only a person can mend; the others go away by themselves and are tried again. */
const FOR_PEOPLE: ReadonlySet<GitReason> = new Set<GitReason>([
  'InvalidSpec',
  'InvalidUrl',
  'InvalidSchedule',
  'CredentialsNotFound',
  'AuthenticationFailed',
  'RepositoryNotFound',
  'RefNotFound',
  'PathNotFound',
  'VerificationFailed',
  'InvalidManifest',
  'PruneRefused',
]);
export const needsPerson = (reason: GitReason): boolean => FOR_PEOPLE.has(reason);

/** Why a sync ended early. The message is shown to people as it is: it names the field, what was expected and the next step. */
export class SyncError extends Error {
  constructor(
    readonly reason: GitReason,
    message: string,
  ) {
    super(message);
    this.name = 'SyncError';
  }
}
