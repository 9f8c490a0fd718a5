import type { MetricTemplateSpec } from '../../api/index.js';
import { templateProblem } from '../../metrics/template/problems.js';
import { placeholdersOf } from '../../metrics/template/render.js';
import { reporter } from '../context.js';
import { pathOf, type Written } from '../documents.js';
import type { Finding } from '../finding.js';

/** Placeholders by which a query tells one release from another. */
const OWN = new Set(['name', 'target', 'service', 'revision', 'commit']);

/** What is wrong with a MetricTemplate that no server has to be asked for. */
export function templateFindings(written: Written, spec: MetricTemplateSpec): Finding[] {
  // That there is none has been said of its schema.
  if (spec.query === undefined && spec.counts === undefined) return [];
  const report = reporter(written);
  const problem = templateProblem(spec);
  if (problem) {
    const field = /^spec[\w.]*/.exec(problem.message)?.[0] ?? 'spec';
    return [report('error', 'query', pathOf(field), problem.message.replace(/^spec[\w.]*(?:: | )?/, ''))];
  }
  const used = new Set(placeholdersOf(JSON.stringify([spec.query, spec.counts, spec.provider])));
  const specific = [...used].some((name) => OWN.has(name) || name.startsWith('variables.'));
  if (specific) return [];
  return [report('warning', 'not-about-the-canary', spec.counts ? ['spec', 'counts'] : ['spec', 'query'], 'the query is the same for every version and every Canary: it cannot tell a bad canary from a bad day; use {{ service }}, {{ target }} or {{ revision }} in it')];
}
