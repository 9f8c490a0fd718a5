type Labels = Record<string, string>;

/**
 * Whether labels satisfy a label selector in its string form (`app=reviews,tier!=db,env in (a,b),!old`), as the API server reads it.
 * @throws Error that quotes the requirement that cannot be read.
 */
export function matchesLabels(selector: string, labels: Labels = {}): boolean {
  return requirements(selector).every((requirement) => matches(requirement, labels));
}

/** Commas separate requirements, except inside parentheses. */
const requirements = (selector: string): string[] =>
  selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter(Boolean);

function matches(requirement: string, labels: Labels): boolean {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(requirement);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    return satisfies({ key, operator: operator === 'in' ? 'In' : 'NotIn', values: list.split(',').map((value) => value.trim()) }, labels);
  }
  const equality = /^([^\s=!]+)\s*(!=|==|=)\s*([^\s=!]*)$/.exec(requirement);
  if (equality) {
    const [, key = '', operator, value = ''] = equality;
    return satisfies({ key, operator: operator === '!=' ? 'NotIn' : 'In', values: [value] }, labels);
  }
  const existence = /^(!?)\s*([^\s=!()]+)$/.exec(requirement);
  if (!existence)
    throw new Error(`label selector: cannot read "${requirement}"; use key=value, key!=value, key in (a,b), key or !key`);
  return satisfies({ key: existence[2] ?? '', operator: existence[1] === '' ? 'Exists' : 'DoesNotExist' }, labels);
}

/** `metav1.LabelSelector`. */
export interface LabelSelector {
  matchLabels?: Record<string, string> | null | undefined;
  matchExpressions?: Expression[] | null | undefined;
}

interface Expression {
  key: string;
  operator: string;
  values?: string[] | null | undefined;
}

/** Whether labels satisfy a label selector in its object form. One that is missing or empty selects nothing, as for workloads. */
export function selectsLabels(selector: LabelSelector | null | undefined, labels: Labels = {}): boolean {
  const pairs = Object.entries(selector?.matchLabels ?? {});
  const expressions = selector?.matchExpressions ?? [];
  if (pairs.length + expressions.length === 0) return false;
  return pairs.every(([key, value]) => labels[key] === value) && expressions.every((item) => satisfies(item, labels));
}

function satisfies({ key, operator, values }: Expression, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && (values ?? []).includes(value);
    case 'NotIn':
      return value === undefined || !(values ?? []).includes(value);
    case 'Exists':
      return value !== undefined;
    default:
      return operator === 'DoesNotExist' && value === undefined;
  }
}
