import { stringify } from 'yaml';
import { crds } from '../src/api/crd.js';
import { apiReference, reasonsReference } from './reference.js';

/** Every generated file: its path from the root of the checkout, and what it must hold. */
export function generatedFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const crd of crds()) {
    const [plural, ...group] = crd.metadata.name.split('.');
    const text = stringify(crd, { lineWidth: 0, aliasDuplicateObjects: false });
    // Helm installs what lies in the chart's own crds/ before everything else.
    for (const folder of ['crds', 'charts/sluice/crds'])
      files.set(`${folder}/${group.join('.')}_${plural ?? ''}.yaml`, `# Generated from src/api by \`npm run generate\`. Change it there.\n${text}`);
  }
  files.set('docs/reference/api.md', apiReference());
  files.set('docs/reference/reasons.md', reasonsReference());
  return files;
}
