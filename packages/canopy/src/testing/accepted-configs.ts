/**
 * Configurations that promtool 2.42 and Canopy accept. They name files of the test's folder: `there` (anything),
 * `targets.json` and `targets.yml`.
 */
import { job } from './refused-configs.js';

const T = 'static_configs: [{targets: ["h:1"]}]';

/** Accepted by promtool 2.42 and by Canopy. What both refuse: `check-config.reasons.test.ts`. */
export const ACCEPTED: readonly string[] = [
  '',
  'global:\n',
  'scrape_configs:\n',
  job(T),
  job('scrape_interval: 0s'),
  job('scrape_interval: 5s\nscrape_timeout: 0s'),
  'global: {scrape_interval: 5s, evaluation_interval: 1m, query_log_file: x}',
  'global: {external_labels: {a: b}, scrape_timeout: 1m}',
  job('honor_labels: yes\nhonor_timestamps: Off\nfollow_redirects: NO\nenable_http2: false'),
  job(
    'params: {module: [http_2xx], "match[]": ["{job=\\"a\\"}"]}\nmetrics_path: /probe\nscheme: https',
  ),
  job(
    'sample_limit: 10\nlabel_limit: 1\nlabel_name_length_limit: 2\nlabel_value_length_limit: 3\ntarget_limit: 4\nbody_size_limit: 10MB',
  ),
  job('basic_auth:'),
  job('basic_auth: {username: u, password: p}'),
  job('basic_auth: {username: u, password_file: nowhere}'), // promtool does not look
  job('authorization: {credentials: c}'),
  job('authorization: {type: Token, credentials_file: there}'),
  job('authorization: {type: "", credentials: c}'),
  job('bearer_token: t'),
  job('bearer_token_file: there'),
  job(
    'oauth2: {client_id: i, client_secret: s, token_url: "http://h/t", scopes: [a], endpoint_params: {k: v}}',
  ),
  job(
    'oauth2: {client_id: i, client_secret_file: there, token_url: "https://h/t", tls_config: {insecure_skip_verify: true}, proxy_url: "http://p:1"}',
  ),
  job('tls_config: {ca_file: there, insecure_skip_verify: true, server_name: n}'),
  job('tls_config: {cert_file: there, key_file: there}'),
  job('tls_config: {min_version: TLS12}'),
  job('proxy_url: http://u:p@proxy:3128'),
  job('proxy_url: ""'),
  job('tls_config: {min_version: TLS12, max_version: TLS13}'),
  job('proxy_url: http://p:1\nproxy_connect_header: {a: [b]}'),
  job('static_configs:\n- targets: [h:1, "[::1]:2", h]\n  labels: {a: b, c: "1"}'),
  job('static_configs:\n- targets:\n  labels:\n    a: b'),
  job('file_sd_configs: [{files: [targets.json, targets.yml], refresh_interval: 1m}]'),
  job('file_sd_configs: [{files: ["t*.json"]}]'),
  job('file_sd_configs: [{files: [missing.json]}]'), // a warning
  // A prober: what is given as a target becomes a parameter.
  job(
    'metrics_path: /probe\nparams: {module: [http_2xx]}\nstatic_configs: [{targets: ["http://h/a?b=c", "https://h:8443", ""]}]\nrelabel_configs: [{source_labels: [__address__], target_label: __param_target}, {source_labels: [__param_target], target_label: instance}, {target_label: __address__, replacement: "h:9115"}]',
  ),
  job(
    'relabel_configs: [{source_labels: [a, b], separator: "", regex: "(a|b)+", target_label: c, replacement: "${1}x"}]',
  ),
  job(
    'relabel_configs: [{action: hashmod, source_labels: [a], modulus: 3, target_label: b}, {action: KEEP, regex: x, source_labels: [a]}]',
  ),
  job(
    'relabel_configs: [{action: labelmap, regex: "__meta_(.+)"}, {action: labeldrop, regex: a}, {action: labelkeep, regex: b}]',
  ),
  job(
    'relabel_configs: [{action: lowercase, source_labels: [a], target_label: b}, {action: keepequal, source_labels: [a], target_label: b}]',
  ),
  job('metric_relabel_configs: [{source_labels: [__name__], regex: 80, action: drop}]'),
  'storage: {tsdb: {out_of_order_time_window: 30m}, exemplars: {max_exemplars: 1}}',
  'scrape_configs: [{job_name: a}, {job_name: b}]',
  'scrape_configs: [&j {job_name: a, honor_labels: true}, {<<: *j, job_name: b}]',
  '~',
  ...['1.0', '1e3', '0x10', '1_000', '+1', '010', '0b11', '0o7'].map((n) =>
    job(`sample_limit: ${n}`),
  ),
  ...['0', '1.5GB', '1GB1MB', '1KiB', '0B'].map((n) => job(`body_size_limit: ${n}`)),
  // Nothing is the zero of a type, not its default.
  job('metrics_path:\nhonor_timestamps:\nfollow_redirects: ~\nenable_http2:\nsample_limit: ~'),
  job('scrape_interval:\nscrape_timeout: ~\nparams: {a: ~, b: [~, "", x]}\nbody_size_limit:'),
  job(
    'tls_config: ~\noauth2:\nauthorization: ~\nproxy_url: ~\nbearer_token:\nstatic_configs: ~\nrelabel_configs:',
  ),
  job('static_configs:\n- targets: [h]\n  labels: {a: ~, b: "", c: 010, d: yes, e: 1.50}'),
  job('tls_config: {min_version: , ca_file: ~, insecure_skip_verify: true}'),
  job('basic_auth: {username: ~, password: }\nproxy_connect_header: ~'),
  job(
    'relabel_configs: [{source_labels: ~, separator: ~, regex: ~, replacement: ~, target_label: a}]',
  ),
  job('relabel_configs: [{separator: "", regex: "", replacement: "", target_label: a}]'),
  'global: {scrape_interval: ~, scrape_timeout: , external_labels: {a: ~, b: 010, c: 2001-01-01}}',
  job('metrics_path: ""\nscrape_interval: 90s\nscrape_timeout: 1m30s'),
  ...['1ms', '1d', '1w', '1y', '1h1m1s1ms', '36h', '0'].map((time) =>
    job(`scrape_interval: ${time}\nscrape_timeout: 1ms`),
  ),
  ...['TRUE', 'Yes', 'y', 'N', 'off'].map((word) => job(`honor_labels: ${word}`)),
];
