import type { Environment } from '@marcbachmann/cel-js';

/** Registers the functions of the Kubernetes CEL library that rules in the wild use and the CEL package lacks. */
export function registerKubernetesFunctions(environment: Environment): Environment {
  register(environment, 'string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, to),
  );
  register(
    environment,
    'string.find(string): string',
    (text: string, pattern: string) => new RegExp(pattern, 'u').exec(text)?.[0] ?? '',
  );
  register(
    environment,
    'string.findAll(string): list',
    (text: string, pattern: string) => text.match(new RegExp(pattern, 'gu')) ?? [],
  );
  register(environment, 'string.charAt(int): string', (text: string, index: bigint) => text.charAt(Number(index)));
  register(environment, 'isURL(string): bool', (text: string) => URL.canParse(text));
  register(environment, 'list.isSorted(): bool', (list: unknown[]) =>
    list.every((item, index) => index === 0 || !less(item, list[index - 1])),
  );
  register(environment, 'list.sum(): dyn', (list: unknown[]) => sum(list));
  register(environment, 'list.min(): dyn', (list: unknown[]) => list.reduce((best, item) => (less(item, best) ? item : best)));
  register(environment, 'list.max(): dyn', (list: unknown[]) => list.reduce((best, item) => (less(best, item) ? item : best)));
  register(environment, 'list.indexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.indexOf(item)));
  register(environment, 'list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.lastIndexOf(item)));
  return environment;
}

function register(environment: Environment, signature: string, handler: (...args: never[]) => unknown): void {
  try {
    environment.registerFunction(signature, handler as (...args: unknown[]) => unknown);
  } catch (error) {
    // A newer package may bring the function itself; its own is as good.
    if (!(error instanceof Error) || !/overlap|already|duplicate/i.test(error.message)) throw error;
  }
}

const less = (a: unknown, b: unknown): boolean => (a as number) < (b as number);

function sum(list: unknown[]): unknown {
  if (list.length === 0) return 0n;
  return list.reduce((total, item) =>
    typeof total === 'bigint' && typeof item === 'bigint' ? total + item : Number(total) + Number(item),
  );
}
