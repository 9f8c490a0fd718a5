import { KINDS, kindSchema, type KindDefinition } from '../src/api/crd.js';
import { API_VERSION } from '../src/api/common.js';
import { Reasons } from '../src/api/reasons.js';
import type { StructuralSchema } from '../src/api/structural.js';
import { GitReasons } from '../src/git/reasons.js';

const GENERATED = '<!-- Generated from src/api by `npm run generate`. Change it there. -->';

/** docs/reference/api.md: every field of every kind. */
export function apiReference(): string {
  const kinds = KINDS.map((kind) => `- [${kind.resource.kind}](#${kind.resource.kind.toLowerCase()})`);
  return `${[GENERATED, `# API reference: ${API_VERSION}`, kinds.join('\n'), ...KINDS.map(kindSection)].join('\n\n')}\n`;
}

/** docs/reference/reasons.md: every reason that a condition, an ending or an event carries. */
export function reasonsReference(): string {
  const intro =
    'Every condition, ending and event of Sluice carries one of these reasons. The message beside it names the object, the field and the next step. [Troubleshooting](../troubleshooting.md) says what to do about each.';
  const sections = ['## Canary', reasonTable(Reasons), '## GitSource', reasonTable(GitReasons)];
  return `${[GENERATED, '# Reasons', intro, ...sections].join('\n\n')}\n`;
}

function reasonTable(reasons: Record<string, string>): string {
  const rows = Object.entries(reasons).map(([reason, text]) => `| \`${reason}\` | ${cell(text)} |`);
  return ['| reason | meaning |', '|---|---|', ...rows].join('\n');
}

function kindSection(kind: KindDefinition): string {
  const { plural, kind: name } = kind.resource;
  const { spec, status } = kindSchema(kind).properties ?? {};
  const names = `\`kubectl get ${plural}\` (short: ${kind.shortNames.map((short) => `\`${short}\``).join(', ')}).`;
  return [
    `## ${name}`,
    `${kind.description} ${names}`,
    ...(kind.scale ? ['It has a `/scale` subresource, for `kubectl scale` and autoscalers.'] : []),
    `### ${name} spec`,
    kind.specDescription,
    ...fieldTable('spec', spec),
    `### ${name} status`,
    kind.statusDescription,
    ...fieldTable('status', status),
  ].join('\n\n');
}

function fieldTable(root: string, schema: StructuralSchema | undefined): string[] {
  if (!schema) return [];
  const rows = fieldRows('', schema);
  const rules = ruleLines(root, schema);
  const table = ['| field | type | default | description |', '|---|---|---|---|', ...rows].join('\n');
  return rules.length > 0 ? [table, ['Rules:', '', ...rules].join('\n')] : [table];
}

function fieldRows(path: string, schema: StructuralSchema): string[] {
  const rows: string[] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const here = path ? `${path}.${name}` : name;
    const inner = field.items?.properties ? `${here}[]` : here;
    rows.push(
      `| \`${here}\` | ${cell(typeText(field))} | ${defaultText(field, schema.required?.includes(name) ?? false)} | ${cell(field.description ?? '')} |`,
    );
    rows.push(...fieldRows(inner, field.items?.properties ? field.items : field));
  }
  return rows;
}

function defaultText(field: StructuralSchema, required: boolean): string {
  if (required) return '**required**';
  return field.default === undefined ? '' : `\`${JSON.stringify(field.default)}\``;
}

function typeText(field: StructuralSchema): string {
  if (field['x-kubernetes-int-or-string']) return 'integer or string';
  if (field.enum) return field.enum.map((value) => `\`${value}\``).join(' or ');
  if (field.items) return `list of ${typeText(field.items)}${bounds(undefined, field.maxItems, 'items')}`;
  if (field.additionalProperties)
    return `map to ${typeText(field.additionalProperties)}${bounds(undefined, field.maxProperties, 'entries')}`;
  if (field.format === 'date-time') return 'time';
  if (field.type === 'string')
    return field.pattern?.includes('(h|m|s|ms)') ? 'duration' : `string${bounds(undefined, field.maxLength, 'characters')}`;
  if (field['x-kubernetes-preserve-unknown-fields']) return 'object (any fields)';
  return `${field.type ?? ''}${bounds(field.minimum, field.maximum, '')}`;
}

function bounds(minimum: number | undefined, maximum: number | undefined, unit: string): string {
  const tail = unit ? ` ${unit}` : '';
  if (minimum !== undefined && maximum !== undefined) return ` (${minimum} to ${maximum}${tail})`;
  if (maximum !== undefined) return ` (at most ${maximum}${tail})`;
  return minimum === undefined ? '' : ` (at least ${minimum}${tail})`;
}

function ruleLines(path: string, schema: StructuralSchema): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map((rule) => `- \`${path}\`: ${rule.message}.`);
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => ruleLines(`${path}.${name}`, field));
  return [...own, ...inner, ...(schema.items ? ruleLines(`${path}[]`, schema.items) : [])];
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
