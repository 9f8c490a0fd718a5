import { builtinSchema } from '../schema/builtin.js';
import type { Column, ResourceInfo, Strategy, SubresourceName } from '../types.js';

export interface Definition {
  group: string;
  version?: string;
  plural: string;
  kind: string;
  /** Type name in the client library, e.g. `V1Pod`. */
  type: string;
  namespaced?: boolean;
  shortNames?: string[];
  categories?: string[];
  subresources?: SubresourceName[];
  generation?: boolean;
  columns?: Column[];
  strategy?: Strategy;
  overrides?: Partial<ResourceInfo>;
}

/** A built-in kind from what is particular to it. */
export function define(definition: Definition): ResourceInfo {
  const { group, plural, kind, version = 'v1' } = definition;
  return {
    group,
    version,
    plural,
    singular: kind.toLowerCase(),
    kind,
    listKind: `${kind}List`,
    namespaced: definition.namespaced ?? true,
    shortNames: definition.shortNames ?? [],
    categories: definition.categories ?? [],
    subresources: new Set(definition.subresources ?? []),
    hasGeneration: definition.generation ?? false,
    custom: false,
    schema: builtinSchema(definition.type),
    columns: definition.columns ?? [],
    strategy: definition.strategy ?? {},
    storageKey: `${group}/${plural}`,
    storageVersion: version,
    ...definition.overrides,
  };
}
