import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ACCEPTED } from '../testing/accepted-configs.js';
import { hasPromtool, promtoolSays } from '../testing/promtool.js';
import { job } from '../testing/refused-configs.js';
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
  ['global: {external_labels: {"a-b": c}}', true, 'label names may be UTF-8, as in 3.x'],
  [
    job('static_configs: [{targets: ["h:1"], labels: {"a-b": c}}]'),
    true,
    'label names may be UTF-8, as in 3.x',
  ],
  [job('oauth2: {client_id: i, token_url: "http://h/t"}'), true, '3.x asks for no secret'],
  [job('body_size_limit: -1MB'), false, 'a limit below nothing means none to Prometheus'],
  [job('proxy_url: foo'), false, 'Prometheus says it when the target is scraped'],
  [job('http_sd_configs: [{url: "http://h", refresh_interval: 0s}]'), false, 'would never end'],
  [job('dns_sd_configs: [{names: [x], refresh_interval: 0s}]'), false, 'would never end'],
  [job('file_sd_configs: [{files: [x.json], refresh_interval: }]'), false, 'would never end'],
  [job('dns_sd_configs: [{names: [""]}]'), false, 'there is no such name'],
  [job('dns_sd_configs: [{names: [x], type: A, port: -1}]'), false, 'there is no such port'],
  [job('dns_sd_configs: [{names: [x], type: A, port: 70000}]'), false, 'there is no such port'],
  ['global: {scrape_interval: !!int 5s}', true, 'tags of YAML are not read: each key has its type'],
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

test('what is accepted', () => {
  for (const text of ACCEPTED) {
    const { exitCode, said } = canopy(text);
    expect(exitCode, `${text}\n${said}`).toBe(0);
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
    `static_configs: [{targets: ["h:1"]}]\nrelabel_configs: [{target_label: __scheme__, replacement: ftp}]`,
    /WARNING: .* target h:1 cannot be scraped: unsupported protocol scheme "ftp"/,
  );
});

test.skipIf(!hasPromtool())('promtool accepts and refuses the same', () => {
  const wanted = [
    ...ACCEPTED.map((text) => [text, true] as const),
    ...DIFFERENT.map(([text, accepted]) => [text, !accepted] as const),
  ];
  const said = promtoolSays(
    folder,
    wanted.map(([text]) => text),
  );
  expect(wanted.filter(([, accepted], index) => (said[index] === '') !== accepted)).toEqual([]);
});
