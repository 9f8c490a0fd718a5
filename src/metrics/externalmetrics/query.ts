/** What the external metrics API is asked for. */
export interface ExternalQuery {
  namespace: string;
  metric: string;
  labelSelector?: string;
}

/** Reads `METRIC`, `METRIC?labelSelector=app=x` and, as Flagger has it, `NAMESPACE/METRIC?…`; or says what is wrong with it. */
export function externalQuery(text: string, namespace: string): ExternalQuery | { problem: string } {
  // Half of a character has no form in an address.
  const [name = '', ...rest] = text.trim().replace(/\p{Cs}/gu, ' ').split('?');
  const parts = name.split('/');
  const metric = parts.at(-1) ?? '';
  if (parts.length > 2 || metric === '' || /\s/.test(name)) return { problem: 'it must be METRIC, METRIC?labelSelector=KEY=VALUE or NAMESPACE/METRIC' };
  const [own = namespace] = parts.length === 2 ? parts : [];
  if (own !== namespace) return { problem: `it asks for a metric of namespace ${own}; only those of ${namespace}, the namespace of the Canary, may be asked for` };
  const parameters = new URLSearchParams(rest.join('?'));
  const strange = [...parameters.keys()].find((key) => key !== 'labelSelector');
  if (strange !== undefined) return { problem: `"${strange}" is not known behind the "?"; only labelSelector is` };
  const labelSelector = parameters.get('labelSelector') ?? '';
  return { namespace, metric, ...(labelSelector === '' ? {} : { labelSelector }) };
}

export function externalPath({ namespace, metric, labelSelector }: ExternalQuery): string {
  const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/${encodeURIComponent(metric)}`;
  return labelSelector === undefined ? path : `${path}?labelSelector=${encodeURIComponent(labelSelector)}`;
}
