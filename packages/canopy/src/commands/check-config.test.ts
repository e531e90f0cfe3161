import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkConfig } from './check-config.js';

const folder = mkdtempSync(join(tmpdir(), 'canopy-check-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
write('there', 'x\n');
write('targets.json', '[{"targets": ["h:1"], "labels": {"a": "b"}}]');
write('targets.yml', '- targets: [h:1]\n');
write('bad.json', '[{"targets": ["h:1"], "labelz": {}}]');

const job = (keys: string): string =>
  `scrape_configs:\n- job_name: a\n${keys.replace(/^/gm, '  ')}\n`;
const T = 'static_configs: [{targets: ["h:1"]}]';

/** Accepted by promtool 2.42 and by Canopy. */
const ACCEPTED: readonly string[] = [
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
  ...['TRUE', 'Yes', 'y', 'N', 'off'].map((word) => job(`honor_labels: ${word}`)),
];

/** Refused by both; the message of ours names the key. */
const REFUSED: ReadonlyArray<readonly [text: string, names: RegExp]> = [
  ['a: [', /:1:\d+/],
  ['- a', /not a mapping/],
  ['globall: {}', /"globall"/],
  ['global: {scrape_intervall: 5s}', /"scrape_intervall"/],
  ['global: {scrape_interval: 5}', /scrape_interval/],
  ['global: {scrape_interval: 5s, scrape_timeout: 6s}', /scrape_timeout/],
  ['global: {evaluation_interval: x}', /evaluation_interval/],
  ['global: {external_labels: {"a-b": c}}', /external_labels/],
  ['scrape_configs: [{}]', /job_name/],
  ['scrape_configs: [{job_name: ""}]', /job_name/],
  ['scrape_configs: [{job_name: a}, {job_name: a}]', /job name "a"/],
  ['scrape_configs:\n-\n', /scrape_configs/],
  [job('job_name: b'), /unique|duplicate/i],
  [job('scrape_interval: 5s\nscrape_timeout: 6s'), /scrape_timeout/],
  [job('honor_labels: maybe'), /honor_labels/],
  [job('sample_limit: -1'), /sample_limit/],
  [job('sample_limit: x'), /sample_limit/],
  [job('sample_limit: 99999999999999999999'), /sample_limit/],
  [job('body_size_limit: 10XB'), /body_size_limit/],
  [job('body_size_limit: 10'), /body_size_limit/],
  [job('honor_labels: tRUE'), /honor_labels/],
  [job('static_configs: [{targets: [~]}]'), /targets/],
  [job('tls_config: {min_version: ""}'), /min_version/],
  [job('relabel_configs: [{action: labelmap, replacement: ""}]'), /labelmap/],
  [job('params: {a: b}'), /params/],
  [job('static_configs: [{targets: ["http://h:1"]}]'), /not a valid hostname/],
  [job('static_configs: [{targets: ["h:1/metrics"]}]'), /not a valid hostname/],
  [job('static_configs: [{targets: ["h:1"], labels: {"a-b": c}}]'), /labels/],
  [job('basic_auth: {username: u, password: p, password_file: f}'), /password_file/],
  [job('basic_auth: {user: u}'), /"user"/],
  [job('basic_auth: {username: u}\nauthorization: {credentials: c}'), /authorization/],
  [job('basic_auth: {username: u}\nbearer_token: t'), /bearer_token/],
  [job('bearer_token: t\nbearer_token_file: there'), /bearer_token_file/],
  [job('authorization: {credentials: c}\nbearer_token: t'), /bearer_token/],
  [job('authorization: {credentials: c, credentials_file: there}'), /credentials_file/],
  [job('authorization: {type: Basic, credentials: c}'), /basic_auth/],
  [job('authorization: {credentials_file: nowhere}'), /nowhere/],
  [job('bearer_token_file: nowhere'), /nowhere/],
  [job('oauth2: {client_id: i, client_secret: s}'), /token_url/],
  [job('oauth2: {client_secret: s, token_url: "http://h/t"}'), /client_id/],
  [
    job('oauth2: {client_id: i, client_secret: s, client_secret_file: f, token_url: "http://h/t"}'),
    /client_secret_file/,
  ],
  [job('oauth2: {client_id: i, token_url: "http://h/t"}\nbasic_auth: {username: u}'), /oauth2/],
  [job('tls_config: {ca_file: there, x: y}'), /"x"/],
  [job('tls_config: {cert_file: there}'), /key_file/],
  [job('tls_config: {key_file: there}'), /cert_file/],
  [job('tls_config: {cert_file: nowhere, key_file: there}'), /nowhere/],
  [job('tls_config: {cert_file: there, key_file: nowhere}'), /nowhere/],
  [job('tls_config: {min_version: TLS14}'), /TLS14/],
  [job('proxy_url: "http://[::1"'), /proxy_url/],
  [job('file_sd_configs: [{files: [targets.txt]}]'), /targets\.txt/],
  [job('file_sd_configs: [{files: []}]'), /files|path name/],
  [job('file_sd_configs: [{files: [bad.json]}]'), /labelz/],
  [job('relabel_configs: [{regex: "a**"}]'), /regex/],
  [job('relabel_configs: [{action: jump}]'), /action/],
  [job('relabel_configs: [{source_labels: [a]}]'), /target_label/],
  [job('relabel_configs: [{action: hashmod, source_labels: [a], target_label: b}]'), /modulus/],
  [job('relabel_configs: [{action: labeldrop, regex: a, source_labels: [b]}]'), /labeldrop/],
  [
    job('relabel_configs: [{action: keepequal, regex: a, source_labels: [b], target_label: c}]'),
    /keepequal/,
  ],
  [
    job(
      'relabel_configs: [{action: lowercase, source_labels: [b], target_label: c, replacement: x}]',
    ),
    /replacement/,
  ],
];

/** Where the two differ, whether Canopy accepts it, and why. */
const DIFFERENT: ReadonlyArray<readonly [text: string, accepted: boolean, why: string]> = [
  [job('no_proxy: h\nproxy_url: http://p:1'), true, 'newer than 2.42'],
  [job('proxy_from_environment: true'), true, 'newer than 2.42'],
  [job('tls_config: {ca: x, cert: y, key: z}'), true, 'newer than 2.42'],
  [
    job('http_headers: {X-A: {values: [a], secrets: [b], files: [there]}}'),
    true,
    'newer than 2.42',
  ],
  [job('track_timestamps_staleness: true'), true, 'newer than 2.42'],
  [job('keep_dropped_targets: 5'), true, 'newer than 2.42'],
  [job('extra_scrape_metrics: true'), true, 'newer than 2.42'],
  [job('scrape_failure_log_file: f.log'), true, 'newer than 2.42'],
  [job('basic_auth: {username_file: there, password: p}'), true, 'newer than 2.42'],
  [
    'global: {body_size_limit: 1MB, sample_limit: 1, target_limit: 2, label_limit: 3, label_name_length_limit: 4, label_value_length_limit: 5}',
    true,
    'newer than 2.42',
  ],
  ['scrape_config_files: [none*.yml]', true, 'newer than 2.42'],
  ['rule_files: [nowhere.yml]', true, 'rules are not evaluated, their files not looked for'],
  [job('sample_limit: 1.5'), false, 'Go cuts the half off in silence'],
  [job('honor_labels: "true"'), true, 'text that reads as what is meant is taken'],
  [job('sample_limit: "1"'), true, 'text that reads as what is meant is taken'],
  [job('relabel_configs: [{target_label: "a b"}]'), true, 'label names may be UTF-8, as in 3.x'],
  ['runtime: {gogc: 50}', true, 'newer than 2.42'],
  ['remote_write: [{}]', true, 'sections that are ignored are not read'],
  ['alerting: {x: y}', true, 'sections that are ignored are not read'],
  ['storage: {exemplars: {x: 1}}', true, 'sections that are ignored are not read'],
  ['global: {}\n---\nglobal: {}\n', false, 'a second document would be dropped in silence'],
  [job('scheme: ftp'), false, 'Prometheus says it when the target is scraped'],
  [job('proxy_url: socks5://p:1'), false, 'SOCKS is not spoken'],
  [job('eureka_sd_configs: [{server: "http://h"}]'), false, 'this discovery does not exist here'],
];

function canopy(text: string): { exitCode: number; said: string } {
  const lines: string[] = [];
  const exitCode = checkConfig(write('prometheus.yml', text), {}, (line) => lines.push(line));
  return { exitCode, said: lines.join('\n') };
}

test('what is accepted, what is refused, and how it is named', () => {
  for (const text of ACCEPTED) {
    const { exitCode, said } = canopy(text);
    expect(exitCode, `${text}\n${said}`).toBe(0);
  }
  for (const [text, names] of REFUSED) {
    const { exitCode, said } = canopy(text);
    expect(exitCode, text).toBe(2);
    expect(said).toMatch(names);
    expect(said, text).not.toMatch(/invalid input|expected nonoptional/i);
  }
  for (const [text, accepted] of DIFFERENT) {
    const { exitCode, said } = canopy(text);
    expect(exitCode, `${text}\n${said}`).toBe(accepted ? 0 : 2);
  }
});

test('files that are not there are said', () => {
  const check = (keys: string, said: RegExp) => expect(canopy(job(keys)).said).toMatch(said);
  check(
    'file_sd_configs: [{files: ["m*.json"]}]',
    /WARNING: file ".*m\*\.json" for file_sd in scrape job "a" does not exist/,
  );
  check('basic_auth: {password_file: nowhere}', /WARNING: .* basic_auth password file ".*nowhere"/);
  check('http_headers: {X: {files: [nowhere]}}', /WARNING: .* header X file ".*nowhere"/);
  check(
    `${T}\nrelabel_configs: [{target_label: __scheme__, replacement: ftp}]`,
    /WARNING: .* target h:1 cannot be scraped: unsupported protocol scheme "ftp"/,
  );
});

const without = (process.env.CANOPY_TEST_WITHOUT ?? '').split(',');
const hasPromtool =
  !without.includes('prometheus') && spawnSync('promtool', ['--version']).status === 0;

test.skipIf(!hasPromtool)('promtool accepts and refuses the same', () => {
  const isAccepted = (text: string): boolean => {
    const file = write('prometheus.yml', text);
    return spawnSync('promtool', ['check', 'config', file]).status === 0;
  };
  const wanted = [
    ...ACCEPTED.map((text) => [text, true] as const),
    ...REFUSED.map(([text]) => [text, false] as const),
    ...DIFFERENT.map(([text, accepted]) => [text, !accepted] as const),
  ];
  expect(wanted.filter(([text, accepted]) => isAccepted(text) !== accepted)).toEqual([]);
});
