import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeObject } from '../kube/types.js';
import type { LocalRepository } from './fetch.js';
import { SyncError } from './reasons.js';
import { GitAborted, GitError, runRemoteGit } from './run.js';
import { short } from './text.js';

/** Public keys whose signatures count. */
export interface TrustedKeys {
  /** Lines such as `ssh-ed25519 AAAA…`. */
  ssh: string[];
  /** Armoured OpenPGP keys. */
  openpgp: string[];
}

const SSH_KEY = /^(?:ssh-|ecdsa-|sk-)\S+ +[A-Za-z0-9+/=]+/;
const MAX_WORDS = 200;

/**
 * Reads the Secret of `spec.verify`: every key of it holds ssh public keys, one a line, or an armoured OpenPGP key.
 * @throws SyncError CredentialsNotFound
 */
export function readTrustedKeys(name: string, secret: KubeObject | undefined): TrustedKeys {
  const missing = (what: string): SyncError => new SyncError('CredentialsNotFound', `spec.verify.secretRef: Secret "${name}" ${what}`);
  if (!secret) throw missing('does not exist in the namespace of the GitSource; create it');
  const keys: TrustedKeys = { ssh: [], openpgp: [] };
  for (const value of Object.values((secret['data'] ?? {}) as Record<string, unknown>)) {
    const text = typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : '';
    if (text.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----')) keys.openpgp.push(text);
    else keys.ssh.push(...text.split('\n').flatMap((line) => SSH_KEY.exec(line.trim())?.[0] ?? []));
  }
  if (keys.ssh.length + keys.openpgp.length === 0) throw missing('holds no public key; add ssh public keys or armoured OpenPGP keys, under any name');
  return keys;
}

/**
 * Checks that one of the keys signed the commit.
 * @throws SyncError VerificationFailed
 */
export async function verifyCommit({ call, commit }: LocalRepository, keys: TrustedKeys): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-verify-'));
  try {
    if (keys.openpgp.length > 0) await importKeys(dir, keys.openpgp);
    await writeFile(join(dir, 'allowed_signers'), keys.ssh.map((key) => `* namespaces="git" ${key}\n`).join(''), { mode: 0o600 });
    const args = ['-c', `gpg.ssh.allowedSignersFile=${join(dir, 'allowed_signers')}`, 'verify-commit', commit];
    await runRemoteGit(args, { ...call, environment: { ...call.environment, GNUPGHOME: dir } });
  } catch (error) {
    if (error instanceof GitAborted || error instanceof SyncError) throw error;
    const said = error instanceof GitError ? error.stderr.split('\n').filter((line) => line && !line.startsWith('gpg: WARNING')).join(' ').slice(0, MAX_WORDS) : '';
    throw new SyncError('VerificationFailed', `commit ${short(commit)} is not signed by a key of spec.verify.secretRef${said ? ` (${said})` : ''}; sign it, or add the key. What was applied stays`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function importKeys(dir: string, keys: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('gpg', ['--homedir', dir, '--batch', '--quiet', '--no-autostart', '--import'], { stdio: ['pipe', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] ?? '', HOME: dir, LANG: 'C' } });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (words += chunk));
    child.on('error', () => reject(new SyncError('VerificationFailed', 'gpg is not installed beside the controller; use its image, or sign with ssh keys')));
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new SyncError('VerificationFailed', `spec.verify.secretRef: gpg does not take an OpenPGP key (${words.trim().slice(0, MAX_WORDS)}); replace it`));
    });
    child.stdin.on('error', () => {});
    child.stdin.end(keys.join('\n'));
  });
}
