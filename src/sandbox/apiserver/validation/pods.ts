import { forbiddenField, invalidValue, required, unsupportedValue, type Cause } from '../errors.js';
import { asArray, asObject, at, isObject, own, show, type Json } from '../json.js';
import { exceeds } from '../schema/quantity.js';
import { dns1123Label, duplicates, validateLabels } from './names.js';

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];

export function validatePort(value: unknown, field: string): Cause[] {
  const valid = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
  return valid ? [] : [invalidValue(field, value ?? 0, 'must be between 1 and 65535, inclusive')];
}

const MAX_PORT_NAME = 15;

/** What is wrong with the name of a port. */
function portNameErrors(name: string): string[] {
  return [
    ...(name.length > MAX_PORT_NAME ? [`must be no more than ${MAX_PORT_NAME} characters`] : []),
    ...(/^[-a-z0-9]+$/.test(name) ? [] : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
    ...(/[a-z]/.test(name) ? [] : ['must contain at least one letter (a-z)']),
    ...(name.includes('--') ? ['must not contain consecutive hyphens'] : []),
    ...(/^-|-$/.test(name) ? ['must not begin or end with a hyphen'] : []),
  ];
}

/** An `IANA_SVC_NAME`, or a number in range. */
export function validateIntOrPortName(value: unknown, field: string): Cause[] {
  if (typeof value === 'number') return validatePort(value, field);
  const name = show(value ?? '');
  return portNameErrors(name).map((why) => invalidValue(field, name, why));
}

function validateHandler(handler: Json, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const kind of ['httpGet', 'tcpSocket'] as const) {
    const action = own(handler, kind);
    if (isObject(action)) causes.push(...validateIntOrPortName(action['port'], `${field}.${kind}.port`));
  }
  const kinds = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((kind) => isObject(own(handler, kind)));
  if (kinds.length === 0) causes.push(required(field, 'must specify a handler type'));
  causes.push(...kinds.slice(1).map((kind) => forbiddenField(`${field}.${kind}`, 'may not specify more than 1 handler type')));
  return causes;
}

function validateProbe(probe: unknown, field: string): Cause[] {
  if (!isObject(probe)) return [];
  const causes = validateHandler(probe, field);
  for (const key of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold']) {
    const value = own(probe, key);
    if (typeof value === 'number' && value < 0)
      causes.push(invalidValue(`${field}.${key}`, value, 'must be greater than or equal to 0'));
  }
  return causes;
}

function validateEnv(env: unknown[], field: string): Cause[] {
  return env.flatMap((variable, index) => {
    const path = `${field}[${index}]`;
    const name = at(variable, 'name');
    if (typeof name !== 'string' || name === '') return [required(`${path}.name`)];
    const value = at(variable, 'value');
    if (typeof value === 'string' && value !== '' && isObject(at(variable, 'valueFrom'))) {
      return [invalidValue(`${path}.valueFrom`, '', 'may not be specified when `value` is not empty')];
    }
    return [];
  });
}

function validateResources(resources: unknown, field: string): Cause[] {
  const limits = asObject(at(resources, 'limits'));
  return Object.entries(asObject(at(resources, 'requests'))).flatMap(([name, request]) => {
    const limit = own(limits, name);
    if (limit === undefined || !exceeds(show(request), show(limit))) return [];
    return [invalidValue(`${field}.requests`, show(request), `must be less than or equal to ${name} limit of ${show(limit)}`)];
  });
}

function validateContainer(container: unknown, field: string, volumes: ReadonlySet<unknown>): Cause[] {
  const causes: Cause[] = [];
  const name = at(container, 'name');
  if (typeof name !== 'string' || name === '') causes.push(required(`${field}.name`));
  else for (const why of dns1123Label(name)) causes.push(invalidValue(`${field}.name`, name, why));
  const image = at(container, 'image');
  if (typeof image !== 'string' || image === '') causes.push(required(`${field}.image`));
  else if (image !== image.trim())
    causes.push(invalidValue(`${field}.image`, image, 'must not have leading or trailing whitespace'));
  const policy = at(container, 'imagePullPolicy');
  if (typeof policy === 'string' && !PULL_POLICIES.includes(policy))
    causes.push(unsupportedValue(`${field}.imagePullPolicy`, policy, PULL_POLICIES));
  asArray(at(container, 'ports')).forEach((port, index) => {
    const path = `${field}.ports[${index}]`;
    if (at(port, 'containerPort') === undefined) causes.push(required(`${path}.containerPort`));
    else causes.push(...validatePort(at(port, 'containerPort'), `${path}.containerPort`));
    const protocol = at(port, 'protocol');
    if (typeof protocol === 'string' && !PROTOCOLS.includes(protocol))
      causes.push(unsupportedValue(`${path}.protocol`, protocol, PROTOCOLS));
    const portName = at(port, 'name');
    if (typeof portName === 'string' && portName !== '') causes.push(...validateIntOrPortName(portName, `${path}.name`));
  });
  causes.push(...duplicates(asArray(at(container, 'ports')), 'name', `${field}.ports`));
  causes.push(...validateEnv(asArray(at(container, 'env')), `${field}.env`));
  asArray(at(container, 'volumeMounts')).forEach((mount, index) => {
    const path = `${field}.volumeMounts[${index}]`;
    if (!volumes.has(at(mount, 'name'))) {
      causes.push({
        reason: 'FieldValueNotFound',
        message: `Not found: ${JSON.stringify(at(mount, 'name') ?? '')}`,
        field: `${path}.name`,
      });
    }
    if ((at(mount, 'mountPath') ?? '') === '') causes.push(required(`${path}.mountPath`));
  });
  causes.push(...validateResources(at(container, 'resources'), `${field}.resources`));
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe'])
    causes.push(...validateProbe(at(container, probe), `${field}.${probe}`));
  return causes;
}

/** Validates a `PodSpec` at `field`. `restartPolicies` are those the owner allows. */
export function validatePodSpec(
  spec: unknown,
  field: string,
  restartPolicies: readonly string[] = ['Always', 'OnFailure', 'Never'],
): Cause[] {
  const causes: Cause[] = [];
  const volumes = asArray(at(spec, 'volumes'));
  volumes.forEach((volume, index) => {
    if ((at(volume, 'name') ?? '') === '') causes.push(required(`${field}.volumes[${index}].name`));
  });
  causes.push(...duplicates(volumes, 'name', `${field}.volumes`));
  const mountable = new Set(volumes.map((volume) => at(volume, 'name')));
  const containers = asArray(at(spec, 'containers'));
  if (containers.length === 0) causes.push(required(`${field}.containers`));
  containers.forEach((container, index) =>
    causes.push(...validateContainer(container, `${field}.containers[${index}]`, mountable)),
  );
  causes.push(...duplicates(containers, 'name', `${field}.containers`));
  asArray(at(spec, 'initContainers')).forEach((container, index) =>
    causes.push(...validateContainer(container, `${field}.initContainers[${index}]`, mountable)),
  );
  const policy = at(spec, 'restartPolicy');
  if (typeof policy === 'string' && !restartPolicies.includes(policy))
    causes.push(unsupportedValue(`${field}.restartPolicy`, policy, restartPolicies));
  const grace = at(spec, 'terminationGracePeriodSeconds');
  if (typeof grace === 'number' && grace < 0) {
    causes.push(invalidValue(`${field}.terminationGracePeriodSeconds`, grace, 'must be greater than or equal to 0'));
  }
  causes.push(...validateLabels(asObject(at(spec, 'nodeSelector')), `${field}.nodeSelector`));
  return causes;
}
