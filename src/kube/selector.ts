/**
 * Whether labels satisfy a label selector in its string form (`app=reviews,tier!=db,env in (a,b),!old`), as the API server reads it.
 * @throws Error that quotes the requirement that cannot be read.
 */
export function matchesLabels(selector: string, labels: Record<string, string> = {}): boolean {
  return requirements(selector).every((requirement) => matches(requirement, labels));
}

/** Commas separate requirements, except inside parentheses. */
const requirements = (selector: string): string[] =>
  selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter(Boolean);

function matches(requirement: string, labels: Record<string, string>): boolean {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(requirement) ?? /^(\S+)\s+(in|notin)\(([^)]*)\)$/.exec(requirement);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const value = labels[key];
    const included = value !== undefined && list.split(',').some((candidate) => candidate.trim() === value);
    return operator === 'in' ? included : !included;
  }
  const equality = /^([^\s=!]+)\s*(!=|==|=)\s*([^\s=!]*)$/.exec(requirement);
  if (equality) {
    const [, key = '', operator, value] = equality;
    return (labels[key] === value) === (operator !== '!=');
  }
  const existence = /^(!?)\s*([^\s=!()]+)$/.exec(requirement);
  if (!existence)
    throw new Error(`label selector: cannot read "${requirement}"; use key=value, key!=value, key in (a,b), key or !key`);
  return Object.hasOwn(labels, existence[2] ?? '') === (existence[1] === '');
}
