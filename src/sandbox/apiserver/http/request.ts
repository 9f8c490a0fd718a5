import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { ApiError, badRequest, unsupportedMediaType } from '../errors.js';
import { dropProto, parseJson } from '../json.js';
import { decodeProtobuf } from '../protobuf/decode.js';
import type { Schema } from '../schema/types.js';

/** Bodies above this many bytes are refused, as the real server does. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/**
 * Reads a request body.
 * @throws ApiError 413 above {@link MAX_BODY_BYTES}
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity is too large: limit is ${MAX_BODY_BYTES}`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The schema of a built-in kind. */
export type SchemaLookup = (apiVersion: string, kind: string) => Schema | undefined;

/** Media type of a header without its parameters. */
export const mediaType = (header: string | undefined): string => (header ?? '').split(';')[0]?.trim().toLowerCase() ?? '';

/**
 * Parses a body: protobuf or YAML where the media type says so, else JSON.
 * @param schemaOf the schemas of built-in kinds, for protobuf
 * @throws BodyError when it does not parse
 */
export function parseBody(body: Buffer, type: string, schemaOf: SchemaLookup): unknown {
  if (type.includes('cbor'))
    throw unsupportedMediaType(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']);
  if (type.includes('protobuf')) return body.length === 0 ? undefined : decodeProtobuf(body, schemaOf);
  const text = body.toString('utf8');
  if (text.trim() === '') return undefined;
  if (type.includes('yaml'))
    return parseYamlBody(text, type.includes('patch') ? 'error decoding YAML: error converting YAML to JSON: ' : '');
  try {
    return parseJson(text);
  } catch (error) {
    const problem = jsonProblem(error, text);
    throw new BodyError(
      type.includes('patch+json')
        ? `error decoding patch: ${problem}`
        : `couldn't get version/kind; json parse error: ${problem}`,
    );
  }
}

/** A body that cannot be read. */
export class BodyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BodyError';
  }
}

/** Why a text is not JSON, in Go's words for a text that stops too early. */
function jsonProblem(error: unknown, text: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const position = /at position (\d+)/.exec(message)?.[1];
  const early = /end of JSON/.test(message) || (position !== undefined && Number(position) >= text.trimEnd().length);
  return early ? 'unexpected end of JSON input' : message;
}

function parseYamlBody(text: string, prefix: string): unknown {
  try {
    // Aliases are limited: a small document must not unfold into a huge one. Kubernetes reads YAML 1.1: a bare `on` is a boolean.
    return dropProto(parseYaml(text, { maxAliasCount: 100, version: '1.1' }) as unknown);
  } catch (error) {
    throw new BodyError(`${prefix}yaml: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
  }
}

/** What `Accept` asks for. */
export interface Representation {
  as: 'object' | 'table' | 'partial';
  pretty: boolean;
  yaml: boolean;
}

const ACCEPTED = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';
const ANY_JSON = new Set(['application/json', '*/*', 'application/*', '', 'text/html']);

const notAcceptable = (message: string, details?: Record<string, never>): ApiError =>
  new ApiError(406, 'NotAcceptable', message, details);

function formOf(option: string): Representation | undefined {
  const type = mediaType(option);
  const as = /;\s*as=([A-Za-z]+)/.exec(option)?.[1];
  if (as === undefined) {
    if (type === 'application/yaml') return { as: 'object', pretty: false, yaml: true };
    return ANY_JSON.has(type) ? { as: 'object', pretty: false, yaml: false } : undefined;
  }
  const known = /;\s*v=v1(?:beta1)?(?:;|$)/.test(option) && /;\s*g=meta\.k8s\.io(?:;|$)/.test(option);
  if (!known || !ANY_JSON.has(type)) return undefined;
  if (as === 'Table') return { as: 'table', pretty: false, yaml: false };
  return as.startsWith('PartialObjectMetadata') ? { as: 'partial', pretty: false, yaml: false } : undefined;
}

/**
 * The first acceptable form of `Accept`; JSON stands in for protobuf.
 * @throws ApiError 406 when no form is known
 */
export function negotiate(accept: string | undefined): Representation {
  const options = (accept ?? '*/*').split(',').map((part) => part.trim());
  for (const option of options) {
    const form = formOf(option);
    if (form !== undefined) return form;
  }
  if (options.some((option) => mediaType(option).includes('protobuf'))) return { as: 'object', pretty: false, yaml: false };
  if (options.some((option) => ANY_JSON.has(mediaType(option))))
    throw notAcceptable(`only the following media types are accepted: ${ACCEPTED}`);
  throw notAcceptable(`406: Not Acceptable\n\nAvailable representations: ${ACCEPTED}`, {});
}

/** Where a request goes. */
export interface Route {
  group: string;
  version: string;
  plural: string;
  namespace?: string;
  name?: string;
  subresource?: string;
  /** Path elements after the subresource. */
  rest: string[];
}

/** Reads `/api/v1/…` and `/apis/G/V/…` paths; undefined for others. */
export function parseRoute(path: string): Route | undefined {
  const parts = decodeParts(path);
  const [root, ...others] = parts;
  if (root !== 'api' && root !== 'apis') return undefined;
  const group = root === 'api' ? '' : (others.shift() ?? '');
  const version = others.shift();
  if (version === undefined || (root === 'apis' && group === '')) return undefined;
  // /namespaces/NS/RESOURCE…; /namespaces/NS[/status|/finalize] is the Namespace itself.
  const scoped =
    others[0] === 'namespaces' && others.length > 2 && !(group === '' && (others[2] === 'status' || others[2] === 'finalize'));
  const namespace = scoped ? others[1] : undefined;
  const rest = scoped ? others.slice(2) : others;
  const [plural, name, subresource, ...tail] = rest;
  if (plural === undefined) return undefined;
  return { group, version, plural, ...(namespace === undefined ? {} : { namespace }), name, subresource, rest: tail };
}

function decodeParts(path: string): string[] {
  try {
    return path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    throw badRequest(`the path ${path} is not a valid URL path`);
  }
}
