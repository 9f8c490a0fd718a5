import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { freePorts, startDaemon } from './process.js';

export interface RealSshd {
  port: number;
  /** Private key that may log in as the user `git`, and one that may not. */
  identity: string;
  stranger: string;
  /** Line for known_hosts, and one with the key of another host. */
  knownHosts: string;
  otherHosts: string;
  log(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * OpenSSH's server on 127.0.0.1 for one user, `git`, who is the user of this process with /bin/sh.
 * @param programs as ensureParts gives them.
 */
export async function startSshd(programs: { sshd: string; libwrap: string; nssWrapper: string }, dir: string): Promise<RealSshd> {
  await mkdir(dir, { recursive: true });
  const file = (name: string): string => path.join(dir, name);
  for (const name of ['host', 'other', 'identity', 'stranger']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file(name)]);
  const [port = 0] = await freePorts(1);
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  // As root, sshd gives up its rights to a user of its own, and wants this folder.
  if (uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  await writeFile(file('passwd'), `git:x:${uid}:${gid}::${dir}:/bin/sh\nsshd:x:65533:65533::/nonexistent:/bin/false\n`);
  await writeFile(file('group'), `git:x:${gid}:\nsshd:x:65533:\n`);
  const config = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: file('host'),
    AuthorizedKeysFile: file('identity.pub'),
    StrictModes: 'no',
    UsePAM: 'no',
    PidFile: 'none',
    PasswordAuthentication: 'no',
    PermitRootLogin: 'yes',
    // Many at once, as when controllers come back after an outage.
    MaxStartups: '200',
  };
  await writeFile(file('config'), Object.entries(config).map(([key, value]) => `${key} ${value}\n`).join(''));
  const env = { LD_LIBRARY_PATH: path.dirname(programs.libwrap), LD_PRELOAD: programs.nssWrapper, NSS_WRAPPER_PASSWD: file('passwd'), NSS_WRAPPER_GROUP: file('group') };
  const daemon = startDaemon('sshd', programs.sshd, ['-D', '-e', '-f', file('config')], { dir, env });
  await daemon.ready(() => listens(port));
  const known = async (name: string): Promise<string> => `[127.0.0.1]:${port} ${(await readFile(file(`${name}.pub`), 'utf8')).trim()}\n`;
  return {
    port,
    identity: await readFile(file('identity'), 'utf8'),
    stranger: await readFile(file('stranger'), 'utf8'),
    knownHosts: await known('host'),
    otherHosts: await known('other'),
    log: () => readFile(daemon.logPath, 'utf8'),
    stop: () => daemon.stop(),
  };
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
