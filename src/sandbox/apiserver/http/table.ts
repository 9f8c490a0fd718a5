import type { KubeObject } from '../../../kube/types.js';
import { DEFAULT_COLUMNS } from '../kinds/columns.js';
import type { Column, ResourceInfo } from '../types.js';
import { partialObject, type ListMeta } from './encode.js';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

const columnsOf = (info: ResourceInfo): Column[] => (info.columns.length === 0 ? DEFAULT_COLUMNS : info.columns);

function definitions(info: ResourceInfo): unknown[] {
  return columnsOf(info).map(({ name, type, format = '', description = '', priority = 0 }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

function row(object: KubeObject, info: ResourceInfo, include: IncludeObject, now: number): unknown {
  const cells = columnsOf(info).map((column) => column.cell(object, now));
  return { cells, object: include === 'None' ? null : include === 'Object' ? object : partialObject(object) };
}

/**
 * A `meta.k8s.io/v1` Table.
 * @param headers false leaves the column definitions out, as watches do after their first event
 */
export function table(
  objects: KubeObject[],
  info: ResourceInfo,
  metadata: ListMeta,
  include: IncludeObject,
  now: number,
  headers = true,
): unknown {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: headers ? definitions(info) : null,
    rows: objects.map((object) => row(object, info, include, now)),
  };
}
