import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configMap, World } from './world.js';

let world: World;
let keys: string;
beforeEach(async () => {
  world = await World.create({ secrets: {} });
  keys = mkdtempSync(join(tmpdir(), 'sluice-keys-'));
});
afterEach(async () => {
  await world.destroy();
  rmSync(keys, { recursive: true, force: true });
});

const has = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
};

/** Commits as a person who signs does. */
function signedCommit(value: string, config: string[], env: Record<string, string> = {}): string {
  const tree = join(keys, `work-${value}`);
  const all = { PATH: process.env['PATH'] ?? '', HOME: keys, GIT_CONFIG_NOSYSTEM: '1', ...env };
  const git = (...args: string[]): string => execFileSync('git', ['-C', tree, '-c', 'user.name=Ada', '-c', 'user.email=ada@shop.invalid', ...config.flatMap((item) => ['-c', item]), ...args], { encoding: 'utf8', env: all, stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  execFileSync('git', ['clone', '--quiet', world.repository, tree], { env: all, stdio: 'ignore' });
  execFileSync('mkdir', ['-p', join(tree, 'deploy')]);
  execFileSync('tee', [join(tree, 'deploy', 'a.yaml')], { input: configMap('a', value), stdio: ['pipe', 'ignore', 'ignore'] });
  git('add', '.');
  git('commit', '--quiet', '-S', '-m', `a is ${value}`);
  git('push', '--quiet', 'origin', 'HEAD:main');
  return git('rev-parse', 'HEAD');
}
function sshKey(name: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(keys, name)]);
  return readFileSync(join(keys, `${name}.pub`), 'utf8');
}
const withSsh = (name: string): string[] => ['gpg.format=ssh', `user.signingKey=${join(keys, name)}`];

describe.skipIf(!has('ssh-keygen'))('spec.verify', () => {
  it('applies a commit that a trusted ssh key signed, and refuses one of another key or without a signature', async () => {
    world.secrets['keys'] = { ada: sshKey('ada') };
    sshKey('eve');
    const first = signedCommit('1', withSsh('ada'));
    world.source({ verify: { secretRef: { name: 'keys' } } });
    await world.start();
    await world.applied(first);
    signedCommit('2', withSsh('eve'));
    expect(await world.reason('VerificationFailed')).toContain('is not signed by a key of spec.verify.secretRef');
    await world.commit({ 'deploy/a.yaml': configMap('a', '3') });
    await world.reason('VerificationFailed');
    expect(world.cluster.get('ConfigMap', 'a')).toMatchObject({ data: { value: '1' } });
    expect(world.cluster.source().status?.appliedCommit).toBe(first);
    await world.applied(signedCommit('4', withSsh('ada')));
  });

  it.skipIf(!has('gpg'))('takes OpenPGP keys too', async () => {
    const env = { GNUPGHOME: keys };
    const gpg = (...args: string[]): string => execFileSync('gpg', ['--homedir', keys, '--batch', '--quiet', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    gpg('--passphrase', '', '--quick-generate-key', 'Ada <ada@shop.invalid>', 'ed25519', 'sign', 'never');
    world.secrets['keys'] = { 'ada.asc': gpg('--armor', '--export', 'ada@shop.invalid') };
    const first = signedCommit('1', ['gpg.format=openpgp', 'user.signingKey=ada@shop.invalid'], env);
    world.source({ verify: { secretRef: { name: 'keys' } } });
    await world.start();
    await world.applied(first);
    await world.commit({ 'deploy/a.yaml': configMap('a', '2') });
    await world.reason('VerificationFailed');
  });

  it('without a key in the Secret says which Secret', async () => {
    await world.commit({ 'deploy/a.yaml': configMap('a') });
    world.secrets['keys'] = { note: 'nothing' };
    world.source({ verify: { secretRef: { name: 'keys' } } });
    await world.start();
    expect(await world.reason('CredentialsNotFound')).toContain('Secret "keys" holds no public key');
  });
});
