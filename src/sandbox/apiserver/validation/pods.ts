import { invalidValue, required, unsupportedValue, type Cause } from '../errors.js';
import { asArray, asObject, at, isObject, own, show, type Json } from '../json.js';
import { dns1123Label, duplicates, validateLabels } from './names.js';

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];

export function validatePort(value: unknown, field: string): Cause[] {
  const valid = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
  return valid ? [] : [invalidValue(field, value ?? 0, 'must be between 1 and 65535, inclusive')];
}

const PORT_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** An `IANA_SVC_NAME`, or a number in range. */
export function validateIntOrPortName(value: unknown, field: string): Cause[] {
  if (typeof value === 'number') return validatePort(value, field);
  const name = show(value ?? '');
  if (!PORT_NAME.test(name) || !/[a-z]/.test(name) || name.includes('--')) {
    return [
      invalidValue(
        field,
        name,
        'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-) and at least one letter (a-z), and no consecutive hyphens',
      ),
    ];
  }
  return name.length > 15 ? [invalidValue(field, name, 'must be no more than 15 characters')] : [];
}

function validateHandler(handler: Json, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const kind of ['httpGet', 'tcpSocket'] as const) {
    const action = own(handler, kind);
    if (isObject(action)) causes.push(...validateIntOrPortName(action['port'], `${field}.${kind}.port`));
  }
  const kinds = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((kind) => isObject(own(handler, kind)));
  if (kinds.length === 0) causes.push(required(field, 'must specify a handler type'));
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
