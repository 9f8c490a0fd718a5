import { isIP } from 'node:net';
import { duplicateValue, invalidValue, required, unsupportedValue, type Cause } from '../errors.js';
import { asArray, asObject, asString, at, ensureObject, isObject, setDefault, show, type Json } from '../json.js';
import type { ResourceInfo } from '../types.js';
import { dns1035Label, dns1123Label, duplicates, validateLabels, validateMeta } from '../validation/names.js';
import { validateIntOrPortName, validatePort } from '../validation/pods.js';
import { SERVICE } from './columns.js';
import { define } from './define.js';

function defaultService(object: Json): void {
  const spec = ensureObject(object, 'spec');
  setDefault(spec, 'type', 'ClusterIP');
  setDefault(spec, 'sessionAffinity', 'None');
  if (spec['sessionAffinity'] === 'ClientIP') setDefault(spec, 'sessionAffinityConfig', { clientIP: { timeoutSeconds: 10800 } });
  if (spec['type'] !== 'ExternalName') {
    setDefault(spec, 'internalTrafficPolicy', 'Cluster');
  }
  if (spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer') setDefault(spec, 'externalTrafficPolicy', 'Cluster');
  if (spec['type'] === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true);
  for (const port of asArray(spec['ports'])) {
    if (!isObject(port)) continue;
    setDefault(port, 'protocol', 'TCP');
    if (port['targetPort'] === undefined || port['targetPort'] === '' || port['targetPort'] === 0)
      port['targetPort'] = port['port'];
  }
}

const SERVICE_TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];

function validateService(object: Json): Cause[] {
  const causes = validateMeta(object, dns1035Label);
  const spec = asObject(object['spec']);
  if (!SERVICE_TYPES.includes(String(spec['type']))) causes.push(unsupportedValue('spec.type', spec['type'], SERVICE_TYPES));
  if (spec['sessionAffinity'] !== 'None' && spec['sessionAffinity'] !== 'ClientIP') {
    causes.push(unsupportedValue('spec.sessionAffinity', spec['sessionAffinity'], ['ClientIP', 'None']));
  }
  const ports = asArray(spec['ports']);
  const headless = spec['clusterIP'] === 'None';
  if (ports.length === 0 && spec['type'] !== 'ExternalName' && !headless) causes.push(required('spec.ports'));
  ports.forEach((port, index) => {
    const path = `spec.ports[${index}]`;
    if (ports.length > 1 && (at(port, 'name') ?? '') === '') causes.push(required(`${path}.name`));
    const name = at(port, 'name');
    if (typeof name === 'string' && name !== '')
      for (const why of dns1123Label(name)) causes.push(invalidValue(`${path}.name`, name, why));
    causes.push(
      ...validatePort(at(port, 'port'), `${path}.port`),
      ...validateIntOrPortName(at(port, 'targetPort'), `${path}.targetPort`),
    );
    const protocol = at(port, 'protocol');
    if (!['SCTP', 'TCP', 'UDP'].includes(String(protocol)))
      causes.push(unsupportedValue(`${path}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']));
  });
  causes.push(
    ...duplicatePorts(ports),
    ...validateAddress(spec),
    ...duplicates(ports, 'name', 'spec.ports'),
    ...validateLabels(spec['selector'], 'spec.selector'),
  );
  if (spec['type'] === 'ExternalName' && asString(spec['externalName']) === '') causes.push(required('spec.externalName'));
  return causes;
}

/** A port as the real server's errors print it. */
const printedPort = (port: unknown): Json => ({
  Name: '',
  Protocol: at(port, 'protocol'),
  AppProtocol: at(port, 'appProtocol') ?? null,
  Port: at(port, 'port'),
  TargetPort: 0,
  NodePort: 0,
});

function duplicatePorts(ports: unknown[]): Cause[] {
  const seen = new Set<string>();
  return ports.flatMap((port, index) => {
    const key = `${show(at(port, 'port'))}/${show(at(port, 'protocol'))}`;
    if (seen.has(key)) return [duplicateValue(`spec.ports[${index}]`, printedPort(port))];
    seen.add(key);
    return [];
  });
}

function validateAddress(spec: Json): Cause[] {
  const address = asString(spec['clusterIP']);
  if (address === '' || address === 'None' || isIP(address) !== 0) return [];
  return [invalidValue('spec.clusterIPs[0]', address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
}

function validateServiceUpdate(object: Json, previous: Json): Cause[] {
  const before = asString(at(previous, 'spec', 'clusterIP'));
  const after = asString(at(object, 'spec', 'clusterIP'));
  const types = [at(previous, 'spec', 'type'), at(object, 'spec', 'type')];
  if (before === '' || before === after || types.includes('ExternalName')) return [];
  return [invalidValue('spec.clusterIPs[0]', [after], 'may not change once set')];
}

/** Address families, which come with the address. */
function defaultFamilies(object: Json): void {
  const spec = ensureObject(object, 'spec');
  if (spec['type'] === 'ExternalName') return;
  setDefault(spec, 'ipFamilyPolicy', 'SingleStack');
  setDefault(spec, 'ipFamilies', ['IPv4']);
}

/** An update that leaves the allocated address out keeps it. */
function keepClusterIp(object: Json, previous: Json): void {
  const spec = ensureObject(object, 'spec');
  if (spec['type'] === 'ExternalName') return;
  defaultFamilies(object);
  for (const key of ['clusterIP', 'clusterIPs', 'healthCheckNodePort']) {
    const before = at(previous, 'spec', key);
    if (before !== undefined && (spec[key] === undefined || spec[key] === '')) spec[key] = before;
  }
  // What came with the former type goes with it, unless the writer changed it.
  if (spec['type'] === 'ClusterIP' && spec['externalTrafficPolicy'] === at(previous, 'spec', 'externalTrafficPolicy'))
    delete spec['externalTrafficPolicy'];
  const ports = asArray(at(previous, 'spec', 'ports'));
  for (const port of asArray(spec['ports'])) {
    const same = ports.find((item) => at(item, 'port') === at(port, 'port') && at(item, 'protocol') === at(port, 'protocol'));
    const nodePort = at(same, 'nodePort');
    if (isObject(port) && nodePort !== undefined && spec['type'] !== 'ClusterIP') setDefault(port, 'nodePort', nodePort);
  }
}

export const services: ResourceInfo = define({
  group: '',
  plural: 'services',
  kind: 'Service',
  type: 'V1Service',
  shortNames: ['svc'],
  categories: ['all'],
  subresources: ['status'],
  columns: SERVICE,
  strategy: {
    defaults: defaultService,
    prepareCreate: (object) => {
      object['status'] = { loadBalancer: {} };
      defaultFamilies(object);
    },
    prepareUpdate: keepClusterIp,
    validate: validateService,
    validateUpdate: validateServiceUpdate,
    createOnUpdate: true,
    selectableFields: (service) => ({
      'spec.clusterIP': asString(at(service, 'spec', 'clusterIP')),
      'spec.type': asString(at(service, 'spec', 'type')),
    }),
  },
});
