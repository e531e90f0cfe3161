/**
 * Keys of a Prometheus configuration that Canopy knows and does not act on, by what that means for
 * the user. Anything that is in neither list nor in the schema is a misspelling.
 * Names as of Prometheus 3.14, docs/configuration/configuration.md.
 */

/** Top-level sections that change nothing about what is scraped: ignored, said once. */
export const IGNORED_SECTIONS: Readonly<Record<string, string>> = {
  rule_files: 'recording and alerting rules are not evaluated',
  alerting: 'no alerts are sent',
  remote_write: 'nothing is pushed; a Prometheus can scrape /federate instead',
  remote_read: 'queries are answered from own data only',
  tracing: 'no traces are sent',
  otlp: 'OTLP is not received',
  runtime: 'settings of the Go runtime',
};

/** Keys of `global` that change nothing about what is scraped. */
export const IGNORED_GLOBAL: ReadonlySet<string> = new Set([
  'evaluation_interval',
  'rule_query_offset',
  'query_log_file',
  'scrape_failure_log_file',
  'keep_dropped_targets',
  'scrape_protocols',
  'convert_classic_histograms_to_nhcb',
  'always_scrape_classic_histograms',
  'extra_scrape_metrics',
]);

/** Keys of a scrape configuration that change how, not what. */
export const IGNORED_SCRAPE: ReadonlySet<string> = new Set([
  'enable_http2',
  'keep_dropped_targets',
  'scrape_failure_log_file',
  'scrape_protocols',
  'fallback_scrape_protocol',
  'always_scrape_classic_histograms',
  'enable_compression',
]);

/** Keys of a scrape configuration that change what is scraped and are still to come. */
export const REFUSED_SCRAPE: ReadonlySet<string> = new Set([
  'proxy_url',
  'no_proxy',
  'proxy_from_environment',
  'proxy_connect_header',
  'tls_config',
  'oauth2',
  'http_headers',
  'bearer_token',
  'bearer_token_file',
  'sigv4',
  'track_timestamps_staleness',
  'scrape_native_histograms',
  'scrape_classic_histograms',
  'native_histogram_bucket_limit',
  'native_histogram_min_bucket_factor',
  'convert_classic_histograms_to_nhcb',
  'metric_name_validation_scheme',
  'metric_name_escaping_scheme',
  'extra_scrape_metrics',
  'azure_sd_configs',
  'aws_sd_configs',
  'consul_sd_configs',
  'digitalocean_sd_configs',
  'dns_sd_configs',
  'docker_sd_configs',
  'dockerswarm_sd_configs',
  'ec2_sd_configs',
  'eureka_sd_configs',
  'gce_sd_configs',
  'hetzner_sd_configs',
  'http_sd_configs',
  'ionos_sd_configs',
  'kubernetes_sd_configs',
  'kuma_sd_configs',
  'lightsail_sd_configs',
  'linode_sd_configs',
  'marathon_sd_configs',
  'nerve_sd_configs',
  'nomad_sd_configs',
  'openstack_sd_configs',
  'ovhcloud_sd_configs',
  'puppetdb_sd_configs',
  'scaleway_sd_configs',
  'serverset_sd_configs',
  'stackit_sd_configs',
  'triton_sd_configs',
  'uyuni_sd_configs',
  'vultr_sd_configs',
]);

/** Keys whose values never leave the process. */
export const SECRET_KEYS: ReadonlySet<string> = new Set([
  'password',
  'credentials',
  'bearer_token',
  'client_secret',
  'secret_key',
  'token',
  'secrets',
]);
