export type { Overlay } from './apply.js';
export type { GitReason } from './reasons.js';
export {
  createGitSourceReconciler,
  type GitLogger,
  type GitSourceReconciler,
  type GitSourceReconcilerOptions,
  type SyncedEvent,
} from './reconciler.js';
export { commitTree, createBareRepository, headOf, type CommitOptions, type TreeChanges } from './repository.js';
export { createGitWriter, type GitWriterOptions } from './write-back/index.js';
export { StatusReporter, type StatusReporterOptions } from './hosts/reporter.js';
export { systemClock } from './schedule.js';
export type { Tenancy } from './tenancy.js';
