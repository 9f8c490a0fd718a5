import { Failure, JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { configIdOf, scoreOf } from './parse.js';
import { analysisOf, configsRequest, resultRequest, startRequest, type Analysis } from './query.js';

/** Analyses that are remembered; a check whose analysis was forgotten begins another one of its time. */
const KEPT = 500;

/** Kayenta, the canary judge of Spinnaker: begins an analysis, and gives its score once it is there. */
export function createKayentaProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('Kayenta', options);
  /** Executions that checks began. An analysis only reads, so one that is lost with the controller does no harm. */
  const running = new Map<string, Promise<string>>();

  async function start(analysis: Analysis): Promise<string> {
    const { settings } = analysis;
    const configId = await api.question(configsRequest(analysis), (configs) => configIdOf(configs, settings.canaryConfigName));
    return await api.question(startRequest(analysis, configId), ({ canaryExecutionId }) => canaryExecutionId);
  }

  function executionOf(key: string, analysis: Analysis): Promise<string> {
    const known = running.get(key);
    if (known) return known;
    const begun = start(analysis);
    running.set(key, begun);
    begun.catch(() => running.delete(key));
    for (const oldest of running.keys()) {
      if (running.size <= KEPT) break;
      running.delete(oldest);
    }
    return begun;
  }

  return api.provider(async (query) => {
    const analysis = analysisOf(query);
    // Another query, or another Kayenta, is another analysis, even where the check is the same.
    const key = JSON.stringify([query.check, query.address, analysis.scopes, analysis.settings]);
    const id = await executionOf(key, analysis);
    try {
      const answer = await api.question(resultRequest(analysis, id), (state) => scoreOf(state, id));
      // What failed is not asked for again: the next question begins anew.
      if (answer.kind === 'failed') running.delete(key);
      return answer;
    } catch (error) {
      if (error instanceof Failure && error.status === 404) running.delete(key);
      throw error;
    }
  });
}
