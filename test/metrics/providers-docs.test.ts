import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { metricTemplateSpec, METRIC_PROVIDERS } from '../../src/api/metric-template.js';

interface Manifest {
  kind: string;
  metadata: { name: string };
  spec?: { provider: { type: string; secretRef?: { name: string } } };
}

/** The indented blocks of the page that are manifests. */
const text = readFileSync(new URL('../../docs/metrics-providers.md', import.meta.url), 'utf8');
const blocks = text.split(/\n(?=\S)|\n\n(?= +apiVersion)/).flatMap((block) => {
  const indent = /^ +(?=apiVersion:)/m.exec(block)?.[0];
  if (indent === undefined) return [];
  const lines = block.slice(block.indexOf(`${indent}apiVersion`)).split('\n');
  return [lines.map((line) => line.slice(indent.length)).join('\n')];
});
const manifests = blocks.flatMap((block) => parseAllDocuments(block).map((document) => document.toJS() as Manifest));
const templates = manifests.filter(({ kind }) => kind === 'MetricTemplate');

it('every provider of the page has an example', () => {
  const headings = [...text.matchAll(/^## ([a-z]+)$/gm)].map(([, name]) => name);
  expect(headings).toHaveLength(8);
  expect(new Set(templates.map(({ spec }) => spec?.provider.type))).toEqual(new Set(headings));
  expect(METRIC_PROVIDERS).toEqual(expect.arrayContaining(headings));
});

it.each(templates.map((template) => [`${template.spec?.provider.type ?? ''} ${template.metadata.name}`, template]))('%s is a MetricTemplate without a field that nobody knows', (_name, { spec }) => {
  expect(metricTemplateSpec.parse(spec)).toMatchObject(spec ?? {});
  const secret = spec?.provider.secretRef?.name;
  if (secret !== undefined) expect(manifests).toContainEqual(expect.objectContaining({ kind: 'Secret', metadata: { name: secret } }));
});
