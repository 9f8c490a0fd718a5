import { percentDecoded } from '../net/percent.js';
import { SyncError } from './reasons.js';

/** An address that may be given to Git. */
export interface RemoteUrl {
  protocol: 'file' | 'http' | 'https' | 'ssh';
  /** As given to Git; never holds a password. */
  text: string;
  /** Without port; empty for file://. */
  host: string;
  /** `https://host:port`, for credentials; http and https only. */
  origin?: string;
  username?: string;
}

const NEXT = 'write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or file:///PATH';

/**
 * Reads spec.url.
 * @throws SyncError InvalidUrl. The message never repeats a password that stands in the address.
 */
export function parseRemoteUrl(text: string): RemoteUrl {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (text.startsWith('-') || /[\u0000-\u0020\u007f]/.test(text))
    throw invalid(`begins with "-" or holds blanks or control characters`);
  // IPv6 addresses hold it too, but not at the beginning.
  if (/^[A-Za-z0-9+.-]*::/.test(text)) throw invalid('names a remote helper ("::"), which would run a program');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return parseScpLike(text);
  if (scheme === 'file') return parseFile(text);
  if (scheme === 'http' || scheme === 'https' || scheme === 'ssh') return parseNetwork(text, scheme);
  throw invalid(`has the protocol "${scheme}"`);
}

function parseFile(text: string): RemoteUrl {
  if (!/^file:\/\/(localhost)?\/./i.test(text)) throw invalid('has no absolute path after file://');
  return { protocol: 'file', text, host: '' };
}

function parseNetwork(text: string, protocol: 'http' | 'https' | 'ssh'): RemoteUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname) throw invalid('cannot be read as an address');
  if (url.password)
    throw invalid(
      'holds a password',
      'move it to a Secret (keys username and password, or token) and name that in spec.secretRef',
    );
  const [user, path] = [percentDecoded(url.username), percentDecoded(url.pathname)];
  if (user === undefined || path === undefined) throw invalid('holds a "%" that is not followed by two hexadecimal digits', 'write %25 for a "%"');
  if (url.hostname.startsWith('-') || user.startsWith('-') || path.startsWith('/-')) throw invalid('has a user, host or path that begins with "-"');
  if (protocol === 'ssh') return { protocol, text: url.href, host: url.hostname };
  const username = user || undefined;
  url.username = '';
  return { protocol, text: url.href, host: url.hostname, origin: url.origin, username };
}

/** `git@host:path`, as people copy it from hosting sites. */
function parseScpLike(text: string): RemoteUrl {
  const host = /^[A-Za-z0-9._][A-Za-z0-9._-]*@([A-Za-z0-9][A-Za-z0-9.-]*):[^-]/.exec(text)?.[1];
  if (host === undefined) throw invalid('is none of the forms that are understood');
  return { protocol: 'ssh', text, host };
}

const invalid = (what: string, next: string = NEXT): SyncError => new SyncError('InvalidUrl', `spec.url ${what}; ${next}`);
