/** `v1` before `v1beta2` before `v1alpha1`, newer before older: the server's order of preference. */
export function compareVersions(a: string, b: string): number {
  const parse = (version: string): [number, number, number] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return [-1, 0, 0];
    return [match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0, Number(match[1]), Number(match[3] ?? 0)];
  };
  const left = parse(a);
  const right = parse(b);
  for (const index of [0, 1, 2] as const) if (left[index] !== right[index]) return right[index] - left[index];
  return a < b ? -1 : a > b ? 1 : 0;
}
