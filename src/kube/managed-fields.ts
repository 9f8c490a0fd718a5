/** True when a field manager's `fieldsV1` (`metav1.FieldsV1`) holds the field of a JSON pointer such as `/spec/http`, or a part of it. */
export function ownsField(fieldsV1: unknown, pointer: string): boolean {
  let node = fieldsV1;
  for (const part of pointer.split('/').slice(1)) {
    node = typeof node === 'object' && node !== null ? (node as Record<string, unknown>)[`f:${part}`] : undefined;
    if (node === undefined) return false;
  }
  return true;
}
