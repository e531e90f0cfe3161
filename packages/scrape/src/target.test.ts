import { asDuration, labelsToObject } from '@canopy/model';
import { expect, test } from 'vitest';
import type { ScrapeConfig } from './config.js';
import { compileRelabel } from './relabel.js';
import { makeTarget } from './target.js';
import { relabelConfig, scrapeConfig } from './testing/index.js';

/** `expected`: labels, URL, interval, time-out; or what is wrong; null where dropped. */
function check(
  address: string,
  labels: Record<string, string>,
  config: Partial<ScrapeConfig>,
  expected: { labels?: object; url?: string; interval?: number; timeout?: number } | string | null,
): void {
  const full = scrapeConfig(config);
  const relabel = compileRelabel(full.relabelConfigs);
  const outcome = makeTarget(full, relabel, { targets: [address], labels, source: '' }, address);
  if (expected === null) return expect(outcome.kind).toBe('dropped');
  if (typeof expected === 'string') {
    expect(outcome).toMatchObject({ kind: 'invalid', reason: expected });
    return;
  }
  if (outcome.kind !== 'target') throw new Error(JSON.stringify(outcome));
  const { target } = outcome;
  const { url, interval, timeout } = target;
  expect({ labels: { ...labelsToObject(target.labels) }, url, interval, timeout }).toMatchObject(
    expected,
  );
}

test('labels of a target', () => {
  check('a:80', {}, {}, { labels: { instance: 'a:80', job: 'test' }, url: 'http://a:80/metrics' });
  check('a:80', { job: 'j', x: 'y' }, {}, { labels: { instance: 'a:80', job: 'j', x: 'y' } });
  check('a:80', { instance: 'i', __meta_m: 'v' }, {}, { labels: { instance: 'i', job: 'test' } });
  check(
    '[::1]:9100',
    {},
    {},
    { labels: { instance: '[::1]:9100', job: 'test' }, url: 'http://[::1]:9100/metrics' },
  );
});

test('the URL', () => {
  check('a', {}, { scheme: 'https', metricsPath: '/x y' }, { url: 'https://a/x%20y' });
  check(
    'a',
    {},
    { params: { 'match[]': ['{job!=""}', 'up'], b: ['1'] } },
    { url: 'http://a/metrics?b=1&match%5B%5D=%7Bjob%21%3D%22%22%7D&match%5B%5D=up' },
  );
  check(
    'a',
    { __param_b: '2', __param_c: '3' },
    { params: { b: ['1', 'x'] } },
    { url: 'http://a/metrics?b=2&b=x&c=3' },
  ); // a label takes the place of the first value
  check('a', { __metrics_path__: '/other', __scheme__: 'https' }, {}, { url: 'https://a/other' });
  check('a', {}, { metricsPath: '/a?b' }, { url: 'http://a/a%3Fb' });
});

test('interval and time-out can be set by labels', () => {
  check('a', {}, {}, { interval: 10_000, timeout: 5000 });
  check(
    'a',
    { __scrape_interval__: '1m', __scrape_timeout__: '30s' },
    {},
    { interval: 60_000, timeout: 30_000 },
  );
  check(
    'a',
    { __scrape_interval__: '1s' },
    {},
    'scrape timeout cannot be greater than scrape interval ("5s" > "1s")',
  );
  check(
    'a',
    { __scrape_interval__: 'x' },
    {},
    'error parsing scrape interval: not a valid duration string: "x"',
  );
  check(
    'a',
    { __scrape_timeout__: '0s' },
    { scrapeTimeout: asDuration(0) },
    'scrape timeout cannot be 0',
  );
});

test('relabelling', () => {
  const blackbox = [
    relabelConfig({ sourceLabels: ['__address__'], targetLabel: '__param_target' }),
    relabelConfig({ sourceLabels: ['__param_target'], targetLabel: 'instance' }),
    relabelConfig({ targetLabel: '__address__', replacement: 'prober:9115' }),
  ];
  check(
    'http://x.y',
    {},
    { relabelConfigs: blackbox, params: { module: ['m'] } },
    {
      labels: { instance: 'http://x.y', job: 'test' },
      url: 'http://prober:9115/metrics?module=m&target=http%3A%2F%2Fx.y',
    },
  );
  check(
    'a',
    {},
    { relabelConfigs: [relabelConfig({ sourceLabels: ['job'], regex: 'test', action: 'drop' })] },
    null,
  );
  check(
    'a',
    {},
    { relabelConfigs: [relabelConfig({ targetLabel: '__address__', replacement: '' })] },
    'no address',
  );
});

test('what is no address', () => {
  check('http://a', {}, {}, '"http://a" is not a valid hostname');
  check('a b', {}, {}, '"a b" is not a valid hostname');
  check('u@a', {}, {}, '"u@a" is not a valid hostname');
  check('a:99999', {}, {}, '"a:99999" is not a valid hostname');
  check('a', { __scheme__: 'ftp' }, {}, 'unsupported protocol scheme "ftp"');
});
