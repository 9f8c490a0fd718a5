import type { Command } from 'commander';
import type { Cli } from '../io.js';
import { examples } from '../options.js';

export function registerCrds(program: Command, { io }: Cli): void {
  program
    .command('crds')
    .description("Print the CustomResourceDefinitions of Sluice's kinds as YAML.")
    .addHelpText('after', examples('sluice crds | kubectl apply -f -'))
    .action(async () => {
      const [{ crds }, { stringify }] = await Promise.all([import('../../api/crd.js'), import('yaml')]);
      const documents = crds().map((crd) => stringify(crd, { lineWidth: 0, aliasDuplicateObjects: false }));
      io.out(documents.join('---\n'));
    });
}
