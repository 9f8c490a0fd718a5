import { CORE, MAPS, configMap, get, merge, post, put, remove } from '../build.js';
import type { Json, Scenario } from '../types.js';
import { gadgetCrd, widgetCrd } from '../widgets.js';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const GADGETS = '/apis/conformance.dev/v1/gadgets';
const resources =
  (...names: string[]) =>
  (body: Json): unknown =>
    Array.isArray(body['resources'])
      ? (body['resources'] as Json[]).filter((item) => names.includes(String(item['name']).split('/')[0] ?? ''))
      : body;
const group =
  (name: string) =>
  (body: Json): unknown =>
    Array.isArray(body['groups']) ? (body['groups'] as Json[]).find((item) => item['name'] === name) : body;

const gizmo = (change: (spec: Json) => void): Json => {
  const crd = structuredClone(gadgetCrd);
  crd['metadata'] = { name: 'gizmos.lifecycle.conformance.dev' };
  const spec = crd['spec'] as Json;
  spec['group'] = 'lifecycle.conformance.dev';
  spec['names'] = { plural: 'gizmos', kind: 'Gizmo' };
  change(spec);
  return crd;
};
const withSchema = (schema: Json): Json =>
  gizmo((spec) => (spec['versions'] = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }]));
const summary = (body: Json): unknown => (body['kind'] === 'Status' ? body : { kind: body['kind'], spec: body['spec'] });
const GIZMOS = '/apis/lifecycle.conformance.dev/v1/gizmos';
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

const aggregatedResource =
  (name: string, plural: string) =>
  (body: Json): unknown => {
    const found = (body['items'] as { metadata: Json; versions: { version: string; resources: Json[] }[] }[]).find(
      (item) => (item.metadata['name'] ?? '') === name,
    );
    return found?.versions.map((version) => ({
      version: version.version,
      resource: version.resources.find((item) => item['resource'] === plural),
    }));
  };

/** Discovery, paths and bodies that are wrong, reviews, and CustomResourceDefinitions. */
export const server: Scenario[] = [
  {
    namespace: 'server-discovery',
    steps: [
      get('the versions of the core group', '/api', { view: (body) => body['versions'] }),
      get('the resources of the core group', '/api/v1', {
        view: resources('configmaps', 'pods', 'services', 'namespaces', 'secrets', 'serviceaccounts', 'nodes', 'events'),
      }),
      get('the resources of apps', '/apis/apps/v1', {
        view: resources('deployments', 'replicasets', 'statefulsets', 'daemonsets', 'controllerrevisions'),
      }),
      get('the resources of the autoscaler', '/apis/autoscaling/v2'),
      get('the resources of policy', '/apis/policy/v1'),
      get('the resources of leases', '/apis/coordination.k8s.io/v1'),
      get('the resources of endpoint slices', '/apis/discovery.k8s.io/v1'),
      get('the resources of events', '/apis/events.k8s.io/v1'),
      get('the resources of roles', '/apis/rbac.authorization.k8s.io/v1'),
      get('the resources of definitions', '/apis/apiextensions.k8s.io/v1'),
      get('the resources of a custom group', '/apis/conformance.dev/v1', { view: resources('widgets') }),
      get('the resources of a custom group without namespaces', '/apis/conformance.dev/v1', { view: resources('gadgets') }),
      get('the resources of another version of a custom group', '/apis/conformance.dev/v1alpha1'),
      get('the resources of Sluice', '/apis/sluice.dev/v1beta1', { view: resources('canaries') }),
      get('a custom group', '/apis/conformance.dev'),
      get('a built-in group', '/apis/apps'),
      get('the list of groups names the custom one', '/apis', { view: group('conformance.dev') }),
      get('the list of groups names the built-in one', '/apis', { view: group('apps') }),
      get('aggregated discovery shows a custom kind', '/apis', {
        accept: AGGREGATED,
        view: aggregatedResource('conformance.dev', 'widgets'),
      }),
      get('aggregated discovery shows a built-in kind', '/apis', {
        accept: AGGREGATED,
        view: aggregatedResource('apps', 'deployments'),
      }),
      get('aggregated discovery shows the core group', '/api', {
        accept: AGGREGATED,
        view: aggregatedResource('', 'configmaps'),
      }),
      get('a group that does not exist', '/apis/nothing.dev'),
      get('a version that does not exist', '/apis/apps/v9'),
      get('the version of the server', '/version', { view: (body) => [body['major'], body['minor']] }),
      get('the health of the server', '/healthz'),
      get('the readiness of the server', '/readyz'),
      get('the OpenAPI index names a custom group', '/openapi/v3', {
        view: (body) => Object.keys(body['paths'] as Json).filter((path) => path.startsWith('apis/conformance')),
      }),
      get('the OpenAPI schema of a custom kind', '/openapi/v3/apis/conformance.dev/v1', {
        view: (body) => {
          const widget = ((body['components'] as Json)['schemas'] as Json)['dev.conformance.v1.Widget'] as Json;
          return {
            ...widget,
            properties: { spec: (widget['properties'] as Json)['spec'], status: (widget['properties'] as Json)['status'] },
          };
        },
      }),
      get('the OpenAPI v2 names the kind of a custom object', '/openapi/v2', {
        view: (body) =>
          ((body['definitions'] as Json)['dev.conformance.v1.Widget'] as Json | undefined)?.['x-kubernetes-group-version-kind'],
      }),
    ],
  },
  {
    namespace: 'server-requests',
    steps: [
      get('a path that leads nowhere', '/nothing'),
      get('a kind that does not exist', `${CORE}/nothings`),
      get('one object of a kind that does not exist', `${CORE}/nothings/a`),
      get('a kind without namespaces in a namespace', `${CORE}/nodes`),
      get('a kind of a group that does not exist', '/apis/nothing.dev/v1/namespaces/{{ns}}/things'),
      get('a kind with namespaces without one', '/api/v1/configmaps/a'),
      get('a subresource that does not exist', `${MAPS}/a/scale`),
      { name: 'a method that does not exist', call: `PROPFIND ${MAPS}/a` },
      post('an empty body', MAPS, ''),
      post('a body that is not JSON', MAPS, '{"kind":'),
      post('a body that is a list', MAPS, []),
      post('a body that is a string', MAPS, '"x"'),
      post('a body in YAML', MAPS, 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ya\ndata:\n  a: "1"\n', {
        type: 'application/yaml',
      }),
      post('a body in YAML that does not parse', MAPS, 'apiVersion: [', { type: 'application/yaml' }),
      post('a body of an unknown type', MAPS, 'x', { type: 'text/csv' }),
      post('a body in JSON with a charset', MAPS, configMap('charset'), { type: 'application/json; charset=utf-8' }),
      post('data that is a number', MAPS, configMap('typed', { a: 1 })),
      post('data that is a list', MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'typed' }, data: ['a'] }),
      post('metadata that is a string', MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: 'typed' }),
      post('a name that is a number', MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 5 } }),
      post('a null where a map belongs', MAPS, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'nulls', labels: null },
        data: null,
      }),
      post('a bad key in a ConfigMap', MAPS, configMap('keys', { 'a b': '1' })),
      post('the same key in data and binaryData', MAPS, { ...configMap('keys', { a: '1' }), binaryData: { a: 'YQ==' } }),
      post('a ConfigMap that is too big', MAPS, configMap('big', { a: 'x'.repeat(1_100_000) }), {
        view: (body) => ({ ...body, message: String(body['message']).slice(0, 200) }),
      }),
      post('a label value that is too long', MAPS, configMap('labels', {}, { labels: { a: 'x'.repeat(64) } })),
      post('a label key with two slashes', MAPS, configMap('labels', {}, { labels: { 'a/b/c': 'd' } })),
      post('a label key with a bad prefix', MAPS, configMap('labels', {}, { labels: { 'A_b/c': 'd' } })),
      post('a name with capitals', MAPS, configMap('Capitals')),
      post('a name with a slash', MAPS, configMap('a/b')),
      post(
        'a review of one’s own access',
        '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: { namespace: '{{ns}}', verb: 'get', resource: 'pods' } },
        },
        { view: (body) => ({ ...body, status: (body['status'] as Json)['allowed'], metadata: undefined }) },
      ),
      get('reviews are not listed', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'),
      post('a list of objects is sent', MAPS, { apiVersion: 'v1', kind: 'ConfigMapList', items: [] }),
    ],
  },
  {
    namespace: 'server-crds',
    steps: [
      post('a definition whose name is not that of its kind', CRDS, {
        ...gizmo(() => undefined),
        metadata: { name: 'wrong.lifecycle.conformance.dev' },
      }),
      post(
        'a definition without versions',
        CRDS,
        gizmo((spec) => (spec['versions'] = [])),
      ),
      post(
        'a definition with two storage versions',
        CRDS,
        gizmo(
          (spec) => (spec['versions'] = [...(spec['versions'] as Json[]), { ...(spec['versions'] as Json[])[0], name: 'v2' }]),
        ),
      ),
      post(
        'a definition without a schema',
        CRDS,
        gizmo((spec) => (spec['versions'] = [{ name: 'v1', served: true, storage: true }])),
      ),
      post(
        'a definition with an unknown scope',
        CRDS,
        gizmo((spec) => (spec['scope'] = 'Galaxy')),
      ),
      post('a schema without a type', CRDS, withSchema({ type: 'object', properties: { spec: { properties: {} } } })),
      post('a schema of a list without items', CRDS, withSchema({ type: 'object', properties: { list: { type: 'array' } } })),
      post(
        'a keyed list without keys',
        CRDS,
        withSchema({
          type: 'object',
          properties: { list: { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' } },
        }),
      ),
      post(
        'a default that breaks its schema',
        CRDS,
        withSchema({ type: 'object', properties: { n: { type: 'integer', default: 'x' } } }),
      ),
      post(
        'a definition is created',
        CRDS,
        gizmo(() => undefined),
        { view: summary },
      ),
      get('a definition is established', `${CRDS}/gizmos.lifecycle.conformance.dev`, {
        until: { path: 'status.conditions.1.status', is: 'True' },
        view: (body) => [body['status'], (body['metadata'] as Json)['finalizers']],
      }),
      get('a definition is served', GIZMOS, { until: { status: 200 } }),
      post('an object of a new kind is created', GIZMOS, {
        apiVersion: 'lifecycle.conformance.dev/v1',
        kind: 'Gizmo',
        metadata: { name: 'g' },
        anything: { goes: [1, 'two', null] },
      }),
      merge('an object without a status subresource gets a status', `${GIZMOS}/g`, { status: { phase: 'x' } }),
      merge('the status endpoint of a kind that has none', `${GIZMOS}/g/status`, { status: {} }),
      merge('the group of a definition is changed', `${CRDS}/gizmos.lifecycle.conformance.dev`, {
        spec: { scope: 'Namespaced' },
      }),
      remove('a definition is deleted', `${CRDS}/gizmos.lifecycle.conformance.dev`, undefined, {
        view: (body) => [body['kind'], (body['metadata'] as Json)['finalizers']],
      }),
      get('a definition is gone, and its objects', `${CRDS}/gizmos.lifecycle.conformance.dev`, { until: { status: 404 } }),
      get('a kind is not served any more', GIZMOS, { until: { status: 404 } }),
      get('a definition is read', `${CRDS}/widgets.conformance.dev`, {
        view: (body) => [body['spec'], (body['status'] as Json)['storedVersions'], (body['status'] as Json)['acceptedNames']],
      }),
      post('a definition that is there is created', CRDS, widgetCrd),
      post('an object without a namespace is created', GADGETS, {
        apiVersion: 'conformance.dev/v1',
        kind: 'Gadget',
        metadata: { name: 'g1' },
        size: 1,
      }),
      put('an object without a namespace is replaced without a version', `${GADGETS}/g1`, {
        apiVersion: 'conformance.dev/v1',
        kind: 'Gadget',
        metadata: { name: 'g1' },
        size: 2,
      }),
      get('objects without a namespace in a namespace', '/apis/conformance.dev/v1/namespaces/{{ns}}/gadgets'),
      remove('an object without a namespace is deleted', `${GADGETS}/g1`),
    ],
  },
];
