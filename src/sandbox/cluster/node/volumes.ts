import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import type { Container, Pod, Volume } from '../types.js';
import type { ConfigSource, Data } from './config.js';

/** A volume that cannot be mounted yet; the pod stays in `ContainerCreating`, as with the kubelet. */
class VolumeNotReady extends Error {}

/**
 * Writes a pod's ConfigMap and Secret volumes below `directory`/volumes and makes its emptyDirs. Written again when the
 * configuration changes. Other kinds of volume become empty directories: these programs use none of them.
 * @throws VolumeNotReady when an object or a key that is not optional is missing.
 */
export async function writeVolumes(pod: Pod, directory: string, source: ConfigSource): Promise<void> {
  for (const volume of pod.spec.volumes ?? []) {
    const path = volumePath(directory, volume.name);
    await mkdir(path, { recursive: true });
    const files = await contentOf(pod, volume, source);
    if (files) await replaceFiles(path, files, volume.secret ? 0o600 : 0o644);
  }
}

const volumePath = (directory: string, name: string): string => join(directory, 'volumes', name);

async function contentOf(pod: Pod, volume: Volume, source: ConfigSource): Promise<Data | undefined> {
  const namespace = pod.metadata.namespace ?? '';
  const { configMap, secret } = volume;
  if (configMap) {
    const data = await source.configMap(namespace, configMap.name);
    return project(volume.name, `configmap "${configMap.name}"`, configMap, data);
  }
  if (secret)
    return project(volume.name, `secret "${secret.secretName}"`, secret, await source.secret(namespace, secret.secretName));
  return undefined;
}

type Projection = { optional?: boolean; items?: { key: string; path: string }[] };

function project(volume: string, object: string, { optional, items }: Projection, data: Data | undefined): Data {
  if (!data) {
    if (optional) return new Map();
    throw new VolumeNotReady(`MountVolume.SetUp failed for volume "${volume}" : ${object} not found`);
  }
  if (!items) return data;
  const files: Data = new Map();
  for (const { key, path } of items) {
    const value = data.get(key);
    if (value) files.set(inside(path, volume), value);
    else if (!optional)
      throw new VolumeNotReady(
        `MountVolume.SetUp failed for volume "${volume}" : ${object} references non-existent config key: ${key}`,
      );
  }
  return files;
}

/** The API server refuses such paths already; a bad one must not write outside of the volume even so. */
function inside(path: string, volume: string): string {
  const clean = normalize(path);
  if (isAbsolute(clean) || clean.startsWith('..')) {
    throw new VolumeNotReady(`volume "${volume}": items[].path ${path} leaves the volume; give a relative path without '..'`);
  }
  return clean;
}

async function replaceFiles(path: string, files: Data, mode: number): Promise<void> {
  for (const name of await readdir(path))
    if (![...files.keys()].some((file) => file === name || file.startsWith(`${name}/`)))
      await rm(join(path, name), { recursive: true });
  for (const [name, content] of files) {
    const target = join(path, name);
    if (await hasContent(target, content)) continue;
    await mkdir(dirname(target), { recursive: true });
    // Renamed into place, so that a program never reads half a file.
    const partial = `${target}.partial`;
    await writeFile(partial, content, { mode });
    await rename(partial, target);
  }
}

async function hasContent(path: string, content: Buffer): Promise<boolean> {
  try {
    return content.equals(await readFile(path));
  } catch {
    return false;
  }
}

/**
 * Lays a container's mounts under a directory of its own and tells the program where: `SLUICE_ROOT` stands for `/` of the
 * container, `SLUICE_VOLUME_<NAME>` for one volume (upper case, `-` and `.` as `_`).
 */
export async function mountVolumes(container: Container, directory: string): Promise<Record<string, string>> {
  const root = join(directory, 'roots', container.name);
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  const env: Record<string, string> = { SLUICE_ROOT: root };
  for (const mount of container.volumeMounts ?? []) {
    const source = volumePath(directory, mount.name);
    const link = join(root, mount.mountPath);
    await mkdir(dirname(link), { recursive: true });
    await symlink(mount.subPath ? join(source, mount.subPath) : source, link);
    env[`SLUICE_VOLUME_${mount.name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`] = source;
  }
  return env;
}
