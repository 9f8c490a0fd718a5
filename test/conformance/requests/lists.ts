import { DEPLOYMENTS, MAPS, PARTIAL, PARTIAL_LIST, TABLE, configMap, deployment, get, merge, post, remove } from '../build.js';
import type { Json, Scenario } from '../types.js';
import { WIDGETS, widget } from '../widgets.js';

const names = (body: Json): unknown =>
  Array.isArray(body['items']) ? (body['items'] as { metadata: { name: string } }[]).map((item) => item.metadata.name) : body;
const select = (name: string, selector: string): ReturnType<typeof get> =>
  get(name, `${MAPS}?labelSelector=${encodeURIComponent(selector)}`, { view: names });
const field = (name: string, selector: string): ReturnType<typeof get> =>
  get(name, `${MAPS}?fieldSelector=${encodeURIComponent(selector)}`, { view: names });

/** Selectors, pages, tables, deletion of collections. */
export const lists: Scenario[] = [
  {
    namespace: 'list-selectors',
    steps: [
      post('the first of three to be selected', MAPS, configMap('one', {}, { labels: { app: 'a', tier: 'front', n: '1' } })),
      post('the second of three to be selected', MAPS, configMap('two', {}, { labels: { app: 'b', tier: 'front', n: '20' } })),
      post('the third of three to be selected', MAPS, configMap('three', {}, { labels: { app: 'c' } })),
      select('a label equals', 'app=a'),
      select('a label equals, written twice', 'app==a'),
      select('a label differs', 'app!=a'),
      select('a label is one of', 'app in (a, b)'),
      select('a label is none of', 'app notin (a,b)'),
      select('a label is there', 'tier'),
      select('a label is not there', '!tier'),
      select('two requirements', 'tier=front,app!=a'),
      select('a label is greater', 'n>5'),
      select('a label is less', 'n<5'),
      select('a label selector with an empty value', 'app='),
      select('a label selector with spaces', '  app  =  a  '),
      select('a label selector with a bad value', 'app=a b'),
      select('a label selector with a bad key', 'a!b=c'),
      select('a label selector with an open parenthesis', 'app in (a'),
      select('a label selector with an unknown operator', 'app is a'),
      select('a label selector compares with a word', 'n>five'),
      select('a label selector that is a comma', ','),
      field('a field equals', 'metadata.name=one'),
      field('a field differs', 'metadata.name!=one'),
      field('two fields', 'metadata.name!=one,metadata.namespace=list-selectors'),
      field('a field that is not supported', 'data.a=1'),
      field('a field selector that does not parse', 'metadata.name'),
      get(
        'objects are selected across namespaces',
        `/api/v1/configmaps?labelSelector=tier%3Dfront&fieldSelector=metadata.namespace%3Dlist-selectors`,
        { view: names },
      ),
    ],
  },
  {
    namespace: 'list-pages',
    steps: [
      ...['a', 'b', 'c', 'd', 'e'].map((name) =>
        post(`${name} of five to be paged`, MAPS, configMap(name, {}, { labels: { page: 'yes' } })),
      ),
      get('the first page', `${MAPS}?limit=2`, { save: { next: 'metadata.continue' } }),
      get('the second page', `${MAPS}?limit=2&continue={{next}}`, { save: { last: 'metadata.continue' } }),
      get('the last page', `${MAPS}?limit=2&continue={{last}}`),
      get('a first page of a selection says nothing of what remains', `${MAPS}?limit=2&labelSelector=page%3Dyes`),
      get('a page that holds everything', `${MAPS}?limit=5`, { view: (body) => ({ metadata: body['metadata'] }) }),
      get('a continue token that is nonsense', `${MAPS}?limit=2&continue=nonsense`),
      get('a continue token with a resourceVersion', `${MAPS}?limit=2&continue={{next}}&resourceVersion=5`),
      get('a limit that is no number', `${MAPS}?limit=few`),
      get('a limit below zero', `${MAPS}?limit=-1`, { view: names }),
      remove('an object of a later page is deleted', `${MAPS}/c`),
      get('the second page still shows what was there at the first', `${MAPS}?limit=2&continue={{next}}`, { view: names }),
      get('a page as a table', `${MAPS}?limit=1`, { accept: TABLE }),
      get('a page of metadata', `${MAPS}?limit=1`, { accept: PARTIAL_LIST }),
      remove('a collection is deleted by label, as a dry run', `${MAPS}?labelSelector=page%3Dyes&dryRun=All`, undefined, {
        view: names,
      }),
      remove('a collection is deleted by name', `${MAPS}?fieldSelector=metadata.name%3Da`, undefined, { view: names }),
      remove('a collection is deleted', MAPS, undefined, { view: (body) => [body['kind'], names(body)] }),
      remove('an empty collection is deleted', MAPS),
      remove('a collection across namespaces is deleted', '/api/v1/configmaps'),
    ],
  },
  {
    namespace: 'list-tables',
    steps: [
      post('a ConfigMap for a table', MAPS, configMap('m', { a: '1', b: '2' })),
      post('a Deployment for a table', DEPLOYMENTS, deployment('d')),
      post('a Widget for a table', WIDGETS, widget('w', { ratio: 0.25, parts: [{ name: 'x' }, { name: 'y' }] })),
      post('a Secret for a table', '/api/v1/namespaces/{{ns}}/secrets', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 's' },
        data: { a: 'YQ==' },
      }),
      post('a Service for a table', '/api/v1/namespaces/{{ns}}/services', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'v' },
        spec: { selector: { app: 'd' }, ports: [{ port: 80 }] },
      }),
      post('a Pod for a table', '/api/v1/namespaces/{{ns}}/pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p' },
        spec: { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'x:1' }] },
      }),
      merge('the Widget gets a status', `${WIDGETS}/w/status`, { status: { conditions: [{ type: 'Ready', status: 'True' }] } }),
      get('ConfigMaps as a table', MAPS, { accept: TABLE }),
      get('one ConfigMap as a table', `${MAPS}/m`, { accept: TABLE }),
      get('a table with whole objects', `${MAPS}/m?includeObject=Object`, { accept: TABLE }),
      get('a table without objects', `${MAPS}/m?includeObject=None`, { accept: TABLE }),
      get('Deployments as a table', DEPLOYMENTS, { accept: TABLE }),
      get('Widgets as a table', WIDGETS, { accept: TABLE }),
      get('Widgets as a table of a version without columns', '/apis/conformance.dev/v1alpha1/namespaces/{{ns}}/widgets', {
        accept: TABLE,
      }),
      get('Secrets as a table', '/api/v1/namespaces/{{ns}}/secrets', { accept: TABLE }),
      get('Services as a table', '/api/v1/namespaces/{{ns}}/services', { accept: TABLE }),
      get('Pods as a table', '/api/v1/namespaces/{{ns}}/pods', { accept: TABLE }),
      get('an empty table', `${MAPS}?labelSelector=none`, { accept: TABLE }),
      get('kubectl’s list of forms is understood', MAPS, {
        accept: `${TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json`,
      }),
      get('a table of a version that does not exist', MAPS, { accept: 'application/json;as=Table;v=v9;g=meta.k8s.io' }),
      get('an object that does not exist as a table', `${MAPS}/none`, { accept: TABLE }),
      get('metadata of one object', `${MAPS}/m`, { accept: PARTIAL }),
      get('metadata of a list', MAPS, { accept: PARTIAL_LIST }),
      get('a form that is not known', `${MAPS}/m`, { accept: 'text/csv' }),
      get('YAML is asked for', `${MAPS}/none`, { accept: 'application/yaml' }),
      post('a table answers a creation', MAPS, configMap('created', {}), { accept: TABLE }),
      post('metadata answers a creation', MAPS, configMap('created-too', {}), { accept: PARTIAL }),
    ],
  },
];
