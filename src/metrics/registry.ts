import type { MetricProviderType } from '../api/index.js';
import type { BeforeSend, KubeClient } from '../kube/index.js';
import { createAzureMonitorProvider } from './azuremonitor/index.js';
import { createCloudWatchProvider } from './cloudwatch/index.js';
import { createDatadogProvider } from './datadog/index.js';
import { createDynatraceProvider } from './dynatrace/index.js';
import { createExternalMetricsProvider } from './externalmetrics/index.js';
import { createGraphiteProvider } from './graphite/index.js';
import { createInfluxdbProvider } from './influxdb/index.js';
import { createJobProvider } from './job/index.js';
import { createKayentaProvider } from './kayenta/index.js';
import { createNewRelicProvider } from './newrelic/index.js';
import type { PrometheusClient } from './prometheus/client.js';
import { createPrometheusProvider } from './prometheus/provider.js';
import type { MetricProvider, ProviderOptions } from './provider.js';
import { createSplunkProvider } from './splunk/index.js';
import { createStackdriverProvider } from './stackdriver/index.js';
import { createWebProvider } from './web/index.js';

export interface RegistryOptions extends ProviderOptions {
  prometheus: PrometheusClient;
  /** For what the API server answers or runs. */
  kube?: KubeClient | undefined;
  /** Before anything is written to it: throws when somebody else may lead by now. */
  beforeWrite?: BeforeSend | undefined;
}

/** Every provider of metrics; a new one is a folder and a line here. */
const PROVIDERS: Record<MetricProviderType, (options: RegistryOptions) => MetricProvider> = {
  prometheus: ({ prometheus }) => createPrometheusProvider(prometheus),
  datadog: createDatadogProvider,
  newrelic: createNewRelicProvider,
  cloudwatch: (options) => createCloudWatchProvider(options),
  stackdriver: createStackdriverProvider,
  azuremonitor: (options) => createAzureMonitorProvider(options),
  dynatrace: createDynatraceProvider,
  graphite: createGraphiteProvider,
  influxdb: createInfluxdbProvider,
  splunk: createSplunkProvider,
  externalmetrics: createExternalMetricsProvider,
  web: createWebProvider,
  job: createJobProvider,
  kayenta: createKayentaProvider,
};

/** The providers, each made when it is first asked. */
export function createRegistry(options: RegistryOptions): (type: MetricProviderType) => MetricProvider {
  const made = new Map<MetricProviderType, MetricProvider>();
  return (type) => {
    const known = made.get(type);
    if (known) return known;
    const provider = PROVIDERS[type](options);
    made.set(type, provider);
    return provider;
  };
}
