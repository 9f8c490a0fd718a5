import { fileURLToPath } from 'node:url';

/** A local program that stands in for a container image. */
export interface Program {
  /** Executable; the running Node by default. */
  command?: string;
  args: string[];
  /** Defaults that the pod's own environment overrides. */
  env?: Record<string, string>;
}

/** From an image reference to a program; undefined means that no registry has the image. */
export type Programs = (image: string) => Program | undefined;

// The same depth from src/ and from dist/.
const APP = new URL('../../../../examples/bookinfo/app/', import.meta.url);
const NAMES = new Set(['productpage', 'details', 'reviews', 'ratings']);
const BOOKINFO = /^(?:docker\.io\/)?istio\/examples-bookinfo-([a-z]+)-(v\d+)(?::[\w][\w.-]*)?(?:@sha256:[0-9a-f]+)?$/;
const SANDBOX = /^sandbox\/([a-z]+)(?::[\w][\w.-]*)?$/;

/** Bookinfo's published images (`docker.io/istio/examples-bookinfo-reviews-v2:1.20.3`) and `sandbox/<program>:<tag>`. */
export const programs: Programs = (image) => {
  const [, name, version] = BOOKINFO.exec(image) ?? SANDBOX.exec(image) ?? [];
  if (name === undefined || !NAMES.has(name)) return undefined;
  const env: Record<string, string> = version === undefined ? {} : { SERVICE_VERSION: version };
  return { args: [fileURLToPath(new URL(`${name}.mjs`, APP))], env };
};
