/**
 * Configurations that are refused, and why, for `check-config.reasons.test.ts`. They name files of its folder:
 * `there` (anything), `targets.json` (right), and six with faults.
 */

export const job = (keys: string): string =>
  `scrape_configs:\n- job_name: a\n${keys.replace(/^/gm, '  ')}\n`;
const rule = (keys: string): string => job(`relabel_configs: [{${keys}}]`);
export const kube = (keys: string): string => job(`kubernetes_sd_configs: [{${keys}}]`);
export const OAUTH = 'client_id: i, client_secret: s, token_url: "http://h/t"';

export const isA = (tag: string, type: string): string =>
  `line 3: cannot unmarshal !!${tag} into ${type}`;
export const ONE_AUTH = 'at most one of basic_auth, oauth2 & authorization must be configured';
export const ONE_TOKEN =
  'at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured';
const NO_PLACE = 'error checking authorization credentials or bearer token file "nowhere"';
const TOO_LONG = 'scrape timeout greater than scrape interval';
const ONLY_REGEX = "action requires only 'regex', and no other fields";
const ONLY_TWO = "action requires only 'source_labels' and `target_label`, and no other fields";
const NO_FILES = 'file service discovery config must contain at least one path name';
const badPath = (path: string): string => `path name "${path}" is not valid for file discovery`;

export type Case = readonly [text: string, reason: string];

/** Refused by both, for one reason. */
export const SAME: readonly Case[] = [
  // The file
  ['- a', 'line 1: cannot unmarshal !!seq into config.plain'],
  ['a', 'line 1: cannot unmarshal !!str `a` into config.plain'],
  ['globall: {}', 'line 1: field globall not found in type config.plain'],
  ['scrape_configs: []\nscrape_configs: []', 'line 2: field scrape_configs already set in type'],
  ['scrape_configs: x', 'line 1: cannot unmarshal !!str `x` into []*config.ScrapeConfig'],
  ['scrape_configs: {a: b}', 'line 1: cannot unmarshal !!map into []*config.ScrapeConfig'],
  ['scrape_configs: [a]', 'line 1: cannot unmarshal !!str `a` into config.ScrapeConfig'],
  ['scrape_configs:\n-\n', 'empty or null scrape config section'],
  ['storage: x', 'line 1: cannot unmarshal !!str `x` into config.StorageConfig'],
  ['storage: {foo: 1}', 'line 1: field foo not found in type config.StorageConfig'],
  ['storage: {tsdb: {foo: 1}}', 'line 1: field foo not found in type config.plain'],
  ['storage: {tsdb: {out_of_order_time_window: x}}', 'not a valid duration string: "x"'],
  // global
  ['global: []', 'line 1: cannot unmarshal !!seq into config.plain'],
  ['global:\n  foo: bar', 'line 2: field foo not found in type config.plain'],
  ['global: {scrape_interval: 5}', 'not a valid duration string: "5"'],
  ['global: {scrape_interval: 5s, scrape_timeout: 6s}', `global ${TOO_LONG}`],
  ['global: {scrape_timeout: 2m}', `global ${TOO_LONG}`],
  ['global: {evaluation_interval: x}', 'not a valid duration string: "x"'],
  ['global: {external_labels: [a]}', 'line 1: cannot unmarshal !!seq into map[string]string'],
  ['global: {external_labels: {a: [b]}}', 'line 1: cannot unmarshal !!seq into string'],
  ['global: {query_log_file: [a]}', 'line 1: cannot unmarshal !!seq into string'],
  // A job
  ['scrape_configs: [{}]', 'job_name is empty'],
  ['scrape_configs: [{job_name: ""}]', 'job_name is empty'],
  ['scrape_configs: [{job_name: }]', 'job_name is empty'],
  ['scrape_configs: [{job_name: [a]}]', 'line 1: cannot unmarshal !!seq into string'],
  [
    'scrape_configs: [{job_name: a}, {job_name: a}]',
    'found multiple scrape configs with job name "a"',
  ],
  [job('job_name: b'), 'line 3: field job_name already set in type config.ScrapeConfig'],
  [job('foo: bar'), 'line 3: field foo not found in type config.ScrapeConfig'],
  [job('\n\nmetric_path: /x'), 'line 5: field metric_path not found in type config.ScrapeConfig'],
  [job('consult_sd_configs: []'), 'line 3: field consult_sd_configs not found in type'],
  ...['5', '5x', '-5s', '1.5s', '1s1m', '5 s'].map(
    (text): Case => [job(`scrape_interval: ${text}`), `not a valid duration string: "${text}"`],
  ),
  [job('scrape_interval: 300y'), 'duration out of range'],
  [job('scrape_interval: [5s]'), isA('seq', 'string')],
  [job('scrape_timeout: {a: b}'), isA('map', 'string')],
  [job('scrape_timeout: x'), 'not a valid duration string: "x"'],
  [
    job('scrape_interval: 5s\nscrape_timeout: 6s'),
    `${TOO_LONG} for scrape config with job name "a"`,
  ],
  [job('scrape_timeout: 2m'), `${TOO_LONG} for scrape config with job name "a"`],
  [job('metrics_path: [a]'), isA('seq', 'string')],
  [job('params: [a]'), isA('seq', 'url.Values')],
  [job('params: {a: b}'), isA('str `b`', '[]string')],
  [job('params: {a: {b: c}}'), isA('map', '[]string')],
  [job('params: {a: [[b]]}'), isA('seq', 'string')],
  ...['honor_labels', 'honor_timestamps', 'follow_redirects', 'enable_http2'].flatMap(
    (key): Case[] => [
      [job(`${key}: maybe`), isA('str `maybe`', 'bool')],
      [job(`${key}: tRUE`), isA('str `tRUE`', 'bool')],
      [job(`${key}: 1`), isA('int `1`', 'bool')],
      [job(`${key}: [true]`), isA('seq', 'bool')],
    ],
  ),
  ...['sample', 'target', 'label', 'label_name_length', 'label_value_length'].flatMap(
    (key): Case[] => [
      [job(`${key}_limit: -1`), isA('int `-1`', 'uint')],
      [job(`${key}_limit: many`), isA('str `many`', 'uint')],
      [job(`${key}_limit: 99999999999999999999`), isA('float `9999999...`', 'uint')],
      [job(`${key}_limit: {}`), isA('map', 'uint')],
    ],
  ),
  [job('body_size_limit: 10'), 'units: unknown unit  in 10'],
  [job('body_size_limit: 10XB'), 'units: unknown unit XB in 10XB'],
  [job('body_size_limit: 1 MB'), 'units: unknown unit  MB in 1 MB'],
  [job('body_size_limit: 1mb'), 'units: unknown unit mb in 1mb'],
  [job('body_size_limit: MB'), 'units: invalid MB'],
  [job('body_size_limit: ""'), 'units: invalid'],
  [job('body_size_limit: [1MB]'), isA('seq', 'units.Base2Bytes')],
  // How targets are reached
  [job('basic_auth: x'), isA('str `x`', 'config.plain')],
  [job('basic_auth: {user: u}'), 'line 3: field user not found in type config.plain'],
  [job('basic_auth: {username: [u]}'), isA('seq', 'string')],
  [job('basic_auth: {password: {a: b}}'), isA('map', 'config.plain')],
  [
    job('basic_auth: {username: u, password: p, password_file: f}'),
    'at most one of basic_auth password & password_file must be configured',
  ],
  [job('basic_auth: {username: u}\nauthorization: {credentials: c}'), ONE_AUTH],
  [job(`basic_auth: {username: u}\noauth2: {${OAUTH}}`), ONE_AUTH],
  [job(`authorization: {credentials: c}\noauth2: {${OAUTH}}`), ONE_AUTH],
  [job('basic_auth: {username: u}\nbearer_token: t'), ONE_TOKEN],
  [job('basic_auth: {username: u}\nbearer_token_file: there'), ONE_TOKEN],
  [job(`oauth2: {${OAUTH}}\nbearer_token: t`), ONE_TOKEN],
  [
    job('bearer_token: t\nbearer_token_file: there'),
    'at most one of bearer_token & bearer_token_file must be configured',
  ],
  [
    job('authorization: {credentials: c}\nbearer_token: t'),
    'authorization is not compatible with bearer_token & bearer_token_file',
  ],
  [
    job('authorization: {credentials: c, credentials_file: there}'),
    'at most one of authorization credentials & credentials_file must be configured',
  ],
  [
    job('authorization: {type: " BASIC ", credentials: c}'),
    'authorization type cannot be set to "basic", use "basic_auth" instead',
  ],
  [job('authorization: x'), isA('str `x`', 'config.Authorization')],
  [job('authorization: {credential: x}'), 'line 3: field credential not found in type'],
  [job('authorization: {credentials_file: nowhere}'), NO_PLACE],
  [job('bearer_token_file: nowhere'), NO_PLACE],
  [job('bearer_token: [a]'), isA('seq', 'config.plain')],
  [job('oauth2: []'), isA('seq', 'config.OAuth2')],
  [job('oauth2: {foo: bar}'), 'line 3: field foo not found in type config.OAuth2'],
  [job('oauth2: {client_id: i, client_secret: s}'), 'oauth2 token_url must be configured'],
  [
    job('oauth2: {client_secret: s, token_url: "http://h/t"}'),
    'oauth2 client_id must be configured',
  ],
  [
    job(`oauth2: {${OAUTH}, client_secret_file: f}`),
    'at most one of oauth2 client_secret & client_secret_file must be configured',
  ],
  [job(`oauth2: {${OAUTH}, scopes: a}`), isA('str `a`', '[]string')],
  [job(`oauth2: {${OAUTH}, endpoint_params: [a]}`), isA('seq', 'map[string]string')],
  [job(`oauth2: {${OAUTH}, tls_config: {foo: bar}}`), 'line 3: field foo not found in type'],
  [job('tls_config: x'), isA('str `x`', 'config.plain')],
  [job('tls_config: {x: y}'), 'line 3: field x not found in type config.plain'],
  [job('tls_config: {server_name: [a]}'), isA('seq', 'string')],
  [job('tls_config: {insecure_skip_verify: maybe}'), isA('str `maybe`', 'bool')],
  [job('tls_config: {min_version: TLS14}'), 'unknown TLS version: TLS14'],
  [job('tls_config: {max_version: tls12}'), 'unknown TLS version: tls12'],
  [job('tls_config: {min_version: 12}'), 'unknown TLS version: 12'],
  [job('tls_config: {min_version: ""}'), 'unknown TLS version:'],
  [
    job('tls_config: {cert_file: nowhere, key_file: there}'),
    'error checking client cert file "nowhere"',
  ],
  [
    job('tls_config: {cert_file: there, key_file: nowhere}'),
    'error checking client key file "nowhere"',
  ],
  [job('proxy_url: [a]'), isA('seq', 'string')],
  [job('proxy_connect_header: [a]'), isA('seq', 'config.Header')],
  [
    job('proxy_url: http://p\nproxy_connect_header: {a: b}'),
    'line 4: cannot unmarshal !!str `b` into []config.Secret',
  ],
  // Where targets come from
  [job('static_configs: x'), isA('str `x`', '[]*targetgroup.Group')],
  [job('static_configs: {targets: [a]}'), isA('map', '[]*targetgroup.Group')],
  [job('static_configs: [a]'), isA('str `a`', 'struct {')],
  [job('static_configs:\n-'), 'empty or null section in static_configs'],
  [job('static_configs: [{targets: a}]'), isA('str `a`', '[]string')],
  [job('static_configs: [{targets: [[a]]}]'), isA('seq', 'string')],
  [job('static_configs: [{target: [a]}]'), 'line 3: field target not found in type struct {'],
  [job('static_configs: [{targets: [~]}]'), 'no address'],
  [job('static_configs: [{targets: [""]}]'), 'no address'],
  [job('static_configs: [{targets: ["http://h:1"]}]'), '"http://h:1" is not a valid hostname'],
  [job('static_configs: [{targets: ["h:1/metrics"]}]'), '"h:1/metrics" is not a valid hostname'],
  [job('static_configs: [{targets: [h], labels: [a]}]'), isA('seq', 'model.LabelSet')],
  [job('static_configs: [{targets: [h], labels: {a: [b]}}]'), isA('seq', 'model.LabelValue')],
  [job('static_configs: [{targets: [h], labels: {"": c}}]'), '"" is not a valid label name'],
  [job('file_sd_configs: x'), isA('str `x`', '[]*file.SDConfig')],
  [job('file_sd_configs: [x]'), isA('str `x`', 'file.plain')],
  [job('file_sd_configs:\n-'), 'empty or null section in file_sd_configs'],
  [job('file_sd_configs: [{}]'), NO_FILES],
  [job('file_sd_configs: [{files: []}]'), NO_FILES],
  [job('file_sd_configs: [{files: x.json}]'), isA('str `x.json`', '[]string')],
  [job('file_sd_configs: [{file: [a.json]}]'), 'line 3: field file not found in type file.plain'],
  ...['targets.txt', 'a/*/b.json', '*/b.json', 'a.Json', 'json', '*'].map(
    (path): Case => [job(`file_sd_configs: [{files: ["${path}"]}]`), badPath(path)],
  ),
  [
    job('file_sd_configs: [{files: [targets.json], refresh_interval: 5}]'),
    'not a valid duration string: "5"',
  ],
  [job('file_sd_configs: [{files: [label.json]}]'), '"" is not a valid label name'],
  [job('http_sd_configs: x'), isA('str `x`', '[]*http.SDConfig')],
  [job('http_sd_configs:\n-'), 'empty or null section in http_sd_configs'],
  [job('http_sd_configs: [{}]'), 'URL is missing'],
  [job('http_sd_configs: [{url: ""}]'), 'URL is missing'],
  [job('http_sd_configs: [{url: h/t}]'), "URL scheme must be 'http' or 'https'"],
  [job('http_sd_configs: [{url: "ftp://h"}]'), "URL scheme must be 'http' or 'https'"],
  [job('http_sd_configs: [{url: "http://"}]'), 'host is missing in URL'],
  [job('http_sd_configs: [{url: "https:///t"}]'), 'host is missing in URL'],
  [job('http_sd_configs: [{url: "http:/t"}]'), 'host is missing in URL'],
  [job('http_sd_configs: [{url: [a]}]'), isA('seq', 'string')],
  [job('http_sd_configs: [{url: "http://h", urll: x}]'), 'line 3: field urll not found in type'],
  [
    job('http_sd_configs: [{url: "http://h", refresh_interval: x}]'),
    'not a valid duration string: "x"',
  ],
  [job('dns_sd_configs: x'), isA('str `x`', '[]*dns.SDConfig')],
  [job('dns_sd_configs: [{}]'), 'DNS-SD config must contain at least one SRV record name'],
  [job('dns_sd_configs: [{name: [x]}]'), 'line 3: field name not found in type dns.plain'],
  [job('dns_sd_configs: [{names: x}]'), isA('str `x`', '[]string')],
  ...['A', 'aaaa', 'MX'].map(
    (type): Case => [
      job(`dns_sd_configs: [{names: [x], type: ${type}}]`),
      'a port is required in DNS-SD configs for all record types except SRV',
    ],
  ),
  [job('dns_sd_configs: [{names: [x], type: PTR}]'), 'invalid DNS-SD records type PTR'],
  [job('dns_sd_configs: [{names: [x], type: A, port: x}]'), isA('str `x`', 'int')],
  [job('dns_sd_configs: [{names: [x], refresh_interval: 1}]'), 'not a valid duration string: "1"'],
  // Rules
  [job('relabel_configs: x'), isA('str `x`', '[]*relabel.Config')],
  [job('relabel_configs: [a]'), isA('str `a`', 'relabel.plain')],
  [job('relabel_configs:\n-'), 'empty or null target relabeling rule in scrape config'],
  [job('metric_relabel_configs:\n-'), 'empty or null metric relabeling rule in scrape config'],
  [rule('foo: bar'), 'line 3: field foo not found in type relabel.plain'],
  [rule('action: jump'), 'unknown relabel action "jump"'],
  [rule('action: ""'), 'unknown relabel action ""'],
  [rule('action: ~'), 'relabel action cannot be empty'],
  [rule('action: [keep]'), isA('seq', 'string')],
  [rule('source_labels: a'), isA('str `a`', 'model.LabelNames')],
  [rule('source_labels: [""], target_label: c'), '"" is not a valid label name'],
  [rule('source_labels: [[a]], target_label: c'), isA('seq', 'string')],
  [rule('separator: [a], target_label: c'), isA('seq', 'string')],
  ...[
    ['a**', 'invalid nested repetition operator: `**`'],
    ['(', 'missing closing )'],
    ['a)', 'unexpected )'],
    ['(?=a)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['[z-a]', 'invalid character class range: `z-a`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['[a', 'missing closing ]'],
    ['*', 'missing argument to repetition operator: `*`'],
  ].map(
    ([regex, why]): Case => [
      rule(`regex: "${regex}", target_label: a`),
      `error parsing regexp: ${why}`,
    ],
  ),
  ...['replace', 'hashmod', 'lowercase', 'uppercase', 'keepequal', 'dropequal'].map(
    (action): Case => [
      rule(`action: ${action}, source_labels: [a], modulus: 2`),
      `relabel configuration for ${action} action requires 'target_label' value`,
    ],
  ),
  [
    rule('action: hashmod, source_labels: [a], target_label: b'),
    'relabel configuration for hashmod requires non-zero modulus',
  ],
  [rule('action: hashmod, target_label: b, modulus: -1'), isA('int `-1`', 'uint64')],
  [rule('action: hashmod, target_label: b, modulus: x'), isA('str `x`', 'uint64')],
  ...['lowercase', 'uppercase', 'keepequal', 'dropequal'].map(
    (action): Case => [
      rule(`action: ${action}, source_labels: [a], target_label: b, replacement: c`),
      `'replacement' can not be set for ${action} action`,
    ],
  ),
  ...['regex: c', 'separator: c', 'modulus: 2'].flatMap((key): Case[] => [
    [rule(`action: keepequal, target_label: b, ${key}`), `keepequal ${ONLY_TWO}`],
    [rule(`action: dropequal, target_label: b, ${key}`), `dropequal ${ONLY_TWO}`],
  ]),
  [rule('action: labelmap, replacement: ""'), `"" is invalid 'replacement' for labelmap action`],
  ...[
    'source_labels: [b]',
    'target_label: b',
    'modulus: 8',
    'separator: b',
    'replacement: b',
  ].flatMap((key): Case[] => [
    [rule(`action: labeldrop, regex: a, ${key}`), `labeldrop ${ONLY_REGEX}`],
    [rule(`action: labelkeep, regex: a, ${key}`), `labelkeep ${ONLY_REGEX}`],
  ]),
];

const NOT_URL = /proxy_url: is not a URL of a proxy/;
const NEWER_TLS = 'prometheus/common says it so since `cert` and `key` may be given inline';
const SECRET = 'a URL may hold a password, so it is not repeated';
const SYNTAX = 'two readers of YAML; both name the fault, ours always its place';
const FIRST_FILE = 'a file that is named is read like the configuration, with line and column';

/** Refused by both for the same reason, in other words: theirs, ours, why. */
export const OTHER_WORDS: ReadonlyArray<
  readonly [text: string, theirs: string, ours: RegExp, why: string]
> = [
  ['a: [', 'line 1: did not find expected node content', /:1:5: Flow sequence/, SYNTAX],
  ['a: b: c', 'mapping values are not allowed', /:1:4: Nested mappings are not allowed/, SYNTAX],
  ['\tglobal: {}', 'found character that cannot start any token', /:1:1: Tabs/, SYNTAX],
  ['global: *x', "unknown anchor 'x' referenced", /Unresolved alias .*: x$/, SYNTAX],
  [
    'global:\n  scrape_interval: 5s\n scrape_timeout: 1s',
    'line 2: did not find expected key',
    /:3:1: All mapping items must start at the same column/,
    SYNTAX,
  ],
  [job('proxy_url: "http://[::1"'), "missing ']' in host", NOT_URL, SECRET],
  [job('proxy_url: ":foo"'), 'missing protocol scheme', NOT_URL, SECRET],
  [job('proxy_url: "http://a b"'), 'invalid character " " in host name', NOT_URL, SECRET],
  [job('proxy_url: "http://h:port"'), 'invalid port ":port" after host', NOT_URL, SECRET],
  [
    job('http_sd_configs: [{url: "http://[::1"}]'),
    "missing ']' in host",
    /url: url is not a URL/,
    SECRET,
  ],
  [
    job('proxy_connect_header: {a: [b]}'),
    'if proxy_connect_header is configured proxy_url must also be configured',
    /if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be/,
    'Prometheus 3 has a second key that will do',
  ],
  [
    job('tls_config: {cert_file: there}'),
    'client cert file "there" specified without client key file',
    /exactly one of key or key_file must be configured when a client certificate is configured/,
    NEWER_TLS,
  ],
  [
    job('tls_config: {key_file: there}'),
    'client key file "there" specified without client cert file',
    /exactly one of cert or cert_file must be configured when a client key is configured/,
    NEWER_TLS,
  ],
  [
    job('file_sd_configs: [{files: [key.json]}]'),
    'json: unknown field "labelz"',
    /key\.json:1:33: unknown key "labelz" in a target group/,
    FIRST_FILE,
  ],
  [
    job('file_sd_configs: [{files: [type.json]}]'),
    'json: cannot unmarshal string into Go struct field .targets of type []string',
    /type\.json:1:14: "targets" must be a list/,
    FIRST_FILE,
  ],
  [
    job('file_sd_configs: [{files: [null.json]}]'),
    'nil target group item found (index 0)',
    /null\.json:1:2: expected a group with "targets"/,
    FIRST_FILE,
  ],
  [
    job('file_sd_configs: [{files: [broken.json]}]'),
    'unexpected end of JSON input',
    /broken\.json:1:21: /,
    FIRST_FILE,
  ],
  [
    job('file_sd_configs: [{files: [broken.yml]}]'),
    'line 1: did not find expected node content',
    /broken\.yml:1:13: /,
    FIRST_FILE,
  ],
  [
    job('honor_labels: maybe\nfoo: bar\nsample_limit: x'),
    'line 4: field foo not found in type',
    /:4:3: .*unknown key "foo"/,
    'promtool says all that its decoder met, Canopy one: the unknown key, else the first',
  ],
];
