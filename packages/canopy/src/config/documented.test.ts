/**
 * What Prometheus 3's documentation shows (examples for Kubernetes, federation, the multi-target pattern, UTF-8
 * names, keys newer than Debian's 2.42), as a user would write it: how it is understood. What 2.42 knows is
 * compared with a real one in `meaning.test.ts`.
 */
import type { DurationMs } from '@canopy/model';
import type { RelabelConfig, ScrapeConfig } from '@canopy/scrape';
import { expect, test } from 'vitest';
import { loadConfig } from './load.js';

function load(text: string) {
  return loadConfig('/etc/prometheus/prometheus.yml', {
    readFile: () => text,
    listFolder: () => [],
    env: {},
    defaultScrapeInterval: 60_000 as DurationMs,
  });
}

const check = (text: string, ...expected: ReadonlyArray<Partial<ScrapeConfig>>): void =>
  expect(load(text).scrapeConfigs).toMatchObject(expected);

const rule = (more: Partial<RelabelConfig>): RelabelConfig => ({
  sourceLabels: [],
  separator: ';',
  regex: '(.*)',
  modulus: 0,
  targetLabel: '',
  replacement: '$1',
  action: 'replace',
  ...more,
});

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const discovered = (role: 'endpoints' | 'node' | 'service' | 'ingress' | 'pod') => ({
  role,
  namespaces: [],
  ownNamespace: false,
  selectors: [],
  attach: { node: false, namespace: false },
});

test('a cluster: API servers, kubelets, services by annotation', () => {
  check(
    `
scrape_configs:
  - job_name: kubernetes-apiservers
    kubernetes_sd_configs:
      - role: endpoints
    scheme: https
    tls_config:
      ca_file: ${ACCOUNT}/ca.crt
    authorization:
      credentials_file: ${ACCOUNT}/token
    relabel_configs:
      - source_labels: [__meta_kubernetes_namespace, __meta_kubernetes_service_name, __meta_kubernetes_endpoint_port_name]
        action: keep
        regex: default;kubernetes;https
  - job_name: cadvisor
    scheme: https
    metrics_path: /metrics/cadvisor
    bearer_token_file: ${ACCOUNT}/token
    tls_config: { insecure_skip_verify: true }
    kubernetes_sd_configs: [{ role: node }]
    relabel_configs:
      - action: labelmap
        regex: __meta_kubernetes_node_label_(.+)
  - job_name: annotated
    kubernetes_sd_configs: [{ role: endpoints }]
    relabel_configs:
      - source_labels: [__meta_kubernetes_service_annotation_example_io_should_be_scraped]
        action: keep
        regex: true
      - source_labels: [__address__, __meta_kubernetes_service_annotation_example_io_scrape_port]
        action: replace
        target_label: __address__
        regex: (.+?)(?::\\d+)?;(\\d+)
        replacement: $1:$2
`,
    {
      jobName: 'kubernetes-apiservers',
      scheme: 'https',
      tls: { ca: { file: `${ACCOUNT}/ca.crt` }, insecureSkipVerify: false },
      auth: { type: 'header', scheme: 'Bearer', credentials: { file: `${ACCOUNT}/token` } },
      kubernetesSdConfigs: [{ ...discovered('endpoints'), followRedirects: true }],
      relabelConfigs: [
        rule({
          sourceLabels: [
            '__meta_kubernetes_namespace',
            '__meta_kubernetes_service_name',
            '__meta_kubernetes_endpoint_port_name',
          ],
          action: 'keep',
          regex: 'default;kubernetes;https',
        }),
      ],
    },
    {
      metricsPath: '/metrics/cadvisor',
      auth: { type: 'header', scheme: 'Bearer', credentials: { file: `${ACCOUNT}/token` } },
      tls: { insecureSkipVerify: true },
      kubernetesSdConfigs: [{ ...discovered('node'), followRedirects: true }],
      relabelConfigs: [rule({ action: 'labelmap', regex: '__meta_kubernetes_node_label_(.+)' })],
    },
    {
      relabelConfigs: [
        rule({
          sourceLabels: ['__meta_kubernetes_service_annotation_example_io_should_be_scraped'],
          action: 'keep',
          regex: 'true',
        }),
        rule({
          sourceLabels: [
            '__address__',
            '__meta_kubernetes_service_annotation_example_io_scrape_port',
          ],
          targetLabel: '__address__',
          regex: '(.+?)(?::\\d+)?;(\\d+)',
          replacement: '$1:$2',
        }),
      ],
    },
  );
});

test('federation, and a prober that is told its target', () => {
  check(
    `
scrape_configs:
  - job_name: federate
    scrape_interval: 15s
    honor_labels: true
    metrics_path: /federate
    params:
      'match[]':
        - '{job="prometheus"}'
        - '{__name__=~"job:.*"}'
    static_configs:
      - targets: ['source-1:9090', 'source-2:9090']
  - job_name: blackbox
    metrics_path: /probe
    params: { module: [http_2xx] }
    static_configs: [{ targets: [https://prometheus.io] }]
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - target_label: __address__
        replacement: 127.0.0.1:9115
`,
    {
      honorLabels: true,
      scrapeInterval: 15_000 as DurationMs,
      scrapeTimeout: 10_000 as DurationMs,
      metricsPath: '/federate',
      params: { 'match[]': ['{job="prometheus"}', '{__name__=~"job:.*"}'] },
      staticConfigs: [{ targets: ['source-1:9090', 'source-2:9090'], labels: {}, source: '0' }],
    },
    {
      params: { module: ['http_2xx'] },
      staticConfigs: [{ targets: ['https://prometheus.io'], labels: {}, source: '0' }],
      relabelConfigs: [
        rule({ sourceLabels: ['__address__'], targetLabel: '__param_target' }),
        rule({ targetLabel: '__address__', replacement: '127.0.0.1:9115' }),
      ],
    },
  );
});

test('keys of Prometheus 3', () => {
  const text = `
global:
  metric_name_validation_scheme: legacy
  scrape_protocols: [PrometheusProto, PrometheusText0.0.4]
  label_limit: 30
  body_size_limit: 1MiB
  keep_dropped_targets: 100
  rule_query_offset: 1m
runtime: { gogc: 75 }
otlp:
  promote_resource_attributes: [service.name]
  translation_strategy: NoUTF8EscapingWithSuffixes
scrape_configs:
  - job_name: plain
  - job_name: own
    metric_name_validation_scheme: utf8
    metric_name_escaping_scheme: dots
    scrape_protocols: [OpenMetricsText1.0.0]
    fallback_scrape_protocol: PrometheusText0.0.4
    track_timestamps_staleness: true
    label_limit: 5
    extra_scrape_metrics: true
    scrape_native_histograms: false
    always_scrape_classic_histograms: true
    native_histogram_bucket_limit: 160
    http_headers: { X-Tenant: { values: [a], files: [tenant] } }
    proxy_from_environment: true
    dns_sd_configs: [{ names: [mail.example.org], type: MX, port: 9100 }]
    metric_relabel_configs:
      - { source_labels: [http.method], target_label: method }
`;
  check(
    text,
    {
      metricNameValidationScheme: 'legacy',
      metricNameEscapingScheme: 'underscores',
      scrapeProtocols: ['PrometheusProto', 'PrometheusText0.0.4'],
      labelLimit: 30,
      bodySizeLimit: 1 << 20,
      keepDroppedTargets: 100,
      extraScrapeMetrics: false,
      trackTimestampsStaleness: undefined,
    },
    {
      metricNameValidationScheme: 'utf8',
      metricNameEscapingScheme: 'dots',
      scrapeProtocols: ['OpenMetricsText1.0.0'],
      fallbackScrapeProtocol: 'PrometheusText0.0.4',
      trackTimestampsStaleness: true,
      labelLimit: 5,
      extraScrapeMetrics: true,
      httpHeaders: [{ name: 'X-Tenant', values: ['a', { file: '/etc/prometheus/tenant' }] }],
      proxy: { url: 'environment', noProxy: '', connectHeader: {} },
      dnsSdConfigs: [
        {
          names: ['mail.example.org'],
          type: 'MX',
          port: 9100,
          refreshInterval: 30_000 as DurationMs,
        },
      ],
      metricRelabelConfigs: [rule({ sourceLabels: ['http.method'], targetLabel: 'method' })],
    },
  );
  // What has no effect is said.
  const said = load(text).ignored.map(({ key }) => key);
  expect(said.sort()).toEqual(['global.rule_query_offset', 'otlp', 'runtime']);
});
