import type { DurationMs } from '@canopy/model';
import { describe, expect, it } from 'vitest';
import { type LoadedConfig, loadConfig } from './load.js';

const load = (text: string, env: Record<string, string> = {}): LoadedConfig =>
  loadConfig('/etc/prometheus.yml', {
    readFile: (path) => {
      if (path === '/etc/prometheus.yml') return text;
      throw Object.assign(new Error('no'), { code: 'ENOENT' });
    },
    listFolder: () => [],
    env,
    defaultScrapeInterval: 60_000 as DurationMs,
  });

const job = (rest: string) => `scrape_configs:\n- job_name: a\n${rest}`;

describe('a good configuration', () => {
  it('takes over the defaults of Prometheus', () => {
    const config = load('scrape_configs: [{job_name: a, static_configs: [{targets: ["h:1"]}]}]');
    expect(config.scrapeConfigs[0]).toMatchObject({
      jobName: 'a',
      scrapeInterval: 60_000,
      scrapeTimeout: 10_000,
      metricsPath: '/metrics',
      scheme: 'http',
      honorLabels: false,
      honorTimestamps: true,
      followRedirects: true,
      sampleLimit: 0,
    });
    expect(load('').scrapeConfigs).toEqual([]);
    expect(load('global:\n').globalScrapeInterval).toBe(60_000);
  });

  it('lowers the time-out to a shorter interval', () => {
    const config = load(job('  scrape_interval: 5s\n'));
    expect(config.scrapeConfigs[0].scrapeTimeout).toBe(5000);
  });

  it('reads scalars as text where text is meant', () => {
    const config = load(
      job(
        '  honor_labels: yes\n  static_configs: [{targets: ["h:1"], labels: {n: 010, b: true}}]\n' +
          '  relabel_configs: [{source_labels: [a], regex: 80, target_label: b}]\n',
      ),
    );
    expect(config.scrapeConfigs[0].honorLabels).toBe(true);
    expect(config.scrapeConfigs[0].staticConfigs[0].labels).toEqual({ n: '010', b: 'true' });
    expect(config.scrapeConfigs[0].relabelConfigs[0]).toEqual({
      sourceLabels: ['a'],
      separator: ';',
      regex: '80',
      modulus: 0,
      targetLabel: 'b',
      replacement: '$1',
      action: 'replace',
    });
  });

  it('expands the environment in external labels', () => {
    const config = load('global: {external_labels: {a: "x${V}-$V-$$", b: "$NONE"}}', { V: '1' });
    expect(config.externalLabels).toEqual(['a', 'x1-1-$']);
  });

  it('ignores known sections and keys, and says so', () => {
    const config = load('rule_files: [a.yml]\nglobal:\n  evaluation_interval: 1m\nalerting: {}\n');
    expect(config.ignored.map((key) => `${key.place} ${key.key}`)).toEqual([
      '/etc/prometheus.yml:1:1 rule_files',
      '/etc/prometheus.yml:4:1 alerting',
      '/etc/prometheus.yml:3:3 global.evaluation_interval',
    ]);
  });

  it('masks secrets and leaves credential files to those who use them', () => {
    const config = load(
      `# hunter2 in a comment\n${job(
        '  params: {u: ["http://me:hunter2@h/"]}\n' +
          '  basic_auth: {username: me, password: hunter2}\n',
      )}- job_name: b\n  authorization: {credentials_file: secret}\n`,
    );
    expect(config.maskedText).not.toContain('hunter2');
    expect(config.maskedText).toContain('password: <secret>');
    expect(config.scrapeConfigs[0].auth).toMatchObject({ password: 'hunter2' });
    expect(config.scrapeConfigs[1].auth).toEqual({
      type: 'header',
      scheme: 'Bearer',
      credentials: { file: '/etc/secret' },
    });
  });
});

describe('a bad configuration', () => {
  const check = (text: string, message: string | RegExp) => {
    let caught: unknown;
    try {
      load(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({ code: 'config_invalid' });
    expect((caught as Error).message).toMatch(message);
  };
  const at = (place: string, rest: string) =>
    new RegExp(`^/etc/prometheus.yml:${place}: ${rest.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`);

  it('names line, column and key', () => {
    check('a: [', /^\/etc\/prometheus.yml:1:\d/); // not YAML
    check('- a', at('1:1', 'the file is not a mapping'));
    check('globall: {}', at('1:1', 'unknown key "globall" (did you mean "global"?)'));
    check(
      'global:\n  scrape_intervall: 5s',
      at('2:3', 'global: unknown key "scrape_intervall" (did you mean "scrape_interval"?)'),
    );
    check(
      job('  metric_path: /x'),
      at('3:3', 'scrape_configs[0]: unknown key "metric_path" (did you mean "metrics_path"?)'),
    );
    check(
      'global:\n  scrape_interval: 5x',
      at('2:3', 'global.scrape_interval: not a valid duration string: "5x"'),
    );
    check(
      'scrape_configs:\n- honor_labels: true',
      at('2:3', 'scrape_configs[0].job_name: is missing'),
    );
    check(
      job('  honor_labels: maybe'),
      at('3:3', 'scrape_configs[0].honor_labels: "maybe" is neither true nor false'),
    );
    check(
      job('  static_configs:\n  - targets: ["http://h:1/"]'),
      /4:\d+: scrape_configs\[0\].static_configs\[0\].targets\[0\]: "http:\/\/h:1\/" is not a valid hostname/,
    );
  });

  it('checks what spans keys', () => {
    check(
      'scrape_configs: [{job_name: a}, {job_name: a}]',
      'found multiple scrape configs with job name "a"',
    );
    check(
      job('  scrape_interval: 5s\n  scrape_timeout: 10s'),
      'scrape_timeout: is greater than the scrape interval',
    );
    check(
      job('  relabel_configs: [{action: hashmod, target_label: a}]'),
      'requires non-zero modulus',
    );
    check(job('  relabel_configs: [{regex: "a**"}]'), /invalid nested repetition operator/);
    check(job('  relabel_configs: [{regex: a}]'), "requires 'target_label' value");
  });

  it('refuses what it cannot scrape', () => {
    check(
      job('  consul_sd_configs: [{server: h}]'),
      at('3:3', 'scrape_configs[0].consul_sd_configs: is not supported'),
    );
  });

  it('says when the file is not there', () => {
    expect(() =>
      loadConfig('nowhere.yml', {
        readFile: () => {
          throw Object.assign(new Error('x'), { code: 'ENOENT' });
        },
        listFolder: () => [],
        env: {},
        defaultScrapeInterval: 60_000 as DurationMs,
      }),
    ).toThrow(/nowhere.yml: cannot read the configuration: no such file/);
  });
});
