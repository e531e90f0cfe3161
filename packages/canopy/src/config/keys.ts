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

/** Keys of `global` without effect, said once. */
export const IGNORED_GLOBAL: Readonly<Record<string, string>> = {
  evaluation_interval: 'rules are not evaluated',
  rule_query_offset: 'rules are not evaluated',
  query_log_file: 'queries are not logged',
};

/** Keys of a scrape configuration without which other things would be scraped. */
export const REFUSED_SCRAPE: ReadonlySet<string> = new Set([
  'azure_sd_configs',
  'aws_sd_configs',
  'consul_sd_configs',
  'digitalocean_sd_configs',
  'docker_sd_configs',
  'dockerswarm_sd_configs',
  'ec2_sd_configs',
  'eureka_sd_configs',
  'gce_sd_configs',
  'hetzner_sd_configs',
  'ionos_sd_configs',
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

/** Keys whose values never leave the process; `key` is one in `tls_config` only. */
export const SECRET_KEYS: ReadonlySet<string> = new Set([
  'password',
  'credentials',
  'bearer_token',
  'client_secret',
  'secret_key',
  'token',
  'secrets',
  'proxy_connect_header',
]);
