import type { ApiRequest, Refusal } from '../json-api.js';
import { authorizationOf } from '../http-auth.js';
import type { ProviderQuery } from '../provider.js';
import { endpoint, fromTemplate } from '../questions.js';
import { renderAnswer, renderError, type RenderAnswer } from './schema.js';

/**
 * The render API over the time of the evidence. A query is a target, or a query string as Flagger has it (`target=…&from=-2min`), whose
 * own times count.
 * @throws Failure
 */
export function graphiteRequest(query: ProviderQuery): ApiRequest<RenderAnswer> {
  const form = new URLSearchParams({ from: seconds(query.from), until: seconds(query.to) });
  for (const [name, value] of parametersOf(query.query)) {
    if (name === 'target') form.append(name, value);
    else form.set(name, value);
  }
  form.set('format', 'json');
  return {
    url: endpoint(query, '', '/render'),
    body: form.toString(),
    ...fromTemplate(query),
    own: { ...authorizationOf(query), 'Content-Type': 'application/x-www-form-urlencoded' },
    answer: renderAnswer,
    decode,
    refusal,
  };
}

const seconds = (ms: number): string => String(Math.floor(ms / 1000));

function parametersOf(query: string): [string, string][] {
  const text = query.trim();
  if (!/(^|&)\s*target=/.test(text)) return [['target', text]];
  // Line breaks are for people.
  return [...new URLSearchParams(text.replace(/\s*\n\s*/g, ''))].filter(([name]) => name !== 'format');
}

function decode(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return { text: body };
  }
}

function refusal(body: unknown): Refusal | undefined {
  const error = renderError.safeParse(body).data;
  if (!error) return undefined;
  if ('text' in error) return { message: error.text.trim() };
  if ('errors' in error) return { message: JSON.stringify(error.errors) };
  return { message: 'message' in error ? error.message : error.error };
}
