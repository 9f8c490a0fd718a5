import { influxdbSettings } from '../../api/metric-providers/influxdb.js';
import { JsonApi } from '../json-api.js';
import type { MetricProvider, ProviderOptions } from '../provider.js';
import { settingsOf } from '../questions.js';
import { fluxSamples, influxqlSamples } from './parse.js';
import { fluxRequest, influxqlRequest } from './query.js';

/** InfluxDB 1 by InfluxQL, InfluxDB 2 by Flux. */
export function createInfluxdbProvider(options: ProviderOptions): MetricProvider {
  const api = new JsonApi('InfluxDB', options);
  return api.provider(async (query) => {
    const settings = settingsOf(influxdbSettings, query);
    const { database } = settings;
    const samples = database === undefined ? await api.question(fluxRequest(query, settings), fluxSamples) : await api.question(influxqlRequest(query, { ...settings, database }), influxqlSamples);
    return { kind: 'samples', samples };
  });
}
