import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findKustomize } from '../../src/git/kustomize.js';
import { configMap, deployment, World } from './world.js';

let world: World;
beforeEach(async () => {
  world = await World.create();
});
afterEach(() => world.destroy());

const base = { 'base/kustomization.yaml': 'resources: [app.yaml]\n', 'base/app.yaml': deployment('reviews', 'reviews:1') };
const refusal = async (files: Parameters<World['commit']>[0]): Promise<string> => {
  await world.commit(files);
  world.source();
  await world.start();
  return world.reason('InvalidManifest');
};

describe.skipIf(!findKustomize())('a kustomization', () => {
  it('is built with its bases outside of spec.path, by the real program', async () => {
    const sha = await world.commit({
      ...base,
      'deploy/kustomization.yaml': 'resources: [../base]\nnamePrefix: prod-\nimages:\n  - name: reviews\n    newTag: "2"\nconfigMapGenerator:\n  - name: greeting\n    literals: [url=https://shop.example/]\n',
    });
    world.source();
    await world.start();
    await world.applied(sha);
    const live = world.cluster.get('Deployment', 'prod-reviews') as { spec?: { template: { spec: { containers: { image: string }[] } } } } | undefined;
    expect(live?.spec?.template.spec.containers[0]?.image).toBe('reviews:2');
    expect([...world.cluster.objects.keys()].filter((key) => key.startsWith('ConfigMap/shop/prod-greeting-'))).toHaveLength(1);
  });

  it('prunes a generated ConfigMap when its content, and so its name, changes', async () => {
    const kustomization = (value: string): string => `configMapGenerator:\n  - name: greeting\n    literals: [a=${value}]\n`;
    const first = await world.commit({ 'deploy/kustomization.yaml': kustomization('1') });
    world.source();
    await world.start();
    await world.applied(first);
    await world.applied(await world.commit({ 'deploy/kustomization.yaml': kustomization('2') }));
    expect([...world.cluster.objects.keys()].filter((key) => key.startsWith('ConfigMap/'))).toHaveLength(1);
  });

  it('tells each of the commits that changed its bases', async () => {
    const first = await world.commit({ ...base, 'deploy/kustomization.yaml': 'resources: [../base]\n' });
    world.source({ interval: '1h' });
    await world.start();
    await world.applied(first);
    const second = await world.commit({ 'base/app.yaml': deployment('reviews', 'reviews:2') });
    const third = await world.commit({ 'base/app.yaml': deployment('reviews', 'reviews:3') });
    world.source({ interval: '2h' });
    await world.applied(third);
    expect(world.cluster.get('Deployment', 'reviews')?.metadata.annotations).toMatchObject({ 'sluice.dev/commit': third, 'sluice.dev/commits': second });
  });

  it('whose bases lead back to themselves is refused, with the way around', async () => {
    const message = await refusal({ 'deploy/kustomization.yaml': 'resources: [../a]\n', 'a/kustomization.yaml': 'resources: [../b]\n', 'b/kustomization.yaml': 'resources: [../a]\n' });
    expect(message).toContain('a → b → a');
  });

  it.each([
    ['a remote base', 'resources: ["https://github.com/shop/base//deploy?ref=v1"]\n'],
    ['a remote base over ssh', 'resources: ["git@github.com:shop/base"]\n'],
    ['a remote base without a scheme', 'resources: ["github.com/shop/base"]\n'],
    ['a remote patch', 'resources: []\npatches:\n  - path: http://169.254.169.254/latest/meta-data\n'],
    ['a remote file of a generator', 'configMapGenerator:\n  - name: x\n    files: ["key=https://evil.example/x"]\n'],
  ])('with %s is refused: nothing remote is fetched', async (_, text) => {
    expect(await refusal({ 'deploy/kustomization.yaml': text })).toMatch(/nothing remote is fetched|neither a file nor a folder/);
  });

  it('that leads out of the repository is refused', async () => {
    expect(await refusal({ 'deploy/kustomization.yaml': 'resources: [../../../etc]\n' })).toContain('leads out of the repository');
  });

  it.each([
    ['a file', 'resources: [link]\n', '/etc/passwd'],
    ['a folder', 'resources: [link]\n', '../../..'],
    ['a file of a generator', 'configMapGenerator:\n  - name: x\n    files: [link]\n', '/etc/hostname'],
    ['a file below a linked folder', 'configMapGenerator:\n  - name: x\n    files: [link/hostname]\n', '/etc'],
  ])('follows no link to %s', async (_, text, link) => {
    expect(await refusal({ 'deploy/kustomization.yaml': text, 'deploy/link': { link } })).toMatch(/links are never followed|no such file/);
    expect([...world.cluster.objects.keys()].filter((key) => key.startsWith('ConfigMap/'))).toEqual([]);
  });

  it('that names what is not there is refused', async () => {
    expect(await refusal({ 'deploy/kustomization.yaml': 'resources: [missing.yaml]\n' })).toContain('missing.yaml is neither a file nor a folder');
  });

  it("that kustomize cannot build is refused in kustomize's words, without paths of this machine", async () => {
    const message = await refusal({ 'deploy/kustomization.yaml': 'resources: [a.yaml]\npatches:\n  - path: patch.yaml\n', 'deploy/a.yaml': configMap('a'), 'deploy/patch.yaml': configMap('other') });
    expect(message).toContain('no matches for');
    expect(message).not.toContain('/tmp');
  });

  it('below a folder without one is refused by its name', async () => {
    expect(await refusal({ 'deploy/sub/kustomization.yaml': 'resources: []\n' })).toContain('deploy/sub/kustomization.yaml');
  });
});

describe('where there is no program', () => {
  it('neither kustomize nor kubectl is found, and a chosen one comes first', () => {
    expect(findKustomize({ PATH: '/nonexistent' })).toBeUndefined();
    expect(findKustomize({ PATH: '', SLUICE_KUSTOMIZE: '/opt/kubectl' })).toEqual({ program: '/opt/kubectl', args: ['kustomize'] });
    expect(findKustomize({ PATH: '', SLUICE_KUSTOMIZE: '/opt/kustomize' })).toEqual({ program: '/opt/kustomize', args: ['build'] });
  });
});
