import type { MetricProviderSpec } from '../../api/index.js';
import type { MeasureRequest } from '../../engine/ports.js';
import type { ProviderQuery } from '../provider.js';
import { render, renderAll, type Placeholders, type Rendered } from './render.js';

export type Template = NonNullable<MeasureRequest['template']>;

/** The question that a text of the template asks for one side. */
export function questionOf(template: Template, request: MeasureRequest, field: string, text: string, values: Placeholders): Rendered<ProviderQuery> {
  const query = render(text, values, escapeOf(template.spec.provider));
  if ('problem' in query) return { problem: `${field}: ${query.problem}` };
  const provider = settingsOf(template.spec.provider, values);
  if ('problem' in provider) return { problem: `spec.provider.${template.spec.provider.type}: ${provider.problem}` };
  const { namespace, from, to, check = '', uid, name } = request;
  return {
    done: {
      template: template.name,
      provider: provider.done,
      query: query.done,
      address: addressOf(template, request),
      namespace,
      from,
      to,
      check,
      ...(template.credentials ? { credentials: template.credentials } : {}),
      ...(uid === undefined ? {} : { owner: { name, uid } }),
    },
  };
}

/** What is part of a URL must not become another part of it. */
const escapeOf = ({ azuremonitor }: MetricProviderSpec): ((value: string) => string) | undefined => (azuremonitor?.resource === undefined ? undefined : encodeURIComponent);

/** Only Prometheus has a server of its own in every installation. */
export function addressOf({ spec: { provider } }: Template, { server }: MeasureRequest): string {
  return provider.address ?? (provider.type === 'prometheus' ? server : '');
}

function settingsOf(provider: MetricProviderSpec, values: Placeholders): Rendered<MetricProviderSpec> {
  if (provider.web?.path === undefined) return renderSettings(provider, values);
  const path = render(provider.web.path, values, encodeURIComponent);
  if ('problem' in path) return path;
  const { path: _, ...web } = provider.web;
  const rest = renderSettings({ ...provider, web }, values);
  return 'problem' in rest ? rest : { done: { ...rest.done, web: { ...web, ...rest.done.web, path: path.done } } };
}

/** What only this type of provider has. Address and headers belong to the server, whoever asks it. */
function renderSettings(provider: MetricProviderSpec, values: Placeholders): Rendered<MetricProviderSpec> {
  const { type, address, headers, secretRef, insecureSkipVerify, ...settings } = provider;
  const rendered = renderAll(settings, values);
  return 'problem' in rendered ? rendered : { done: { type, address, headers, secretRef, insecureSkipVerify, ...rendered.done } };
}
