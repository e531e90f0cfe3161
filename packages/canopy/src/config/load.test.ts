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

describe('how targets are reached', () => {
  const client = (keys: string) => load(job(keys.replace(/^/gm, '  '))).scrapeConfigs[0];

  it('is taken over with absolute paths', () => {
    expect(client('bearer_token_file: t').auth).toEqual({
      type: 'header',
      scheme: 'Bearer',
      credentials: { file: '/etc/t' },
    });
    expect(client('authorization: {type: " Token "}').auth).toBeUndefined();
    expect(client('basic_auth: {username_file: u, password: p}').auth).toEqual({
      type: 'basic',
      username: { file: '/etc/u' },
      password: 'p',
    });
    expect(
      client(
        'tls_config: {ca_file: ca.pem, cert: C, key_file: /k, server_name: n, min_version: TLS12}',
      ).tls,
    ).toEqual({
      ca: { file: '/etc/ca.pem' },
      cert: 'C',
      key: { file: '/k' },
      serverName: 'n',
      insecureSkipVerify: false,
      minVersion: 'TLSv1.2',
    });
    expect(client('proxy_from_environment: yes').proxy?.url).toBe('environment');
    expect(
      client('proxy_url: "http://p:1"\nno_proxy: a,b\nproxy_connect_header: {X: [y]}').proxy,
    ).toEqual({ url: 'http://p:1', noProxy: 'a,b', connectHeader: { X: ['y'] } });
    expect(
      client('http_headers: {X: {values: [a], secrets: [b], files: [c]}}').httpHeaders,
    ).toEqual([{ name: 'X', values: ['a', 'b', { file: '/etc/c' }] }]);
    expect(
      client('oauth2: {client_id: i, client_secret_file: s, token_url: "http://h/t", scopes: [a]}')
        .auth,
    ).toEqual({
      type: 'oauth2',
      clientId: 'i',
      clientSecret: { file: '/etc/s' },
      scopes: ['a'],
      tokenUrl: 'http://h/t',
      endpointParams: {},
    });
    const plain = client('enable_http2: false\nfollow_redirects: false');
    expect(plain).toMatchObject({ followRedirects: false });
    for (const key of ['auth', 'tls', 'proxy', 'httpHeaders'])
      expect(plain).not.toHaveProperty(key);
  });

  it('keeps every secret off the page', () => {
    const secrets = [
      'basic_auth: {username: u, password: hunter2}',
      'authorization: {credentials: hunter2}',
      'bearer_token: hunter2',
      'oauth2: {client_id: i, client_secret: hunter2, token_url: "http://u:hunter2@h/t"}',
      'tls_config: {cert: c, key: hunter2}',
      'proxy_url: http://u:hunter2@p:1',
      'proxy_url: http://u:h@hunter2@p:1',
      'proxy_url: http://p:1\nproxy_connect_header: {X: [hunter2]}',
      'http_headers: {X: {secrets: [hunter2]}}',
    ];
    for (const keys of secrets) {
      const { maskedText } = load(job(keys.replace(/^/gm, '  ')));
      expect(maskedText, keys).not.toContain('hunter2');
      expect(maskedText).toContain('<secret>');
    }
    // A label may be called what a secret is called.
    const labels = load(job('  static_configs: [{targets: [h], labels: {key: k, password: p}}]'));
    expect(labels.maskedText).toMatch(/key: k\n\s+password: p/);
  });

  it('names what is refused', () => {
    const check = (keys: string, message: RegExp) => expect(() => client(keys)).toThrow(message);
    check('proxy_url: socks5://u:hunter2@p:1', /proxy_url: is not supported: SOCKS(?!.*hunter2)/);
    check('proxy_url: "hunter2"', /proxy_url: is not a URL(?!.*hunter2)/);
    check('oauth2: {client_id: i, token_url: "http://h", claims: {}}', /claims: is not supported:/);
    check('basic_auth: {password_ref: x}', /password_ref: is not supported: secrets/);
    check('scrape_native_histograms: true', /scrape_native_histograms: is not supported: native/);
    check('convert_classic_histograms_to_nhcb: true', /nhcb: is not supported: native/);
    check('http_headers: {Host: {values: [x]}}', /setting header "Host" is not allowed/);
    check('http_headers: {"a b": {values: [x]}}', /"a b" is not a header name/);
    check('no_proxy: h', /if no_proxy is configured, proxy_url must also be configured/);
    check('proxy_from_environment: true\nno_proxy: h', /no_proxy must not be configured/);
    check(
      'proxy_from_environment: true\nproxy_url: "http://p"',
      /proxy_url must not be configured/,
    );
    check('tls_config: {min_version: TLS13, max_version: TLS12}', /max_version must be greater/);
  });

  it('takes native histograms that are switched off, and what has no effect', () => {
    client(
      'scrape_native_histograms: false\nconvert_classic_histograms_to_nhcb: false\n' +
        'always_scrape_classic_histograms: true\nnative_histogram_bucket_limit: 10\n' +
        'native_histogram_min_bucket_factor: 1.1\nscrape_classic_histograms: true',
    );
  });
});

describe('limits and files', () => {
  it('come from the job, else from global', () => {
    const text =
      'global: {sample_limit: 5, keep_dropped_targets: 6, extra_scrape_metrics: true, ' +
      'scrape_failure_log_file: g.log}\n' +
      'scrape_configs: [{job_name: a}, {job_name: b, sample_limit: 7, keep_dropped_targets: 8, ' +
      'extra_scrape_metrics: false, scrape_failure_log_file: /b.log, track_timestamps_staleness: yes}]';
    expect(load(text).scrapeConfigs).toMatchObject([
      {
        sampleLimit: 5,
        keepDroppedTargets: 6,
        extraScrapeMetrics: true,
        scrapeFailureLogFile: '/etc/g.log',
        trackTimestampsStaleness: undefined,
      },
      {
        sampleLimit: 7,
        keepDroppedTargets: 8,
        extraScrapeMetrics: false,
        scrapeFailureLogFile: '/b.log',
        trackTimestampsStaleness: true,
      },
    ]);
  });

  it('reads scrape configurations from further files', () => {
    const files: Record<string, string> = {
      '/etc/prometheus.yml':
        'scrape_config_files: ["more/*.yml", one.yml]\nscrape_configs: [{job_name: a}]',
      '/etc/more/2.yml': 'scrape_configs: [{job_name: c, bearer_token_file: t}]',
      '/etc/more/1.yml': 'scrape_configs:\n- job_name: b\n',
      '/etc/more/x.json': '!',
      '/etc/one.yml': 'scrape_configs: [{job_name: d}]',
    };
    const read = () =>
      loadConfig('/etc/prometheus.yml', {
        readFile: (path) => {
          if (path in files) return files[path];
          throw Object.assign(new Error('no'), { code: 'ENOENT' });
        },
        listFolder: (path) =>
          Object.keys(files)
            .filter((file) => file.startsWith(`${path}/`))
            .map((file) => file.slice(path.length + 1)),
        env: {},
        defaultScrapeInterval: 60_000 as DurationMs,
      });
    expect(read().scrapeConfigs.map(({ jobName }) => jobName)).toEqual(['a', 'b', 'c', 'd']);
    // Paths in a file are relative to that file.
    expect(read().scrapeConfigs[2].auth).toMatchObject({ credentials: { file: '/etc/more/t' } });
    files['/etc/more/1.yml'] = 'scrape_configs:\n- job_name: a\n';
    expect(read).toThrow('/etc/more/1.yml:2:3: scrape_configs[0].job_name: found multiple');
    files['/etc/more/1.yml'] = 'global: {}\n';
    expect(read).toThrow('/etc/more/1.yml:1:1: unknown key "global"');
    delete files['/etc/one.yml'];
    files['/etc/more/1.yml'] = '';
    expect(read).toThrow('/etc/one.yml: cannot read the configuration: no such file');
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
      at('2:3', 'scrape_configs[0].job_name: job_name is empty'),
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
      'scrape_timeout: scrape timeout greater than scrape interval',
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
