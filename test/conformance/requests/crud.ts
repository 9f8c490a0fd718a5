import { CORE, MAPS, configMap, get, merge, post, put, remove } from '../build.js';
import type { Scenario } from '../types.js';

/** Create, read, update, delete; conflicts and preconditions. */
export const crud: Scenario[] = [
  {
    namespace: 'crud-basics',
    steps: [
      post(
        'a ConfigMap is created',
        MAPS,
        configMap('settings', { colour: 'blue' }, { labels: { app: 'reviews' }, annotations: { note: 'first' } }),
        { save: { rv: 'metadata.resourceVersion', uid: 'metadata.uid' } },
      ),
      post('the same ConfigMap is created again', MAPS, configMap('settings', { colour: 'green' })),
      get('a ConfigMap is read', `${MAPS}/settings`),
      get('a ConfigMap that does not exist is read', `${MAPS}/missing`),
      get('the ConfigMaps of a namespace are listed', MAPS),
      put('a ConfigMap is replaced without a resourceVersion', `${MAPS}/settings`, configMap('settings', { colour: 'red' })),
      put('a ConfigMap is replaced by what it is already', `${MAPS}/settings`, configMap('settings', { colour: 'red' })),
      put(
        'a ConfigMap is replaced from an old resourceVersion',
        `${MAPS}/settings`,
        configMap('settings', { colour: 'pink' }, { resourceVersion: '{{rv}}' }),
      ),
      put(
        'a ConfigMap is replaced with the uid of another',
        `${MAPS}/settings`,
        configMap('settings', {}, { uid: '00000000-0000-4000-8000-000000000000' }),
      ),
      put('a ConfigMap is replaced under another name than the one of the path', `${MAPS}/settings`, configMap('other')),
      put(
        'a ConfigMap is replaced into another namespace than the one of the path',
        `${MAPS}/settings`,
        configMap('settings', {}, { namespace: 'default' }),
      ),
      put('a ConfigMap that does not exist is replaced', `${MAPS}/missing`, configMap('missing')),
      put(
        'a ConfigMap is replaced from a resourceVersion that is no number',
        `${MAPS}/settings`,
        configMap('settings', {}, { resourceVersion: 'latest' }),
      ),
      merge('a patch names an old resourceVersion', `${MAPS}/settings`, {
        metadata: { resourceVersion: '{{rv}}' },
        data: { size: 'small' },
      }),
      merge('a patch names the uid of another object', `${MAPS}/settings`, {
        metadata: { uid: '00000000-0000-4000-8000-000000000000' },
      }),
      merge('a ConfigMap that does not exist is patched', `${MAPS}/missing`, { data: { size: 'small' } }),
      remove('a ConfigMap is deleted with the uid of another as precondition', `${MAPS}/settings`, {
        preconditions: { uid: '00000000-0000-4000-8000-000000000000' },
      }),
      remove('a ConfigMap is deleted with an old resourceVersion as precondition', `${MAPS}/settings`, {
        preconditions: { resourceVersion: '{{rv}}' },
      }),
      remove('a ConfigMap is deleted with its uid as precondition', `${MAPS}/settings`, {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid: '{{uid}}' },
      }),
      get('a ConfigMap that was deleted is read', `${MAPS}/settings`),
      remove('a ConfigMap that does not exist is deleted', `${MAPS}/settings`),
      get('an empty list is read', `${MAPS}?labelSelector=app%3Dreviews`),
    ],
  },
  {
    namespace: 'crud-create',
    steps: [
      post('an object is created with a resourceVersion', MAPS, configMap('early', {}, { resourceVersion: '1' })),
      post(
        'what a creator says of system fields is overruled',
        MAPS,
        configMap(
          'lies',
          {},
          {
            uid: '00000000-0000-4000-8000-000000000000',
            creationTimestamp: '2001-01-01T00:00:00Z',
            generation: 7,
            selfLink: '/x',
            deletionTimestamp: '2001-01-01T00:00:00Z',
            deletionGracePeriodSeconds: 3,
          },
        ),
      ),
      post(
        'an object is created in a namespace that does not exist',
        '/api/v1/namespaces/nowhere-to-be-found/configmaps',
        configMap('lost'),
      ),
      post(
        'an object is created in another namespace than the one of the path',
        MAPS,
        configMap('elsewhere', {}, { namespace: 'default' }),
      ),
      post('an object is created without a name', MAPS, { apiVersion: 'v1', kind: 'ConfigMap' }),
      post('an object is created with neither kind nor apiVersion', MAPS, { metadata: { name: 'bare' } }),
      post('an object of another kind is sent', MAPS, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'secret' } }),
      post('an object of another version is sent', MAPS, { apiVersion: 'v2', kind: 'ConfigMap', metadata: { name: 'secret' } }),
      post('an object of another group is sent', MAPS, {
        apiVersion: 'apps/v1',
        kind: 'ConfigMap',
        metadata: { name: 'secret' },
      }),
      post(
        'a name is generated',
        MAPS,
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'run-' } },
        { save: { generated: 'metadata.name' } },
      ),
      get('an object is read by its generated name', `${MAPS}/{{generated}}`),
      post('a name wins over generateName', MAPS, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'chosen', generateName: 'run-' },
      }),
      post('generateName is not a valid beginning of a name', MAPS, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { generateName: 'Run_' },
      }),
      post('an object is created at the path of a single object', `${MAPS}/chosen`, configMap('chosen')),
      put('all objects of a namespace are replaced at once', MAPS, configMap('chosen')),
      post('a field manager is named', `${MAPS}?fieldManager=painter`, configMap('painted', { colour: 'blue' })),
      post('a field manager is too long', `${MAPS}?fieldManager=${'x'.repeat(129)}`, configMap('painted', { colour: 'blue' })),
      post('a field manager is not printable', `${MAPS}?fieldManager=a%0Ab`, configMap('painted', { colour: 'blue' })),
      post('the program is the field manager of a write that names none', MAPS, configMap('by-program', { colour: 'blue' }), {
        agent: 'brush/2.1 (linux/amd64) kubernetes/abc',
      }),
      put('another program changes one field', `${MAPS}/by-program`, configMap('by-program', { colour: 'red', size: 'big' }), {
        agent: 'roller/1',
      }),
    ],
  },
  {
    namespace: 'crud-secrets',
    steps: [
      post('a Secret is created from plain text', `${CORE}/secrets`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'plain' },
        stringData: { user: 'me' },
      }),
      post('a Secret is created from base64', `${CORE}/secrets`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'coded' },
        type: 'example.com/kind',
        data: { user: 'bWU=' },
      }),
      post('a Secret is created from what is not base64', `${CORE}/secrets`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'broken' },
        data: { user: 'm!' },
      }),
      merge('the type of a Secret is changed', `${CORE}/secrets/plain`, { type: 'example.com/other' }),
      merge('a Secret becomes immutable', `${CORE}/secrets/plain`, { immutable: true }),
      merge('the data of an immutable Secret is changed', `${CORE}/secrets/plain`, { data: { user: 'eW91' } }),
      merge('an immutable Secret is made mutable', `${CORE}/secrets/plain`, { immutable: null }),
      get('Secrets are selected by type', `${CORE}/secrets?fieldSelector=type%3Dexample.com%2Fkind`),
      post('an immutable ConfigMap is created', MAPS, { ...configMap('frozen', { a: '1' }), immutable: true }),
      merge('the data of an immutable ConfigMap is changed', `${MAPS}/frozen`, { data: { a: '2' } }),
      merge('the labels of an immutable ConfigMap are changed', `${MAPS}/frozen`, { metadata: { labels: { a: 'b' } } }),
    ],
  },
];
