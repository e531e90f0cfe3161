import { asDuration } from '@canopy/model';
import type { RelabelConfig, ScrapeConfig } from '../config.js';

/** A rule as Prometheus fills it in. */
export function relabelConfig(rule: Partial<RelabelConfig>): RelabelConfig {
  return {
    sourceLabels: [],
    separator: ';',
    regex: '(.*)',
    modulus: 0,
    targetLabel: '',
    replacement: '$1',
    action: 'replace',
    ...rule,
  };
}

/** A job `test` with the target `a:1`, every 10 s. */
export function scrapeConfig(config: Partial<ScrapeConfig> = {}): ScrapeConfig {
  return {
    jobName: 'test',
    scrapeInterval: asDuration(10_000),
    scrapeTimeout: asDuration(5000),
    metricsPath: '/metrics',
    scheme: 'http',
    params: {},
    honorLabels: false,
    honorTimestamps: true,
    bodySizeLimit: 0,
    sampleLimit: 0,
    labelLimit: 0,
    labelNameLengthLimit: 0,
    labelValueLengthLimit: 0,
    targetLimit: 0,
    staticConfigs: [{ targets: ['a:1'], labels: {}, source: '0' }],
    fileSdConfigs: [],
    relabelConfigs: [],
    metricRelabelConfigs: [],
    followRedirects: true,
    ...config,
  };
}
