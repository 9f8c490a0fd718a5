import { DEPLOYMENTS, MAPS, apply, configMap, deployment, get, merge, post, put, remove, strategic } from '../build.js';
import type { Scenario } from '../types.js';

const map = (data: Record<string, unknown>, metadata: Record<string, unknown> = {}): unknown => configMap('a', data, metadata);

/** Server-side apply: managers, conflicts, force. */
export const applies: Scenario[] = [
  {
    namespace: 'apply-maps',
    steps: [
      apply('apply creates what is not there', `${MAPS}/a`, map({ x: '1', y: '2' }, { labels: { l: '1' } }), 'one'),
      apply('the same apply again changes nothing', `${MAPS}/a`, map({ x: '1', y: '2' }, { labels: { l: '1' } }), 'one'),
      apply('a second manager applies another field', `${MAPS}/a`, map({ z: '3' }), 'two'),
      apply('a second manager shares a field by the same value', `${MAPS}/a`, map({ z: '3', x: '1' }), 'two'),
      apply('a second manager wants another value: a conflict', `${MAPS}/a`, map({ z: '3', x: '9' }), 'two'),
      apply('a second manager wants two other values: two conflicts', `${MAPS}/a`, map({ x: '9', y: '9' }), 'two'),
      apply('a second manager forces another value', `${MAPS}/a`, map({ z: '3', x: '9' }), 'two', '&force=true'),
      apply('the first manager lets go of a field that another has', `${MAPS}/a`, map({ y: '2' }), 'one'),
      apply('a manager lets go of a field that nobody else has', `${MAPS}/a`, map({ x: '9' }), 'two'),
      merge('a patch takes a field from an applier', `${MAPS}/a?fieldManager=patcher`, { data: { x: '10' } }),
      apply('an applier meets a patcher: a conflict', `${MAPS}/a`, map({ x: '9' }), 'two'),
      apply('an applier comes to what the patcher wrote', `${MAPS}/a`, map({ x: '10' }), 'two'),
      apply('two conflicts with two managers', `${MAPS}/a`, map({ x: '11', y: '11' }), 'three'),
      apply('an apply without a field manager', `${MAPS}/a`, map({ x: '9' }), ''),
      apply(
        'an apply that brings managedFields',
        `${MAPS}/a`,
        map(
          { x: '9' },
          { managedFields: [{ manager: 'x', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: {} }] },
        ),
        'two',
      ),
      apply('an apply with an old resourceVersion', `${MAPS}/a`, map({ x: '10' }, { resourceVersion: '1' }), 'two'),
      apply('an apply under another name than the one of the path', `${MAPS}/b`, map({ x: '10' }), 'two'),
      apply('an apply without a name in the body', `${MAPS}/b`, { apiVersion: 'v1', kind: 'ConfigMap', data: { q: '1' } }, 'two'),
      apply('an apply without kind and apiVersion', `${MAPS}/b`, { metadata: { name: 'b' } }, 'two'),
      apply('an apply of another kind', `${MAPS}/b`, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'b' } }, 'two'),
      apply(
        'an apply whose name YAML reads as a boolean',
        `${MAPS}/y`,
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\n',
        'yaml',
      ),
      apply(
        'an apply written in YAML',
        `${MAPS}/ya`,
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ya\ndata:\n  "on": "yes"\n',
        'yaml',
      ),
      apply('an apply that is not YAML', `${MAPS}/y`, 'apiVersion: [', 'yaml'),
      put('a PUT takes all fields over', `${MAPS}/a?fieldManager=writer`, map({ w: '1' })),
      apply('an applier finds its field removed by a PUT and sets it again', `${MAPS}/a`, map({ x: '10' }), 'two'),
      apply('a manager lets go of everything', `${MAPS}/a`, configMap('a'), 'two'),
      merge('managedFields are reset', `${MAPS}/a`, { metadata: { managedFields: [{}] } }),
      apply('an apply to an object that nobody owns', `${MAPS}/a`, map({ w: '2' }), 'four'),
      merge('managedFields are emptied', `${MAPS}/a`, { metadata: { managedFields: [] } }),
      remove('an applied object is deleted', `${MAPS}/a`),
    ],
  },
  {
    namespace: 'apply-lists',
    steps: [
      apply(
        'a Deployment is applied',
        `${DEPLOYMENTS}/d`,
        deployment('d', {}, { env: [{ name: 'A', value: '1' }], ports: [{ containerPort: 80 }] }),
        'one',
      ),
      apply(
        'a second manager applies a container of its own',
        `${DEPLOYMENTS}/d`,
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'd' },
          spec: { template: { spec: { containers: [{ name: 'extra', image: 'extra:1' }] } } },
        },
        'two',
      ),
      apply(
        'a second manager applies a variable into the first one’s container',
        `${DEPLOYMENTS}/d`,
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'd' },
          spec: { template: { spec: { containers: [{ name: 'app', env: [{ name: 'B', value: '2' }] }] } } },
        },
        'two',
      ),
      apply(
        'a second manager wants another image: a conflict with a path',
        `${DEPLOYMENTS}/d`,
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'd' },
          spec: { template: { spec: { containers: [{ name: 'app', image: 'reviews:v9' }] } } },
        },
        'two',
      ),
      apply(
        'a second manager wants another port name by key',
        `${DEPLOYMENTS}/d`,
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'd' },
          spec: {
            template: { spec: { containers: [{ name: 'app', ports: [{ containerPort: 80, protocol: 'TCP', name: 'web' }] }] } },
          },
        },
        'two',
      ),
      apply(
        'an atomic selector is applied differently: a conflict',
        `${DEPLOYMENTS}/d`,
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'd' },
          spec: { selector: { matchLabels: { app: 'd', more: 'x' } } },
        },
        'two',
      ),
      apply(
        'the first manager removes a variable',
        `${DEPLOYMENTS}/d`,
        deployment('d', {}, { ports: [{ containerPort: 80 }] }),
        'one',
      ),
      apply(
        'a list with a key twice is applied',
        `${DEPLOYMENTS}/d`,
        deployment(
          'd',
          {},
          {
            env: [
              { name: 'A', value: '1' },
              { name: 'A', value: '2' },
            ],
          },
        ),
        'one',
      ),
      apply(
        'status is applied to the main endpoint',
        `${DEPLOYMENTS}/d`,
        { ...deployment('d', {}, { ports: [{ containerPort: 80 }] }), status: { replicas: 3 } },
        'one',
        '&dryRun=All',
      ),
      apply(
        'an unknown field is applied',
        `${DEPLOYMENTS}/d`,
        { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { colour: 'blue' } },
        'two',
      ),
      apply(
        'a field of the wrong type is applied',
        `${DEPLOYMENTS}/d`,
        { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { replicas: 'many' } },
        'two',
      ),
      get('the Deployment after all applies', `${DEPLOYMENTS}/d`),
      ...[
        [
          'an apply turns the order of variables round',
          [
            ['C', '1'],
            ['A', '1'],
          ],
        ],
        [
          'an apply puts a variable between others',
          [
            ['C', '1'],
            ['B', '1'],
            ['A', '1'],
          ],
        ],
        [
          'an apply puts a variable before others and leaves one out',
          [
            ['D', '1'],
            ['A', '2'],
          ],
        ],
      ].map(([name, env]) =>
        apply(
          String(name),
          `${DEPLOYMENTS}/o`,
          deployment('o', {}, { env: (env as string[][]).map(([key, value]) => ({ name: key, value })) }),
          'one',
        ),
      ),
      strategic('somebody else adds a variable', `${DEPLOYMENTS}/o`, {
        spec: { template: { spec: { containers: [{ name: 'app', env: [{ name: 'X', value: '1' }] }] } } },
      }),
      apply(
        'an apply orders its variables around another’s',
        `${DEPLOYMENTS}/o`,
        deployment(
          'o',
          {},
          {
            env: [
              { name: 'A', value: '2' },
              { name: 'E', value: '1' },
              { name: 'D', value: '1' },
            ],
          },
        ),
        'one',
      ),
      post('a ConfigMap is created by hand', MAPS, configMap('h', { a: '1' })),
      apply('an apply to what was created by hand, same value', `${MAPS}/h`, configMap('h', { a: '1' }), 'one'),
      apply('an apply to what was created by hand, other value', `${MAPS}/h`, configMap('h', { a: '2' }), 'one'),
      apply('an apply of finalizers, a set', `${MAPS}/h`, configMap('h', undefined, { finalizers: ['example.com/a'] }), 'one'),
      apply(
        'another apply of finalizers joins the set',
        `${MAPS}/h`,
        configMap('h', undefined, { finalizers: ['example.com/b'] }),
        'two',
      ),
      apply('the first set of finalizers is given up', `${MAPS}/h`, configMap('h'), 'one'),
      apply('apply as a dry run', `${MAPS}/h`, configMap('h', { z: '1' }), 'two', '&dryRun=All'),
      get('a dry run of apply stored nothing', `${MAPS}/h`),
    ],
  },
];
