import type { MetricTemplateSpec } from '../../api/index.js';
import type { Problem } from '../../core/evidence.js';
import { render, renderAll, type Placeholders } from './render.js';
import { promqlProblem } from './promql.js';
import { variablesOf } from './values.js';

/** What stands for each placeholder while nobody knows what it will be. */
const NEUTRAL: [string, string][] = [
  ['name', 'x'],
  ['namespace', 'x'],
  ['target', 'x'],
  ['service', 'x'],
  ['stableService', 'x'],
  ['revision', 'x'],
  ['stable', 'x'],
  ['commit', 'x'],
  ['interval', '1m'],
];

/** A variable that nobody has given may be a time, a number or a name. */
const STAND_INS = ['1m', '1', 'x'];

/**
 * What is wrong with a MetricTemplate that can be told without asking its server; undefined when nothing is.
 * @param variables what a Canary gives; undefined when it is not about any Canary
 */
export function templateProblem(spec: MetricTemplateSpec, variables?: Readonly<Record<string, string>>): Problem | undefined {
  if (variables === undefined) return standIns(spec);
  const known = variablesOf(spec, variables);
  if ('problem' in known) return { reason: 'InvalidSpec', message: known.problem };
  return withValues(spec, known.done);
}

/** Only what is wrong with every stand-in is wrong with the template. */
function standIns(spec: MetricTemplateSpec): Problem | undefined {
  const used = usedVariables(spec);
  const undeclared = spec.variables && used.find((name) => !spec.variables?.some((one) => one.name === name));
  if (undeclared !== undefined) return { reason: 'InvalidQuery', message: `"{{ variables.${undeclared} }}" is not declared in spec.variables; add it there` };
  let first: Problem | undefined;
  for (const standIn of used.length > 0 ? STAND_INS : ['x']) {
    const problem = withValues(spec, Object.fromEntries(used.map((name) => [name, spec.variables?.find((one) => one.name === name)?.default ?? standIn])));
    if (!problem) return undefined;
    first ??= problem;
  }
  return first;
}

function withValues(spec: MetricTemplateSpec, variables: Readonly<Record<string, string>>): Problem | undefined {
  const values: Placeholders = new Map([...NEUTRAL, ...Object.entries(variables).map(([name, value]): [string, string] => [`variables.${name}`, value])]);
  const settings = renderAll(spec.provider[spec.provider.type as keyof typeof spec.provider], values);
  if ('problem' in settings) return { reason: 'InvalidQuery', message: `spec.provider.${spec.provider.type}: ${settings.problem}` };
  for (const { field, text } of queriesOf(spec)) {
    const rendered = render(text, values);
    if ('problem' in rendered) return { reason: 'InvalidQuery', message: `${field}: ${rendered.problem}` };
    const problem = isPromql(spec) ? promqlProblem(rendered.done) : undefined;
    if (problem !== undefined) return { reason: 'InvalidQuery', message: `${field} at ${problem}` };
  }
  return undefined;
}

const isPromql = ({ provider }: MetricTemplateSpec): boolean => provider.type === 'prometheus' && provider.prometheus?.dialect !== 'metricsql';

function queriesOf({ query, counts }: MetricTemplateSpec): { field: string; text: string }[] {
  if (counts) return [{ field: 'spec.counts.bad', text: counts.bad }, { field: 'spec.counts.total', text: counts.total }];
  return query === undefined ? [] : [{ field: 'spec.query', text: query }];
}

function usedVariables(spec: MetricTemplateSpec): string[] {
  const all = JSON.stringify([spec.query, spec.counts, spec.provider]);
  return [...new Set([...all.matchAll(/\{\{\s*variables\.([^\s}]+)\s*\}\}/g)].map(([, name = '']) => name))];
}
