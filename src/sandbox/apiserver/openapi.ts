import { createHash } from 'node:crypto';
import type { Registry } from './registry.js';
import { builtinName, builtinSchema } from './schema/builtin.js';
import { describeField, describeType } from './schema/descriptions.js';
import type { Schema } from './schema/types.js';
import { apiVersionOf, type ResourceInfo } from './types.js';

type Doc = Record<string, unknown>;

const REF_V3 = '#/components/schemas/';
const REF_V2 = '#/definitions/';

const groupVersionKind = (info: ResourceInfo): Doc => ({ group: info.group, kind: info.kind, version: info.version });

/** Component name of a kind: the group reversed, as the real documents do for custom kinds. */
const componentName = (info: ResourceInfo): string =>
  [...(info.group === '' ? ['io', 'k8s', 'api', 'core'] : info.group.split('.').toReversed()), info.version, info.kind].join('.');

/** Component name of a shared type: `RbacV1Subject` is `io.k8s.rbac.v1.Subject`. Readers show what follows the last dot. */
function typeComponent(type: string): string {
  const match = /^([A-Za-z]*?)V(\d(?:(?:alpha|beta)\d)?)([A-Z].*)$/.exec(type);
  return match === null ? `io.k8s.${type}` : `io.k8s.${(match[1] ?? '').toLowerCase() || 'api'}.v${match[2]}.${match[3]}`;
}

/** Writes schemas as components, each named built-in type once. */
class Components {
  readonly schemas: Record<string, unknown> = {};

  constructor(private readonly ref: string) {}

  addKind(info: ResourceInfo): string {
    const name = componentName(info);
    const schema = this.expand(info.schema, info.custom ? undefined : builtinName(info.schema)) as Doc;
    this.schemas[name] = { ...schema, 'x-kubernetes-group-version-kind': [groupVersionKind(info)] };
    return name;
  }

  private reference(schema: Schema): unknown {
    const type = builtinName(schema);
    if (type === undefined) return this.expand(schema, undefined);
    const name = typeComponent(type);
    if (!Object.hasOwn(this.schemas, name)) {
      this.schemas[name] = {};
      this.schemas[name] = this.expand(builtinSchema(type), type);
    }
    return { $ref: this.ref + name };
  }

  private expand(schema: Schema, type: string | undefined): unknown {
    const { properties, items, additionalProperties, ...plain } = schema;
    const result: Doc = { ...plain };
    if (schema['x-kubernetes-int-or-string'] === true) result['anyOf'] ??= [{ type: 'integer' }, { type: 'string' }];
    if (type !== undefined) result['description'] = describeType(type);
    if (items !== undefined) result['items'] = this.reference(items);
    if (additionalProperties !== undefined) {
      result['additionalProperties'] =
        typeof additionalProperties === 'object' ? this.reference(additionalProperties) : additionalProperties;
    }
    if (properties === undefined) return result;
    const fields: Doc = {};
    for (const [key, property] of Object.entries(properties)) {
      const field = this.reference(property) as Doc;
      const inner = builtinName(property);
      const own = type === undefined ? undefined : describeField(type, key);
      const description = own ?? (inner === undefined ? undefined : describeType(inner));
      // A reference with a description of its own is wrapped, as the real documents do.
      if (description !== undefined)
        fields[key] = Object.hasOwn(field, '$ref') ? { allOf: [field], description } : { ...field, description };
      else fields[key] = field;
    }
    result['properties'] = fields;
    return result;
  }
}

const QUERY = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
}));
const FORCE = { name: 'force', in: 'query', schema: { type: 'boolean', uniqueItems: true } };

function operations(info: ResourceInfo, ref: string, names: 'collection' | 'single'): Doc {
  const meta = (action: string): Doc => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': groupVersionKind(info),
  });
  const content = { 'application/json': { schema: { $ref: ref } } };
  const responses = { '200': { description: 'OK', content } };
  if (names === 'collection')
    return {
      get: { ...meta('list'), responses },
      post: { ...meta('post'), parameters: QUERY, requestBody: { content }, responses },
    };
  return {
    get: { ...meta('get'), responses },
    put: { ...meta('put'), parameters: QUERY, requestBody: { content }, responses },
    patch: { ...meta('patch'), parameters: [...QUERY, FORCE], responses },
    delete: { ...meta('delete'), responses },
  };
}

function pathsOf(info: ResourceInfo, ref: string): Doc {
  const root = info.group === '' ? '/api/v1' : `/apis/${info.group}/${info.version}`;
  const collection = `${root}${info.namespaced ? '/namespaces/{namespace}' : ''}/${info.plural}`;
  const paths: Doc = {
    [collection]: operations(info, ref, 'collection'),
    [`${collection}/{name}`]: operations(info, ref, 'single'),
  };
  if (info.subresources.has('status')) paths[`${collection}/{name}/status`] = operations(info, ref, 'single');
  return paths;
}

/** OpenAPI documents, made on demand and kept until the served kinds change. */
export class OpenApi {
  private readonly documents = new Map<string, string>();
  private generation = 0;

  constructor(private readonly registry: Registry) {}

  /** `GET /openapi/v3`: where the document of each group and version is, with its hash. */
  index(): string {
    return this.cached('index', () => {
      const paths: Doc = {};
      for (const { group, versions } of this.registry.groups()) {
        for (const version of versions) {
          const path = group === '' ? 'api/v1' : `apis/${group}/${version}`;
          const hash = createHash('sha256')
            .update(this.groupVersion(group, version) ?? '')
            .digest('hex')
            .toUpperCase();
          paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
        }
      }
      return { paths };
    });
  }

  /** The document of one group and version; undefined when it is not served. */
  groupVersion(group: string, version: string): string | undefined {
    const infos = this.registry.inGroupVersion(group, version);
    const served = this.registry.groups().some((item) => item.group === group && item.versions.includes(version));
    if (!served) return undefined;
    return this.cached(apiVersionOf({ group, version }), () => {
      const components = new Components(REF_V3);
      const paths: Doc = {};
      for (const info of infos) Object.assign(paths, pathsOf(info, REF_V3 + components.addKind(info)));
      return {
        openapi: '3.0.0',
        info: { title: 'Kubernetes', version: 'v1.35.0' },
        paths,
        components: { schemas: components.schemas },
      };
    });
  }

  /** `GET /openapi/v2`. */
  v2(): string {
    return this.cached('v2', () => {
      const components = new Components(REF_V2);
      const paths: Doc = {};
      for (const info of this.registry.all()) {
        const ref = REF_V2 + components.addKind(info);
        for (const [path, operation] of Object.entries(pathsOf(info, ref))) paths[path] = swagger(operation as Doc);
      }
      return { swagger: '2.0', info: { title: 'Kubernetes', version: 'v1.35.0' }, paths, definitions: components.schemas };
    });
  }

  private cached(key: string, make: () => unknown): string {
    if (this.generation !== this.registry.generation) {
      this.documents.clear();
      this.generation = this.registry.generation;
    }
    let text = this.documents.get(key);
    if (text === undefined) {
      text = JSON.stringify(make());
      this.documents.set(key, text);
    }
    return text;
  }
}

/** Version 2 has parameter types inline and no `content`. */
function swagger(operation: Doc): Doc {
  const result: Doc = {};
  for (const [method, value] of Object.entries(operation)) {
    const { responses: _, requestBody: __, parameters, ...rest } = value as Doc;
    const inline = Array.isArray(parameters)
      ? parameters.map((item: { name: string }) => ({ name: item.name, in: 'query', type: 'string' }))
      : undefined;
    result[method] = {
      ...rest,
      ...(inline === undefined ? {} : { parameters: inline }),
      responses: { '200': { description: 'OK' } },
    };
  }
  return result;
}
