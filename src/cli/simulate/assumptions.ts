import type { CanarySpec } from '../../api/index.js';
import { compilePlan } from '../../core/plan.js';
import { unsimulated } from '../../simulate/odds.js';
import { LATENCY_SIGMA } from '../../simulate/latency.js';
import type { Declared } from '../../simulate/traffic.js';
import { percent } from '../percent.js';

/** What a simulation takes for granted, one sentence each: the odds are those of a world like this. */
export function assumptions(spec: CanarySpec, { matching, clusters, stable }: Pick<Declared, 'matching' | 'clusters' | 'stable'>, hasLatency: boolean): string[] {
  const { analysis } = spec;
  const plan = compilePlan(analysis);
  const passing = unsimulated(spec);
  const hooks = (analysis.webhooks ?? []).map(({ name }) => name);
  return [
    `Requests come one by one (Poisson), as many at night as by day. ${clusters > 1 ? `They fail about ${clusters} at a time` : 'They fail one by one (--clusters: several at a time, which is harder to tell from a regression)'}; as often in one minute as in another.`,
    'Pods are ready at once, weights are in force as soon as they are written, and counts are complete every 5 s.',
    ...(hasLatency ? [`Latencies are log-normal (sigma ${LATENCY_SIGMA}), p99 ${stable.p99} ms on the stable version, counted in Istio's buckets.`] : []),
    ...(passing.length > 0 ? [`Not simulated, taken to pass every time: ${passing.join(', ')}.`] : []),
    ...(hooks.length > 0 ? [`Webhooks agree at once: ${hooks.join(', ')}.`] : []),
    ...(plan.some(({ approve }) => approve) ? ['Whoever has to approve does so at once.'] : []),
    ...(plan.some(({ match }) => match) ? [`${percent(matching)} of the requests match (--matching).`] : []),
    ...(plan.some(({ fault }) => fault) ? ['Injected faults do no harm: what the canary makes of them is not simulated.'] : []),
    ...(analysis.sessionAffinity ? ['Users come once: session affinity is not simulated.'] : []),
    ...(spec.suspend ? ['spec.suspend is false.'] : []),
  ];
}
