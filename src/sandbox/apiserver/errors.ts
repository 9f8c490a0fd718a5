import { KubeError } from '../../kube/types.js';

/** One entry of `details.causes`: reason is a `metav1.CauseType`, e.g. `FieldValueInvalid`. */
export interface Cause {
  reason?: string;
  message: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: Cause[];
  retryAfterSeconds?: number;
}

export interface StatusObject {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Failure' | 'Success';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

/** A refusal, as the real server words it. {@link ApiError.toStatus} is the body of the answer. */
export class ApiError extends KubeError {
  constructor(
    code: number,
    reason: string,
    message: string,
    readonly details?: StatusDetails,
  ) {
    super(code, reason, message, details?.retryAfterSeconds);
    this.name = 'ApiError';
  }

  toStatus(): StatusObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

/** A refusal in plain text, where a server does not speak the API's language. */
export class PlainError extends Error {
  constructor(
    readonly code: number,
    readonly text: string,
  ) {
    super(text);
    this.name = 'PlainError';
  }
}

/** What errors need to know of a kind. */
export interface Named {
  group: string;
  plural: string;
  kind: string;
}

const qualifiedResource = (info: Named): string => (info.group === '' ? info.plural : `${info.plural}.${info.group}`);
const qualifiedKind = (info: Named): string => (info.group === '' ? info.kind : `${info.kind}.${info.group}`);

const resourceDetails = (info: Named, name: string): StatusDetails => ({
  name,
  ...(info.group === '' ? {} : { group: info.group }),
  kind: info.plural,
});

export const notFound = (info: Named, name: string): ApiError =>
  new ApiError(404, 'NotFound', `${qualifiedResource(info)} "${name}" not found`, resourceDetails(info, name));

export const alreadyExists = (info: Named, name: string, leaving = false): ApiError =>
  new ApiError(
    409,
    'AlreadyExists',
    `${leaving ? 'object is being deleted: ' : ''}${qualifiedResource(info)} "${name}" already exists`,
    resourceDetails(info, name),
  );

const OPTIMISTIC_LOCK = 'the object has been modified; please apply your changes to the latest version and try again';

export const conflict = (info: Named, name: string, why: string = OPTIMISTIC_LOCK): ApiError =>
  new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedResource(info)} "${name}": ${why}`,
    resourceDetails(info, name),
  );

export const forbidden = (info: Named, name: string, why: string, causes?: Cause[]): ApiError =>
  new ApiError(403, 'Forbidden', `${qualifiedResource(info)} "${name}" is forbidden: ${why}`, {
    ...resourceDetails(info, name),
    ...(causes === undefined ? {} : { causes }),
  });

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message);

/** A failure that the server has no word for: code 500 and the bare text. */
export const failure = (message: string): ApiError => new ApiError(500, '', message);

/** What is wrong with the options of a request. */
export const invalidOptions = (kind: string, causes: Cause[]): ApiError =>
  invalid({ group: 'meta.k8s.io', plural: '', kind }, '', causes);

export const methodNotAllowed = (): ApiError =>
  new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});

export const routeNotFound = (): ApiError =>
  new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});

export const unsupportedMediaType = (accepted: string[]): ApiError =>
  new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );

export const expired = (message: string): ApiError => new ApiError(410, 'Expired', message);

export function invalid(info: Named, name: string, causes: Cause[]): ApiError {
  const lines = [...new Set(causes.map((cause) => `${cause.field ?? ''}: ${cause.message}`))];
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return new ApiError(422, 'Invalid', `${qualifiedKind(info)} "${name}" is invalid: ${text}`, {
    ...(name === '' ? {} : { name }),
    ...(info.group === '' ? {} : { group: info.group }),
    kind: info.kind,
    causes,
  });
}

/** Go's `%#v`-like rendering of a bad value, as `field.Invalid` prints it. */
function renderValue(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  return JSON.stringify(value);
}

export const required = (field: string, detail = ''): Cause => ({
  reason: 'FieldValueRequired',
  message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  field,
});

export const invalidValue = (field: string, value: unknown, detail: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${renderValue(value)}: ${detail}`,
  field,
});

export const unsupportedValue = (field: string, value: unknown, supported: readonly string[]): Cause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${renderValue(value)}: supported values: ${supported.map((item) => JSON.stringify(item)).join(', ')}`,
  field,
});

export const duplicateValue = (field: string, value: unknown): Cause => ({
  reason: 'FieldValueDuplicate',
  message: `Duplicate value: ${renderValue(value)}`,
  field,
});

export const forbiddenField = (field: string, detail: string): Cause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${detail}`,
  field,
});

export const tooLong = (field: string, max: number): Cause => ({
  reason: 'FieldValueTooLong',
  message: `Too long: may not be more than ${max} bytes`,
  field,
});
