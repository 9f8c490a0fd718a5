import type { AzureMonitorSettings } from '../../api/metric-providers/azuremonitor.js';

type CloudName = AzureMonitorSettings['cloud'];

export interface Cloud {
  authority: string;
  management: string;
  logs: string;
  /** What hosts of Azure Monitor workspaces (managed Prometheus) end with. */
  prometheus: string;
}

export const CLOUDS: Record<CloudName, Cloud> = {
  public: {
    authority: 'https://login.microsoftonline.com',
    management: 'https://management.azure.com',
    logs: 'https://api.loganalytics.io',
    prometheus: 'prometheus.monitor.azure.com',
  },
  usgovernment: {
    authority: 'https://login.microsoftonline.us',
    management: 'https://management.usgovcloudapi.net',
    logs: 'https://api.loganalytics.us',
    prometheus: 'prometheus.monitor.azure.us',
  },
  china: {
    authority: 'https://login.chinacloudapi.cn',
    management: 'https://management.chinacloudapi.cn',
    logs: 'https://api.loganalytics.azure.cn',
    prometheus: 'prometheus.monitor.azure.cn',
  },
};
