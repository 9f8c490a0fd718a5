import type { z } from 'zod';
import type { KubeObject } from '../../kube/types.js';
import type { Problem } from './types.js';

const objectName = (object: KubeObject): string => {
  const { namespace, name } = object.metadata ?? {};
  return `${object.kind ?? 'object'} ${namespace ?? ''}/${name ?? ''}`;
};

/**
 * The objects that fit `schema`. Each that does not is left out whole, as an admission webhook would have refused it, and is
 * reported with the first field that is wrong.
 */
export const parseAll = <T>(objects: readonly KubeObject[], kind: string, schema: z.ZodType<T>, problems: Problem[]): T[] =>
  objects.flatMap((object) => {
    const parsed = schema.safeParse(object);
    if (parsed.success) return [parsed.data];
    const issue = parsed.error.issues[0];
    problems.push({
      object: objectName({ ...object, kind }),
      field: issue?.path.join('.') ?? '',
      message: `${issue?.message ?? 'is malformed'}; the object is left out of the mesh until this field is corrected`,
    });
    return [];
  });
