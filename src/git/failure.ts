import { redact, type GitCredentials } from './credentials.js';
import { SyncError, type GitReason } from './reasons.js';
import { GitAborted, GitError } from './run.js';
import type { RemoteUrl } from './url.js';

interface Rule {
  reason: GitReason;
  pattern: RegExp;
  next: string;
}

/** In order: ssh, for one, ends every refusal with the words for a missing repository. */
const RULES: Rule[] = [
  {
    reason: 'StorageFull',
    pattern: /No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/i,
    next: 'make room in the data directory of the controller; what was applied stays',
  },
  {
    reason: 'AuthenticationFailed',
    pattern:
      /Authentication failed|could not read (Username|Password)|Permission denied|Host key verification failed|No ED25519 host key|error: 40[13]\b|Access denied|invalid credentials|error in libcrypto|Load key/i,
    next: 'check spec.secretRef: its credentials must be valid and may read the repository',
  },
  {
    reason: 'FetchFailed',
    pattern:
      /Could not resolve host|Connection (refused|reset|timed out|closed)|Network is unreachable|No route to host|timed out|SSL|certificate|early EOF|hung up|RPC failed|error: 5\d\d\b|Failed to connect|Couldn't connect/i,
    next: 'check that the Git server can be reached from the controller; it is tried again',
  },
  {
    reason: 'RepositoryNotFound',
    pattern:
      /repository .*not found|does not exist|does not appear to be a git repository|not a git repository|error: 404\b|No such file or directory|project you were looking for could not be found/i,
    next: 'correct spec.url, or put the repository back; what was applied stays',
  },
];

/** What Git says when the cached copy, not the remote, is what is broken. */
const BROKEN_CACHE =
  /not a git repository|corrupt|bad (object|tree|revision|signature)|missing (blob|tree|commit|object)|unable to read|could not read [0-9a-f]{40}|unable to (create|write|find)|\.lock'|inflate|loose object|packfile|pack has|index-pack|unresolved deltas|not a valid object|did not receive expected object|invalid (sha1|object|index)|Could not parse object|reference broken|cannot lock ref|shallow file/i;

const MAX_LENGTH = 500;

/** True when throwing the cache away and cloning again may help. Full disks and refusals of the server are no such case. */
export function suspectsCache(error: unknown): boolean {
  if (!(error instanceof GitError) || /^remote: /m.test(error.stderr)) return false;
  return error.command !== 'ls-remote' && ruleFor(error.stderr)?.reason !== 'StorageFull' && BROKEN_CACHE.test(error.stderr);
}

/** Turns whatever went wrong between here and the remote into a reason and a message for people. */
export function explainFailure(
  error: unknown,
  url: RemoteUrl,
  credentials: GitCredentials | undefined,
  timeoutMs: number,
  field = 'spec.url',
): SyncError {
  if (error instanceof SyncError) return error;
  const where = `${field} ${redact(url.text, credentials)}`;
  if (error instanceof GitAborted) {
    return new SyncError(
      'FetchFailed',
      `${where}: git ${error.command} was stopped after spec.timeout (${timeoutMs / 1000} s); raise it, or check the Git server. It is tried again`,
    );
  }
  const said = redact(
    error instanceof GitError ? essence(error.stderr) : error instanceof Error ? error.message : String(error),
    credentials,
  );
  const rule = ruleFor(said);
  const detail = said || 'git gave no reason';
  return new SyncError(rule?.reason ?? 'FetchFailed', `${where}: ${detail}; ${rule?.next ?? 'it is tried again'}`);
}

const ruleFor = (text: string): Rule | undefined => RULES.find(({ pattern }) => pattern.test(text));

/** The lines that carry the reason, without advice and progress. */
function essence(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !/^(hint:|warning:|Cloning|Please make sure|and the repository exists|From )/.test(line));
  return lines.slice(-4).join(' ').slice(0, MAX_LENGTH);
}
