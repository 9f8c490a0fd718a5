import { isLatency } from '../../core/checks.js';
import { verdictRefusal } from '../../core/verdict/refusal.js';
import { nameOf } from '../../lint/documents.js';
import { latencyBound, oddsOf, type Odds } from '../../simulate/odds.js';
import type { Declared } from '../../simulate/traffic.js';
import { CliError, Exit } from '../errors.js';
import { readCanaryFile, type CanaryFile } from '../files.js';
import { json } from '../format.js';
import type { Io } from '../io.js';
import { percent } from '../percent.js';
import { assumptions } from './assumptions.js';
import { text } from './text.js';

/** Shares are from 0 to 1, latencies in milliseconds. */
export interface SimulateFlags {
  output: 'text' | 'json';
  name?: string;
  errorRate: number;
  canaryErrorRate?: number;
  rps: number;
  p99?: number;
  canaryP99?: number;
  matching: number;
  clusters: number;
  runs: number;
  seed: number;
}

/** One canary that was simulated. */
export interface Row extends Odds {
  canaryErrorRate: number;
  canaryP99: number;
}

/** What `--output json` prints. */
export interface Simulation {
  canary: string;
  file: string;
  rps: number;
  stable: { errorRate: number; p99: number };
  seed: number;
  /** Whether the spec judges how long requests take. */
  latency: boolean;
  assumptions: string[];
  rows: Row[];
}

/** Healthy versions answer in this share of the time that is allowed. */
const HEALTHY_SHARE = 0.5;
const USUAL_P99 = 200;

/** `sluice simulate`: the odds of a release, before there is one. */
export async function simulate(io: Io, file: string, flags: SimulateFlags): Promise<number> {
  const found = await readCanaryFile(file, flags.name);
  refuse(found);
  const simulation = await simulationOf(io, found, flags);
  if (io.signal.aborted) return Exit.interrupted;
  io.out(flags.output === 'json' ? json(simulation) : text(io, simulation));
  return Exit.ok;
}

/** @throws CliError for what the controller would not release either */
function refuse({ written, spec, others }: CanaryFile): void {
  const counted = others.flatMap(({ manifest }) => ((manifest['spec'] as { counts?: unknown } | undefined)?.counts ? [manifest.metadata.name] : []));
  const templates = spec.analysis.metrics.filter(({ templateRef }) => templateRef && counted.includes(templateRef.name)).map(({ name }) => name);
  const refused = verdictRefusal(spec, templates);
  if (refused !== undefined) throw new CliError(`${written.file}:${written.lineOf(['spec', 'analysis', 'verdict'])} ${nameOf(written.manifest)} ${refused}`);
}

async function simulationOf(io: Io, { written, spec }: CanaryFile, flags: SimulateFlags): Promise<Simulation> {
  const { rps, errorRate, matching, clusters, runs, seed } = flags;
  const p99 = flags.p99 ?? Math.min(USUAL_P99, (latencyBound(spec) ?? Number.POSITIVE_INFINITY) * HEALTHY_SHARE);
  const stable = { errorRate, p99 };
  const canaryP99 = flags.canaryP99 ?? p99;
  const rows: Row[] = [];
  for (const canaryErrorRate of ratesOf(flags)) {
    const declared: Declared = { rps, matching, clusters, stable, canary: { errorRate: canaryErrorRate, p99: canaryP99 } };
    const odds = await oddsOf(spec, declared, runs, seed, (done) => pause(io, `${percent(canaryErrorRate)}: ${done} of ${runs}`));
    rows.push({ canaryErrorRate, canaryP99, ...odds });
  }
  if (io.isTTY) io.err(CLEAR);
  const latency = spec.analysis.metrics.some(({ name }) => isLatency(name));
  return { canary: nameOf(written.manifest), file: written.file, rps, stable, seed, latency, assumptions: assumptions(spec, { matching, clusters, stable }, latency), rows };
}

/** The one that was asked for, or some that people have: as good as stable, twice as bad, a little, clearly and half broken. */
function ratesOf({ errorRate, canaryErrorRate }: SimulateFlags): number[] {
  if (canaryErrorRate !== undefined) return [canaryErrorRate];
  return [...new Set([errorRate, Math.min(1, 2 * errorRate), 0.01, 0.05, 0.5])].filter((rate) => rate >= errorRate).toSorted((a, b) => a - b);
}

/** Back to the begin of the line, which is empty then. */
const CLEAR = '\r\u001b[K';

/** Signals get their turn, and people see that something goes on. */
async function pause(io: Io, progress: string): Promise<void> {
  const { signal, isTTY } = io;
  if (isTTY) io.err(`${CLEAR}a canary that fails ${progress}`);
  await new Promise((resolve) => setImmediate(resolve));
  if (signal.aborted) throw new CliError('interrupted', Exit.interrupted);
}
