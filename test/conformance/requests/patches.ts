import { DEPLOYMENTS, MAPS, configMap, deployment, get, json, merge, post, put, strategic } from '../build.js';
import type { Scenario } from '../types.js';

const op = (kind: string, path: string, value?: unknown, from?: string): unknown => ({
  op: kind,
  path,
  ...(value === undefined ? {} : { value }),
  ...(from === undefined ? {} : { from }),
});
const env = (name: string, value: string): unknown => ({ name, value });

/** Merge, JSON and strategic merge patches. */
export const patches: Scenario[] = [
  {
    namespace: 'patch-merge',
    steps: [
      post('a ConfigMap is created to be patched', MAPS, configMap('m', { a: '1', b: '2' }, { labels: { x: 'y' } })),
      merge('a merge patch adds, changes and removes keys', `${MAPS}/m`, { data: { a: '9', b: null, c: '3' } }),
      merge('a merge patch changes nothing', `${MAPS}/m`, { data: { a: '9' } }),
      merge('an empty merge patch', `${MAPS}/m`, {}),
      merge('a merge patch takes labels away as a whole', `${MAPS}/m`, { metadata: { labels: null } }),
      merge('a merge patch renames an object', `${MAPS}/m`, { metadata: { name: 'n' } }),
      merge('a merge patch moves an object to another namespace', `${MAPS}/m`, { metadata: { namespace: 'default' } }),
      merge('a merge patch changes the kind', `${MAPS}/m`, { kind: 'Pod' }),
      merge('a merge patch changes the apiVersion', `${MAPS}/m`, { apiVersion: 'v2' }),
      merge('a merge patch that is a list', `${MAPS}/m`, [1]),
      merge('a merge patch that is not JSON', `${MAPS}/m`, '{"data":'),
      merge('a merge patch gives a string where a map belongs', `${MAPS}/m`, { data: 'x' }),
      merge('a merge patch gives a number where a string belongs', `${MAPS}/m`, { data: { a: 1 } }),
      merge('a merge patch changes system fields', `${MAPS}/m`, {
        metadata: { creationTimestamp: '2001-01-01T00:00:00Z', generation: 5, selfLink: '/x' },
      }),
      merge('a merge patch with a field manager', `${MAPS}/m?fieldManager=merger`, { data: { d: '4' } }),
      merge('a merge patch with force, which is for apply', `${MAPS}/m?force=true`, { data: { d: '5' } }),
    ],
  },
  {
    namespace: 'patch-json',
    steps: [
      post(
        'a ConfigMap is created for JSON patches',
        MAPS,
        configMap('j', { a: '1' }, { annotations: { 'b.dev/c': '2' }, finalizers: ['example.com/one', 'example.com/two'] }),
      ),
      json('a JSON patch adds a key', `${MAPS}/j`, [op('add', '/data/z', '26')]),
      json('a JSON patch replaces a key', `${MAPS}/j`, [op('replace', '/data/a', '11')]),
      json('a JSON patch replaces a key that is not there', `${MAPS}/j`, [op('replace', '/data/none', '1')]),
      json('a JSON patch removes a key', `${MAPS}/j`, [op('remove', '/data/z')]),
      json('a JSON patch removes a key that is not there', `${MAPS}/j`, [op('remove', '/data/z')]),
      json('a JSON patch names keys with escapes', `${MAPS}/j`, [op('replace', '/metadata/annotations/b.dev~1c', '22')]),
      json('a JSON patch moves and copies', `${MAPS}/j`, [
        op('copy', '/data/copy', undefined, '/data/a'),
        op('move', '/data/moved', undefined, '/metadata/annotations/b.dev~1c'),
      ]),
      json('a test in a JSON patch holds', `${MAPS}/j`, [op('test', '/data/a', '11'), op('add', '/data/tested', 'yes')]),
      json('a test in a JSON patch fails', `${MAPS}/j`, [op('test', '/data/a', '12'), op('add', '/data/tested', 'no')]),
      json('a test in a JSON patch of what is not there', `${MAPS}/j`, [op('test', '/data/none', '12')]),
      json('a JSON patch adds to the end of a list', `${MAPS}/j`, [op('add', '/metadata/finalizers/-', 'example.com/three')]),
      json('a JSON patch adds into a list', `${MAPS}/j`, [op('add', '/metadata/finalizers/0', 'example.com/zero')]),
      json('a JSON patch adds beyond the end of a list', `${MAPS}/j`, [op('add', '/metadata/finalizers/9', 'example.com/nine')]),
      json('a JSON patch removes from a list', `${MAPS}/j`, [op('remove', '/metadata/finalizers/1')]),
      json('a JSON patch removes beyond the end of a list', `${MAPS}/j`, [op('remove', '/metadata/finalizers/9')]),
      json('a JSON patch adds below what is not there', `${MAPS}/j`, [op('add', '/binaryData/x', 'eA==')]),
      json('a JSON patch with an unknown operation', `${MAPS}/j`, [op('twist', '/data/a', '1')]),
      json('a JSON patch that is an object', `${MAPS}/j`, { op: 'add' }),
      json('a JSON patch that is not JSON', `${MAPS}/j`, '[{'),
      json('an empty JSON patch', `${MAPS}/j`, []),
      json('a JSON patch tests the resourceVersion and fails', `${MAPS}/j`, [op('test', '/metadata/resourceVersion', '1')]),
      json('a JSON patch of a ConfigMap that does not exist', `${MAPS}/none`, [op('add', '/data/a', '1')]),
      json('a JSON patch renames an object', `${MAPS}/j`, [op('replace', '/metadata/name', 'k')]),
      json('a JSON patch takes the finalizers away', `${MAPS}/j`, [op('remove', '/metadata/finalizers')]),
    ],
  },
  {
    namespace: 'patch-strategic',
    steps: [
      post(
        'a Deployment is created for strategic merge patches',
        DEPLOYMENTS,
        deployment('s', {}, { env: [env('A', '1'), env('B', '2')], ports: [{ containerPort: 80, name: 'web' }] }),
      ),
      strategic('a strategic merge patch changes one container by its name', `${DEPLOYMENTS}/s`, {
        spec: { template: { spec: { containers: [{ name: 'app', image: 'reviews:v2' }] } } },
      }),
      strategic('a strategic merge patch adds a container', `${DEPLOYMENTS}/s`, {
        spec: { template: { spec: { containers: [{ name: 'sidecar', image: 'proxy:v1' }] } } },
      }),
      strategic('a strategic merge patch removes a container', `${DEPLOYMENTS}/s`, {
        spec: { template: { spec: { containers: [{ name: 'sidecar', $patch: 'delete' }] } } },
      }),
      strategic('a strategic merge patch merges environment variables', `${DEPLOYMENTS}/s`, {
        spec: { template: { spec: { containers: [{ name: 'app', env: [env('B', '3'), env('C', '4')] }] } } },
      }),
      strategic('a strategic merge patch orders environment variables', `${DEPLOYMENTS}/s`, {
        spec: {
          template: {
            spec: {
              $setElementOrder$containers: [{ name: 'app' }],
              '$setElementOrder/containers': [{ name: 'app' }],
              containers: [
                { name: 'app', '$setElementOrder/env': [{ name: 'C' }, { name: 'B' }, { name: 'A' }], env: [env('C', '5')] },
              ],
            },
          },
        },
      }),
      strategic('a strategic merge patch orders environment variables, as kubectl does', `${DEPLOYMENTS}/s`, {
        spec: {
          template: {
            spec: {
              '$setElementOrder/containers': [{ name: 'app' }],
              containers: [
                { name: 'app', '$setElementOrder/env': [{ name: 'C' }, { name: 'B' }, { name: 'A' }], env: [env('C', '5')] },
              ],
            },
          },
        },
      }),
      strategic('a strategic merge patch replaces a list of environment variables', `${DEPLOYMENTS}/s`, {
        spec: { template: { spec: { containers: [{ name: 'app', env: [{ $patch: 'replace' }, env('Z', '26')] }] } } },
      }),
      strategic('a strategic merge patch leaves out the merge key', `${DEPLOYMENTS}/s`, {
        spec: { template: { spec: { containers: [{ image: 'reviews:v3' }] } } },
      }),
      strategic('a strategic merge patch keeps only the named keys of the strategy', `${DEPLOYMENTS}/s`, {
        spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
      }),
      strategic('a strategic merge patch removes keys with null', `${DEPLOYMENTS}/s`, {
        metadata: { labels: { app: null, tier: 'back' } },
      }),
      strategic('a strategic merge patch replaces a map', `${DEPLOYMENTS}/s`, {
        metadata: { labels: { $patch: 'replace', only: 'this' } },
      }),
      strategic('a strategic merge patch with an unknown directive', `${DEPLOYMENTS}/s`, {
        metadata: { labels: { $patch: 'twist' } },
      }),
      strategic('a strategic merge patch adds finalizers to those that are there', `${DEPLOYMENTS}/s`, {
        metadata: { finalizers: ['example.com/a'] },
      }),
      strategic('a strategic merge patch adds one more finalizer', `${DEPLOYMENTS}/s`, {
        metadata: { finalizers: ['example.com/b'] },
      }),
      strategic('a strategic merge patch takes finalizers from a list', `${DEPLOYMENTS}/s`, {
        metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/a', 'example.com/b'] },
      }),
      strategic('a strategic merge patch merges ports by their number', `${DEPLOYMENTS}/s`, {
        spec: {
          template: {
            spec: { containers: [{ name: 'app', ports: [{ containerPort: 80, name: 'http' }, { containerPort: 81 }] }] },
          },
        },
      }),
      strategic('a strategic merge patch changes nothing', `${DEPLOYMENTS}/s`, { spec: { replicas: 0 } }),
      merge('a merge patch replaces the containers as a whole', `${DEPLOYMENTS}/s`, {
        spec: { template: { spec: { containers: [{ name: 'only', image: 'x:1' }] } } },
      }),
      strategic('a strategic merge patch of a custom object', '/apis/sluice.dev/v1beta1/namespaces/{{ns}}/canaries/none', {
        spec: {},
      }),
      { name: 'a patch of an unknown type', call: `PATCH ${MAPS}/s`, body: {}, type: 'application/other-patch+json' },
      { name: 'a patch sent as plain JSON', call: `PATCH ${MAPS}/s`, body: {}, type: 'application/json' },
      put('a Deployment is replaced by one that leaves defaults out', `${DEPLOYMENTS}/s`, deployment('s')),
      get('what is left after all patches', `${DEPLOYMENTS}/s`),
    ],
  },
];
