import { readFileSync } from 'node:fs';
import { Environment } from '@marcbachmann/cel-js';
import { LuaFactory } from 'wasmoon';
import { parse } from 'yaml';
import type { Canary } from '../../src/api/index.js';

const example = (path: string): string => readFileSync(new URL(`../../examples/${path}`, import.meta.url), 'utf8');

interface HealthCheck {
  inProgress: string;
  failed: string;
  current: string;
}

/**
 * What Flux makes of the `healthCheckExprs` in examples/flux/kustomization.yaml, in its order: an older generation, then in progress,
 * failed and current. An expression about a field that is not there yet is an error, and Flux goes on waiting.
 */
export function fluxHealth(canary: Canary): 'InProgress' | 'Failed' | 'Current' | 'Waiting' {
  const { spec } = parse(example('flux/kustomization.yaml')) as { spec: { healthCheckExprs: HealthCheck[] } };
  const [check] = spec.healthCheckExprs;
  if (!check) throw new Error('examples/flux/kustomization.yaml has no healthCheckExprs');
  const { status, metadata } = canary;
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation) return 'InProgress';
  const environment = new Environment({ unlistedVariablesAreDyn: true });
  const holds = (expression: string): boolean => environment.parse(expression)(canary as unknown as Record<string, unknown>) === true;
  if (status?.conditions === undefined) return 'Waiting';
  if (holds(check.inProgress)) return 'InProgress';
  if (holds(check.failed)) return 'Failed';
  return holds(check.current) ? 'Current' : 'InProgress';
}

/** A value as Lua writes it; a field that is not there is nil. */
function luaOf(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(luaOf).join(',')}}`;
  if (typeof value === 'object' && value !== null) return `{${Object.entries(value).map(([key, item]) => `[${luaOf(key)}]=${luaOf(item)}`).join(',')}}`;
  if (typeof value === 'string') return `"${[...Buffer.from(value)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`;
  return value === undefined || value === null ? 'nil' : String(value as number | boolean);
}

/** What examples/argo-cd/health.lua says of a Canary, run by Lua as Argo CD does. */
export async function argoHealth(canary: Canary): Promise<{ status: string; message: string }> {
  const lua = await new LuaFactory().createEngine();
  try {
    return (await lua.doString(`local obj = ${luaOf(canary)}\n${example('argo-cd/health.lua')}`)) as { status: string; message: string };
  } finally {
    lua.global.close();
  }
}
