import { DEPLOYMENTS, MAPS, configMap, deployment, get, json, merge, post, put, remove } from '../build.js';
import type { Json, Scenario } from '../types.js';

const owned = (name: string, owner: string, uid: string, extra: Json = {}): unknown =>
  configMap(name, undefined, { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid, ...extra }] });
const NOT_FOUND = { until: { status: 404 } };

/** Finalizers, garbage collection, dry runs and namespaces. */
export const lifecycle: Scenario[] = [
  {
    namespace: 'life-finalizers',
    steps: [
      post('an object with a finalizer is created', MAPS, configMap('f', { a: '1' }, { finalizers: ['example.com/hold'] })),
      remove('an object with a finalizer is deleted', `${MAPS}/f`),
      get('an object that waits for its finalizer is read', `${MAPS}/f`),
      remove('an object that waits for its finalizer is deleted again', `${MAPS}/f`),
      merge('an object that waits for its finalizer is changed', `${MAPS}/f`, { data: { a: '2' } }),
      merge('a finalizer is added to an object that is being deleted', `${MAPS}/f`, {
        metadata: { finalizers: ['example.com/hold', 'example.com/more'] },
      }),
      post('an object is created under the name of one that is being deleted', MAPS, configMap('f')),
      merge('the deletion is taken back', `${MAPS}/f`, { metadata: { deletionTimestamp: null } }),
      merge('the last finalizer is taken away', `${MAPS}/f`, { metadata: { finalizers: null } }),
      get('an object without finalizers is gone', `${MAPS}/f`),
      post('an object with a bad finalizer', MAPS, configMap('g', {}, { finalizers: ['no good!'] })),
      post('an object with a finalizer without a domain', MAPS, configMap('g', {}, { finalizers: ['hold'] })),
      post('a Deployment with a finalizer is created', DEPLOYMENTS, {
        ...deployment('d'),
        metadata: { name: 'd', finalizers: ['example.com/hold'] },
      }),
      remove('a Deployment with a finalizer is deleted in the background', `${DEPLOYMENTS}/d?propagationPolicy=Background`),
      json('the finalizer of a Deployment is tested and removed', `${DEPLOYMENTS}/d`, [
        { op: 'test', path: '/metadata/finalizers/0', value: 'example.com/hold' },
        { op: 'remove', path: '/metadata/finalizers/0' },
      ]),
      get('the Deployment is gone', `${DEPLOYMENTS}/d`),
      remove('an unknown propagation policy', `${MAPS}/f?propagationPolicy=Sideways`),
      remove('a deletion with an unknown field', `${MAPS}/f`, { kind: 'DeleteOptions', apiVersion: 'v1', colour: 'blue' }),
      remove('a deletion with options that do not parse', `${MAPS}/f`, '{'),
      remove('a deletion with a negative grace period', `${MAPS}/f`, { gracePeriodSeconds: -5 }),
    ],
  },
  {
    namespace: 'life-collect',
    steps: [
      post('an owner is created', MAPS, configMap('owner'), { save: { owner: 'metadata.uid' } }),
      post('a dependent is created', MAPS, owned('child', 'owner', '{{owner}}', { controller: true, blockOwnerDeletion: true })),
      post('a dependent of a dependent is created', MAPS, owned('other', 'owner', '{{owner}}')),
      remove('an owner is deleted in the background', `${MAPS}/owner?propagationPolicy=Background`),
      get('the owner is gone at once', `${MAPS}/owner`),
      get('the dependent is collected', `${MAPS}/child`, NOT_FOUND),
      get('the other dependent is collected', `${MAPS}/other`, NOT_FOUND),
      post('an owner for a foreground deletion is created', MAPS, configMap('front'), { save: { front: 'metadata.uid' } }),
      post(
        'a dependent that blocks is created',
        MAPS,
        configMap('blocker', undefined, {
          finalizers: ['example.com/hold'],
          ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'front', uid: '{{front}}', blockOwnerDeletion: true }],
        }),
      ),
      remove('an owner is deleted in the foreground', `${MAPS}/front`, { propagationPolicy: 'Foreground' }),
      get('the dependent is being deleted first', `${MAPS}/blocker`, { until: { path: 'metadata.deletionTimestamp' } }),
      get('the owner waits for its dependent', `${MAPS}/front`),
      merge('the dependent that blocks lets go', `${MAPS}/blocker`, { metadata: { finalizers: null } }),
      get('the dependent that blocked is gone', `${MAPS}/blocker`, NOT_FOUND),
      get('the owner that waited is gone', `${MAPS}/front`, NOT_FOUND),
      post('an owner for an orphaning deletion is created', MAPS, configMap('parent'), { save: { parent: 'metadata.uid' } }),
      post('a dependent to be orphaned is created', MAPS, owned('orphan', 'parent', '{{parent}}')),
      remove('an owner is deleted and its dependents orphaned', `${MAPS}/parent?propagationPolicy=Orphan`),
      get('the orphaning owner is gone', `${MAPS}/parent`, NOT_FOUND),
      get('the orphan has no owner', `${MAPS}/orphan`, { until: { path: 'metadata.ownerReferences', absent: true } }),
      post(
        'an object whose owner does not exist is created',
        MAPS,
        owned('lost', 'nobody', '00000000-0000-4000-8000-000000000001'),
      ),
      get('an object whose owner does not exist is collected', `${MAPS}/lost`, NOT_FOUND),
      post('one owner that stays is created', MAPS, configMap('stays'), { save: { stays: 'metadata.uid' } }),
      post('one owner that goes is created', MAPS, configMap('goes'), { save: { goes: 'metadata.uid' } }),
      post(
        'an object with two owners is created',
        MAPS,
        configMap('both', undefined, {
          ownerReferences: [
            { apiVersion: 'v1', kind: 'ConfigMap', name: 'stays', uid: '{{stays}}' },
            { apiVersion: 'v1', kind: 'ConfigMap', name: 'goes', uid: '{{goes}}' },
          ],
        }),
      ),
      remove('one of two owners is deleted', `${MAPS}/goes`),
      get('the other owner keeps the object', `${MAPS}/both`, { until: { path: 'metadata.ownerReferences.1', absent: true } }),
      post('an owner reference without a uid', MAPS, owned('bad', 'x', '')),
      post(
        'two owners that both control',
        MAPS,
        configMap('bad', undefined, {
          ownerReferences: ['a', 'b'].map((name) => ({
            apiVersion: 'v1',
            kind: 'ConfigMap',
            name,
            uid: `uid-${name}`,
            controller: true,
          })),
        }),
      ),
      post(
        'an owner of a kind that may own nothing',
        MAPS,
        configMap('bad', undefined, { ownerReferences: [{ apiVersion: 'v1', kind: 'Event', name: 'x', uid: 'y' }] }),
      ),
      post('a Deployment and what it owns: the owner', DEPLOYMENTS, deployment('web'), { save: { web: 'metadata.uid' } }),
      post(
        'a Deployment and what it owns: the owned',
        MAPS,
        configMap('web-settings', undefined, {
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: '{{web}}' }],
        }),
      ),
      remove('a Deployment is deleted without saying how', `${DEPLOYMENTS}/web`),
      get('what the Deployment owned is collected', `${MAPS}/web-settings`, NOT_FOUND),
    ],
  },
  {
    namespace: 'life-dry-run',
    steps: [
      post('a creation is tried', `${MAPS}?dryRun=All`, configMap('t', { a: '1' })),
      get('what was tried was not stored', `${MAPS}/t`),
      post('a creation with a generated name is tried', `${MAPS}?dryRun=All`, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { generateName: 't-' },
      }),
      post('a creation is done', MAPS, configMap('t', { a: '1' }), { save: { rv: 'metadata.resourceVersion' } }),
      merge('a patch is tried', `${MAPS}/t?dryRun=All`, { data: { a: '2' } }),
      put('a PUT is tried', `${MAPS}/t?dryRun=All`, configMap('t', { a: '3' })),
      put('a PUT from an old version is tried', `${MAPS}/t?dryRun=All`, configMap('t', { a: '3' }, { resourceVersion: '1' })),
      post('a creation of what is there is tried', `${MAPS}?dryRun=All`, configMap('t')),
      remove('a deletion is tried', `${MAPS}/t?dryRun=All`),
      remove('a deletion is tried by its body', `${MAPS}/t`, { dryRun: ['All'] }),
      get('nothing of what was tried happened', `${MAPS}/t`),
      post('a dry run of an unknown kind', `${MAPS}?dryRun=Some`, configMap('u')),
      merge('a dry run of a patch that is refused', `${MAPS}/t?dryRun=All`, { metadata: { labels: { 'a b': 'c' } } }),
    ],
  },
  {
    namespace: 'life-namespaces',
    steps: [
      post('a namespace is created', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'life-of-one', labels: { a: 'b' } },
      }),
      get('a namespace gets its service account', '/api/v1/namespaces/life-of-one/serviceaccounts/default', {
        until: { status: 200 },
        view: (body) => body['kind'],
      }),
      post('a namespace has a bad name', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'a.b' },
      }),
      merge('the label with the name of a namespace is taken away', '/api/v1/namespaces/life-of-one', {
        metadata: { labels: null },
      }),
      post(
        'an object that holds the namespace',
        '/api/v1/namespaces/life-of-one/configmaps',
        configMap('holder', {}, { finalizers: ['example.com/hold'] }),
      ),
      post('an object that does not hold the namespace', '/api/v1/namespaces/life-of-one/configmaps', configMap('free', {})),
      remove('a namespace is deleted', '/api/v1/namespaces/life-of-one'),
      get('the content that is free goes', '/api/v1/namespaces/life-of-one/configmaps/free', NOT_FOUND),
      get('the content that holds is being deleted', '/api/v1/namespaces/life-of-one/configmaps/holder', {
        until: { path: 'metadata.deletionTimestamp' },
      }),
      get('the namespace is terminating', '/api/v1/namespaces/life-of-one', {
        view: (body) => [body['spec'], (body['status'] as Json)['phase']],
      }),
      post(
        'an object is created in a namespace that is terminating',
        '/api/v1/namespaces/life-of-one/configmaps',
        configMap('late'),
      ),
      merge('an object is changed in a namespace that is terminating', '/api/v1/namespaces/life-of-one/configmaps/holder', {
        data: { a: 'b' },
      }),
      remove('a namespace that is terminating is deleted again', '/api/v1/namespaces/life-of-one', undefined, {
        view: (body) => [body['kind'], (body['status'] as Json)['phase']],
      }),
      merge('the object that held lets go', '/api/v1/namespaces/life-of-one/configmaps/holder', {
        metadata: { finalizers: null },
      }),
      get('the namespace is gone', '/api/v1/namespaces/life-of-one', NOT_FOUND),
      remove('the default namespace is deleted', '/api/v1/namespaces/default'),
      get(
        'the default namespace is selected by its label',
        '/api/v1/namespaces?labelSelector=kubernetes.io%2Fmetadata.name%3Ddefault',
        { view: (body) => (body['items'] as Json[]).length },
      ),
      get('the ConfigMaps of a namespace that does not exist are listed', '/api/v1/namespaces/nowhere-at-all/configmaps'),
      remove('a collection of namespaces is deleted', '/api/v1/namespaces?labelSelector=none%3Dsuch'),
      get('the status of a namespace is read', '/api/v1/namespaces/{{ns}}/status', { view: (body) => body['status'] }),
    ],
  },
];
