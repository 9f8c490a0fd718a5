import { ensureParts, partNames, type PartName } from '../test/real/parts.js';

/** Prepares the real programs that end-to-end tests and benchmarks run, and prints where they are: `tsx scripts/real-parts.ts [part…]`. */
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(partNames as string[]).includes(name));
if (unknown !== undefined) {
  console.error(`real parts: there is no part ${unknown}; choose from ${partNames.join(', ')}`);
  process.exit(2);
}
const need = wanted.length > 0 ? (wanted as PartName[]) : partNames;
try {
  const paths = await ensureParts({ need, onProgress: (message) => console.error(message) });
  for (const [name, file] of Object.entries(paths)) console.log(`${name}\t${file}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
