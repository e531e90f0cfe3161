/**
 * Configurations with keys that Prometheus 2.42 does not have, or judges otherwise, that are refused, and why.
 */
import { type Case, OAUTH, ONE_AUTH, ONE_TOKEN, isA, job, kube } from './refused-configs.js';

const PROTOCOLS =
  '[OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]';
const LEGACY = 'metric_name_validation_scheme: legacy\n';
const NO_PROXY = 'if proxy_from_environment is configured,';
const HEADER = 'setting header "Host" is not allowed';

/** What 2.42 always refuses is refused under the scheme of old. */
export const OLD_NAMES: readonly Case[] = [
  ...['a b', 'a-${1}', '1a'].map(
    (name): Case => [
      job(`${LEGACY}relabel_configs: [{target_label: "${name}"}]`),
      `"${name}" is invalid 'target_label' for replace action`,
    ],
  ),
  [
    job(`${LEGACY}metric_relabel_configs: [{action: hashmod, modulus: 2, target_label: "\${1}"}]`),
    `"\${1}" is invalid 'target_label' for hashmod action`,
  ],
  [
    job(`${LEGACY}relabel_configs: [{action: labelmap, replacement: "\${1}-x"}]`),
    `"\${1}-x" is invalid 'replacement' for labelmap action`,
  ],
];

/** Keys that 2.42 does not have, or judges otherwise: refused as Prometheus 3 does. */
export const NEWER: readonly Case[] = [
  // Formats and names
  [job('scrape_protocols: x'), isA('str `x`', '[]config.ScrapeProtocol')],
  [job('scrape_protocols: []'), 'scrape_protocols cannot be empty'],
  [
    job('scrape_protocols: [prometheusproto]'),
    `unknown scrape protocol prometheusproto, supported: ${PROTOCOLS}`,
  ],
  [
    job('scrape_protocols: [PrometheusProto, PrometheusProto]'),
    'duplicated protocol in scrape_protocols, got [PrometheusProto PrometheusProto]',
  ],
  ['global: {scrape_protocols: [x]}', `unknown scrape protocol x, supported: ${PROTOCOLS}`],
  [job('fallback_scrape_protocol: text'), 'unknown scrape protocol text, supported:'],
  [job('fallback_scrape_protocol: [PrometheusProto]'), isA('seq', 'string')],
  [job('enable_compression: maybe'), isA('str `maybe`', 'bool')],
  [job(`${LEGACY}metric_name_escaping_scheme: allow-utf-8`), 'utf8 metric names requested'],
  [
    'global: {metric_name_validation_scheme: legacy, external_labels: {"a-b": c}}',
    '"a-b" is not a valid label name',
  ],
  // Limits and the rest of a job
  [job('keep_dropped_targets: -1'), isA('int `-1`', 'uint')],
  [job('track_timestamps_staleness: maybe'), isA('str `maybe`', 'bool')],
  [job('extra_scrape_metrics: maybe'), isA('str `maybe`', 'bool')],
  [job('scrape_failure_log_file: [a]'), isA('seq', 'string')],
  ['global: {sample_limit: -1}', 'line 1: cannot unmarshal !!int `-1` into uint'],
  ['global: {body_size_limit: 10}', 'units: unknown unit  in 10'],
  [job('native_histogram_bucket_limit: -1'), isA('int `-1`', 'uint')],
  [job('scrape_native_histograms: maybe'), isA('str `maybe`', 'bool')],
  [job('always_scrape_classic_histograms: maybe'), isA('str `maybe`', 'bool')],
  ['scrape_config_files: ["a/*/*.yml"]', 'invalid scrape config file path "a/*/*.yml"'],
  ['scrape_config_files: x', 'line 1: cannot unmarshal !!str `x` into []string'],
  // How targets are reached
  [job('http_headers: {Host: {values: [x]}}'), HEADER],
  [job('http_headers: {X: [a]}'), isA('seq', 'config.plain')],
  [job('http_headers: {X: {value: [a]}}'), 'line 3: field value not found in type'],
  [job('proxy_from_environment: true\nproxy_url: http://p'), `${NO_PROXY} proxy_url must not`],
  [job('proxy_from_environment: true\nno_proxy: h'), `${NO_PROXY} no_proxy must not`],
  [job('no_proxy: h'), 'if no_proxy is configured, proxy_url must also be configured'],
  [
    job('tls_config: {min_version: TLS13, max_version: TLS12}'),
    'max_version must be greater than or equal to min_version if both are specified',
  ],
  [job('tls_config: {ca: x, ca_file: there}'), 'at most one of ca and ca_file must be configured'],
  [job('http_sd_configs: [{url: "http://h", basic_auth: {}, bearer_token: t}]'), ONE_TOKEN],
  [
    job('dns_sd_configs: [{names: [x], type: NS}]'),
    'a port is required in DNS-SD configs for all record types except SRV',
  ],
  // Kubernetes, which Debian's Prometheus is built without
  [kube(''), 'role missing (one of: pod, service, endpoints, endpointslice, node, ingress)'],
  [kube('role: Pod'), 'unknown Kubernetes SD role "Pod"'],
  [kube('role: [pod]'), isA('seq', 'string')],
  [kube('role: pod, foo: bar'), 'line 3: field foo not found in type kubernetes.plain'],
  [kube('role: pod, namespaces: {foo: bar}'), 'line 3: field foo not found in type'],
  [kube('role: pod, namespaces: {names: a}'), isA('str `a`', '[]string')],
  [kube('role: pod, attach_metadata: {node: maybe}'), isA('str `maybe`', 'bool')],
  [
    kube('role: pod, follow_redirects: false'),
    "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
  ],
  [
    kube('role: pod, kubeconfig_file: k, api_server: "http://k"'),
    "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
  ],
  [
    kube('role: pod, kubeconfig_file: k, bearer_token: x'),
    "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
  ],
  [
    kube('role: pod, api_server: "http://k", namespaces: {own_namespace: true}'),
    "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously",
  ],
  [
    kube('role: pod, kubeconfig_file: k, namespaces: {own_namespace: true}'),
    "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously",
  ],
  [kube(`role: pod, api_server: "http://k", oauth2: {${OAUTH}}, basic_auth: {}`), ONE_AUTH],
  ...[
    ['node', 'pod', 'node'],
    ['pod', 'node', 'pod'],
    ['service', 'pod', 'service'],
    ['ingress', 'pod', 'ingress'],
    ['endpoints', 'node', 'pod, service, endpoints'],
    ['endpointslice', 'endpoints', 'pod, service, endpointslice'],
  ].map(
    ([role, other, allowed]): Case => [
      kube(`role: ${role}, selectors: [{role: ${other}}]`),
      `${role} role supports only ${allowed} selectors`,
    ],
  ),
  [kube('role: pod, selectors: [{role: pod}, {role: pod}]'), 'duplicated selector role: pod'],
  [
    kube('role: pod, selectors: [{role: pod, field: "metadata.status-Running"}]'),
    "invalid selector: 'metadata.status-Running'; can't understand 'metadata.status-Running'",
  ],
  ...['a in', 'a in b', '-a=b', 'a==b==c', 'a,,b', 'a=b c', 'a>x'].map(
    (label): Case => [
      kube(`role: pod, selectors: [{role: pod, label: "${label}"}]`),
      'unable to parse requirement: ',
    ],
  ),
];
