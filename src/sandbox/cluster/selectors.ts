/** Whether every pair of `selector` is among `labels`. An empty selector matches everything. */
export const matchesLabels = (selector: Record<string, string>, labels: Record<string, string> | undefined): boolean =>
  Object.entries(selector).every(([key, value]) => labels?.[key] === value);
