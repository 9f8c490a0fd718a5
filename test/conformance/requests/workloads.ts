import { CORE, DEPLOYMENTS, deployment, get, json, merge, post, put, remove, strategic } from '../build.js';
import type { Json, Request, Scenario } from '../types.js';

const tried = (name: string, spec: Json, container: Json = {}): Request =>
  post(name, `${DEPLOYMENTS}?dryRun=All`, deployment('t', spec, container));
const service = (name: string, spec: Json): Json => ({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });
const pod = (name: string, spec: Json = {}): Json => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'x:1' }], ...spec },
});
const trySvc = (name: string, spec: Json): Request => post(name, `${CORE}/services?dryRun=All`, service('t', spec));
const tryPod = (name: string, spec: Json): Request => post(name, `${CORE}/pods?dryRun=All`, pod('t', spec));

/** Built-in kinds that the sandbox runs: their defaults, validation, status and scale. */
export const workloads: Scenario[] = [
  {
    namespace: 'work-validation',
    steps: [
      tried('a Deployment gets its defaults', {}),
      tried('a Deployment without a selector', { selector: null }),
      tried('a Deployment with an empty selector', { selector: {} }),
      tried('a selector that does not match the template', { selector: { matchLabels: { app: 'other' } } }),
      tried('a Deployment without a template', { template: null }),
      tried('a Deployment without containers', { template: { metadata: { labels: { app: 't' } }, spec: { containers: [] } } }),
      tried('a Deployment with negative replicas', { replicas: -1 }),
      tried('a Deployment with replicas as text', { replicas: 'two' }),
      tried('a container without an image', {}, { image: '' }),
      tried('a container without a name', {}, { name: '' }),
      tried('a container with a bad name', {}, { name: 'App_1' }),
      tried('a container with a bad port', {}, { ports: [{ containerPort: 70000 }] }),
      tried('a container with a bad port name', {}, { ports: [{ containerPort: 80, name: 'a_name_that_is_much_too_long' }] }),
      tried(
        'a container with a port name twice',
        {},
        {
          ports: [
            { containerPort: 80, name: 'x' },
            { containerPort: 81, name: 'x' },
          ],
        },
      ),
      tried('a container with a bad pull policy', {}, { imagePullPolicy: 'Sometimes' }),
      tried('a container with a mount of no volume', {}, { volumeMounts: [{ name: 'nothing', mountPath: '/x' }] }),
      tried('a container with a probe that does nothing', {}, { readinessProbe: {} }),
      tried(
        'a container with a probe that does two things',
        {},
        { readinessProbe: { httpGet: { port: 80 }, tcpSocket: { port: 80 } } },
      ),
      tried('a container with an HTTP probe gets defaults', {}, { readinessProbe: { httpGet: { port: 'http' } } }),
      tried('a container with a variable without a name', {}, { env: [{ value: 'x' }] }),
      tried(
        'a container with a variable with value and source',
        {},
        { env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] },
      ),
      tried('a container with resources', {}, { resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: 0.5 } } }),
      tried('a container that requests more than its limit', {}, { resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
      tried('a container with a quantity that does not parse', {}, { resources: { limits: { cpu: 'lots' } } }),
      tried('a rolling update that can do nothing', { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
      tried('a rolling update with a bad percentage', { strategy: { rollingUpdate: { maxSurge: 'ten' } } }),
      tried('a Recreate strategy with a rolling update', { strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } } }),
      tried('an unknown strategy', { strategy: { type: 'Sudden' } }),
      tried('a deadline below the time to be ready', { minReadySeconds: 10, progressDeadlineSeconds: 5 }),
      tried('a restart policy that Deployments may not have', {
        template: {
          metadata: { labels: { app: 't' } },
          spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b' }] },
        },
      }),
      post(
        'an unknown field of a Deployment, with a warning',
        `${DEPLOYMENTS}?dryRun=All`,
        deployment('t', { colour: 'blue' }, { shape: 'round' }),
      ),
      post(
        'an unknown field of a Deployment, refused by Strict',
        `${DEPLOYMENTS}?dryRun=All&fieldValidation=Strict`,
        deployment('t', { colour: 'blue' }, { shape: 'round' }),
      ),
      post(
        'an unknown field of a Deployment, ignored',
        `${DEPLOYMENTS}?dryRun=All&fieldValidation=Ignore`,
        deployment('t', { colour: 'blue' }),
      ),
      post(
        'a field of a Deployment is written twice',
        `${DEPLOYMENTS}?dryRun=All&fieldValidation=Strict`,
        '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"t","name":"t"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}}',
      ),
      post('a Deployment with a bad label and a bad annotation', `${DEPLOYMENTS}?dryRun=All`, {
        ...deployment('t'),
        metadata: { name: 't', labels: { app: 'not good!' }, annotations: { 'a b': 'c' } },
      }),
      post('a Deployment with a bad name', `${DEPLOYMENTS}?dryRun=All`, deployment('Bad_Name')),
      post('a Deployment with a name that is too long', `${DEPLOYMENTS}?dryRun=All`, deployment('x'.repeat(254))),
    ],
  },
  {
    namespace: 'work-deployments',
    steps: [
      post('a Deployment is created', DEPLOYMENTS, deployment('d'), { save: { rv: 'metadata.resourceVersion' } }),
      merge('the template of a Deployment changes', `${DEPLOYMENTS}/d`, {
        spec: { template: { metadata: { annotations: { a: 'b' } } } },
      }),
      merge('the selector of a Deployment changes', `${DEPLOYMENTS}/d`, { spec: { selector: { matchLabels: { app: 'e' } } } }),
      merge('the annotations of a Deployment change', `${DEPLOYMENTS}/d`, { metadata: { annotations: { a: 'b' } } }),
      merge('the status of a Deployment through the main endpoint', `${DEPLOYMENTS}/d`, { status: { replicas: 3 } }),
      merge('the status of a Deployment', `${DEPLOYMENTS}/d/status`, {
        status: { observedGeneration: 2, replicas: 3, readyReplicas: 2 },
      }),
      merge('the spec of a Deployment through its status', `${DEPLOYMENTS}/d/status`, {
        spec: { replicas: 9 },
        metadata: { labels: { x: 'y' }, annotations: { c: 'd' } },
      }),
      merge('a status that makes no sense', `${DEPLOYMENTS}/d/status`, { status: { replicas: 1, readyReplicas: -1 } }),
      get('the status of a Deployment is read', `${DEPLOYMENTS}/d/status`),
      get('the scale of a Deployment is read', `${DEPLOYMENTS}/d/scale`),
      put('a Deployment is scaled', `${DEPLOYMENTS}/d/scale`, {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'd', namespace: '{{ns}}' },
        spec: { replicas: 3 },
      }),
      merge('a Deployment is scaled by a merge patch', `${DEPLOYMENTS}/d/scale`, { spec: { replicas: 4 } }),
      json('a Deployment is scaled by a JSON patch', `${DEPLOYMENTS}/d/scale`, [
        { op: 'replace', path: '/spec/replicas', value: 5 },
      ]),
      strategic('a Deployment is scaled by a strategic merge patch', `${DEPLOYMENTS}/d/scale`, { spec: { replicas: 6 } }),
      put('a Deployment is scaled below zero', `${DEPLOYMENTS}/d/scale`, {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'd', namespace: '{{ns}}' },
        spec: { replicas: -3 },
      }),
      put('a Deployment is scaled from an old resourceVersion', `${DEPLOYMENTS}/d/scale`, {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'd', namespace: '{{ns}}', resourceVersion: '{{rv}}' },
        spec: { replicas: 3 },
      }),
      put('a Deployment is scaled under another name', `${DEPLOYMENTS}/d/scale`, {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'e', namespace: '{{ns}}' },
        spec: { replicas: 3 },
      }),
      put('a Deployment is scaled by something else than a Scale', `${DEPLOYMENTS}/d/scale`, deployment('d')),
      get('a Deployment is read after it was scaled', `${DEPLOYMENTS}/d`),
      get('the log of a Deployment', `${DEPLOYMENTS}/d/log`),
      remove('the status of a Deployment is deleted', `${DEPLOYMENTS}/d/status`),
      post('a ReplicaSet is created', DEPLOYMENTS.replace('deployments', 'replicasets'), {
        ...deployment('r'),
        kind: 'ReplicaSet',
      }),
      post('a StatefulSet is created', DEPLOYMENTS.replace('deployments', 'statefulsets'), {
        ...deployment('s'),
        kind: 'StatefulSet',
        spec: { ...(deployment('s')['spec'] as Json), serviceName: 's' },
      }),
      post('a DaemonSet is created', DEPLOYMENTS.replace('deployments', 'daemonsets'), {
        apiVersion: 'apps/v1',
        kind: 'DaemonSet',
        metadata: { name: 'e' },
        spec: {
          selector: { matchLabels: { a: 'b' } },
          template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'b' }] } },
        },
      }),
      merge('what a StatefulSet may not change', `${DEPLOYMENTS.replace('deployments', 'statefulsets')}/s`, {
        spec: { serviceName: 'other' },
      }),
    ],
  },
  {
    namespace: 'work-services',
    steps: [
      post(
        'a Service is created',
        `${CORE}/services`,
        service('s', { selector: { app: 'd' }, ports: [{ port: 80, targetPort: 'http' }] }),
        { save: { ip: 'spec.clusterIP' } },
      ),
      put(
        'a Service is replaced without its address',
        `${CORE}/services/s`,
        service('s', { selector: { app: 'e' }, ports: [{ port: 81 }] }),
      ),
      merge('the address of a Service is changed', `${CORE}/services/s`, { spec: { clusterIP: '10.96.200.200' } }),
      merge('a Service becomes a NodePort', `${CORE}/services/s`, { spec: { type: 'NodePort' } }),
      strategic('a port is added to a Service', `${CORE}/services/s`, { spec: { ports: [{ name: 'more', port: 82 }] } }),
      merge('a Service becomes a ClusterIP again', `${CORE}/services/s`, { spec: { type: 'ClusterIP', ports: [{ port: 81 }] } }),
      post(
        'a headless Service is created',
        `${CORE}/services`,
        service('h', { clusterIP: 'None', selector: { app: 'd' }, ports: [{ port: 80 }] }),
      ),
      post(
        'a Service for an external name is created',
        `${CORE}/services`,
        service('x', { type: 'ExternalName', externalName: 'example.com' }),
      ),
      post(
        'a Service takes an address that is in use',
        `${CORE}/services`,
        service('y', { clusterIP: '{{ip}}', ports: [{ port: 80 }] }),
      ),
      trySvc('a Service without ports', { selector: { app: 'd' } }),
      trySvc('a Service with a bad port', { ports: [{ port: 0 }] }),
      trySvc('a Service with two ports without names', { ports: [{ port: 80 }, { port: 81 }] }),
      trySvc('a Service with a port twice', {
        ports: [
          { port: 80, name: 'a' },
          { port: 80, name: 'b' },
        ],
      }),
      trySvc('a Service of an unknown type', { type: 'Magic', ports: [{ port: 80 }] }),
      trySvc('a Service with a bad protocol', { ports: [{ port: 80, protocol: 'XTP' }] }),
      trySvc('a Service with an external name that is missing', { type: 'ExternalName' }),
      trySvc('a Service with session affinity', { sessionAffinity: 'ClientIP', ports: [{ port: 80 }] }),
      trySvc('a Service with an address that is none', { clusterIP: 'here', ports: [{ port: 80 }] }),
      post('a Service with a bad name', `${CORE}/services?dryRun=All`, service('1st', { ports: [{ port: 80 }] })),
      put('a Service that does not exist is replaced', `${CORE}/services/none`, service('none', { ports: [{ port: 80 }] })),
      merge('the status of a Service', `${CORE}/services/s/status`, { status: { loadBalancer: {} } }),
      remove('a Service is deleted', `${CORE}/services/s`),
    ],
  },
  {
    namespace: 'work-pods',
    steps: [
      tryPod('a Pod gets its defaults', {}),
      tryPod('a Pod with resources gets its class', {
        containers: [{ name: 'a', image: 'b', resources: { limits: { cpu: '1', memory: '1Gi' } } }],
      }),
      tryPod('a Pod without containers', { containers: [] }),
      tryPod('a Pod with two containers of one name', {
        containers: [
          { name: 'a', image: 'b' },
          { name: 'a', image: 'c' },
        ],
      }),
      tryPod('a Pod with an unknown restart policy', { restartPolicy: 'Maybe' }),
      tryPod('a Pod with a volume twice', {
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'v', emptyDir: {} },
        ],
      }),
      tryPod('a Pod with volumes', {
        volumes: [{ name: 'c', configMap: { name: 'x' } }, { name: 's', secret: { secretName: 'y' } }, { name: 'e' }],
      }),
      post('a Pod is created', `${CORE}/pods`, pod('p')),
      merge('the image of a Pod changes', `${CORE}/pods/p`, { spec: { containers: [{ name: 'app', image: 'x:2' }] } }),
      strategic(
        'the command of a Pod changes',
        `${CORE}/pods/p`,
        { spec: { containers: [{ name: 'app', command: ['x'] }] } },
        { view: (body) => [body['reason'], body['code'], (body['message'] as string).split('\n')[0]] },
      ),
      merge('the labels of a Pod change', `${CORE}/pods/p`, { metadata: { labels: { app: 'q' } } }),
      strategic('the status of a Pod', `${CORE}/pods/p/status`, {
        status: {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'True' }],
          podIP: '10.1.2.3',
          podIPs: [{ ip: '10.1.2.3' }],
        },
      }),
      get('Pods are selected by phase', `${CORE}/pods?fieldSelector=status.phase%3DRunning`, {
        view: (body) => (body['items'] as Json[]).length,
      }),
      post('a Pod is evicted', `${CORE}/pods/p/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: 'p', namespace: '{{ns}}' },
      }),
      get('an evicted Pod that no node had is gone', `${CORE}/pods/p`),
      post('a Pod on a node is created', `${CORE}/pods`, pod('n', { nodeName: 'node-1', terminationGracePeriodSeconds: 7 })),
      remove('a Pod on a node is deleted', `${CORE}/pods/n`),
      remove('a Pod on a node is deleted with less grace', `${CORE}/pods/n`, { gracePeriodSeconds: 3 }),
      remove('a Pod on a node is deleted with more grace', `${CORE}/pods/n`, { gracePeriodSeconds: 30 }),
      remove('a Pod on a node is deleted at once', `${CORE}/pods/n?gracePeriodSeconds=0`),
      get('a Pod that was deleted at once is gone', `${CORE}/pods/n`),
      post('a Pod that is not there is evicted', `${CORE}/pods/none/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: 'none', namespace: '{{ns}}' },
      }),
    ],
  },
  {
    namespace: 'work-others',
    steps: [
      post('a HorizontalPodAutoscaler is created', '/apis/autoscaling/v2/namespaces/{{ns}}/horizontalpodautoscalers', {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'h' },
        spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, maxReplicas: 3 },
      }),
      post(
        'a HorizontalPodAutoscaler with a maximum below its minimum',
        '/apis/autoscaling/v2/namespaces/{{ns}}/horizontalpodautoscalers',
        {
          apiVersion: 'autoscaling/v2',
          kind: 'HorizontalPodAutoscaler',
          metadata: { name: 'i' },
          spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, minReplicas: 5, maxReplicas: 3 },
        },
      ),
      post('a PodDisruptionBudget is created', '/apis/policy/v1/namespaces/{{ns}}/poddisruptionbudgets', {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'b' },
        spec: { minAvailable: 1, selector: { matchLabels: { a: 'b' } } },
      }),
      post('a PodDisruptionBudget with both bounds', '/apis/policy/v1/namespaces/{{ns}}/poddisruptionbudgets', {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'c' },
        spec: { minAvailable: 1, maxUnavailable: 1 },
      }),
      post(
        'a Lease is created',
        '/apis/coordination.k8s.io/v1/namespaces/{{ns}}/leases',
        {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: 'l' },
          spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-01-02T03:04:05.000006Z' },
        },
        { save: { lease: 'metadata.resourceVersion' } },
      ),
      put('a Lease is renewed', '/apis/coordination.k8s.io/v1/namespaces/{{ns}}/leases/l', {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'l', resourceVersion: '{{lease}}' },
        spec: { holderIdentity: 'me', leaseDurationSeconds: 15, leaseTransitions: 1 },
      }),
      put('a Lease is taken from an old version', '/apis/coordination.k8s.io/v1/namespaces/{{ns}}/leases/l', {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'l', resourceVersion: '{{lease}}' },
        spec: { holderIdentity: 'you' },
      }),
      put('a Lease is taken without a version', '/apis/coordination.k8s.io/v1/namespaces/{{ns}}/leases/l', {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'l' },
        spec: { holderIdentity: 'you' },
      }),
      post('a Lease with a time of zero seconds', '/apis/coordination.k8s.io/v1/namespaces/{{ns}}/leases', {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'm' },
        spec: { leaseDurationSeconds: 0 },
      }),
      post('an Event is created', `${CORE}/events`, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'e' },
        involvedObject: { kind: 'Pod', name: 'p', namespace: '{{ns}}' },
        reason: 'Tried',
        message: 'A try.',
        type: 'Normal',
      }),
      post('an Event about another namespace is created', `${CORE}/events`, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'f' },
        involvedObject: { kind: 'Pod', name: 'p', namespace: 'other' },
        reason: 'Tried',
      }),
      get('Events are selected by what they are about', `${CORE}/events?fieldSelector=involvedObject.name%3Dp,type%3DNormal`, {
        view: (body) => (body['items'] as Json[]).length,
      }),
      get('an Event is read in its newer form', '/apis/events.k8s.io/v1/namespaces/{{ns}}/events/e'),
      post('an EndpointSlice is created', '/apis/discovery.k8s.io/v1/namespaces/{{ns}}/endpointslices', {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 's', labels: { 'kubernetes.io/service-name': 'v' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['10.1.2.3'] }],
        ports: [{ port: 80 }],
      }),
      post('a Role is created', '/apis/rbac.authorization.k8s.io/v1/namespaces/{{ns}}/roles', {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'r' },
        rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
      }),
      post('a Role with a rule without verbs', '/apis/rbac.authorization.k8s.io/v1/namespaces/{{ns}}/roles', {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 's' },
        rules: [{ apiGroups: [''], resources: ['pods'] }],
      }),
      post('a RoleBinding is created', '/apis/rbac.authorization.k8s.io/v1/namespaces/{{ns}}/rolebindings', {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'r' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: '{{ns}}' }],
      }),
      merge('the role of a RoleBinding is changed', '/apis/rbac.authorization.k8s.io/v1/namespaces/{{ns}}/rolebindings/r', {
        roleRef: { name: 'other' },
      }),
      post('a ServiceAccount is created', `${CORE}/serviceaccounts`, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'a' },
      }),
    ],
  },
];
