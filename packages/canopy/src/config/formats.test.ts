import type { DurationMs } from '@canopy/model';
import type { ScrapeConfig } from '@canopy/scrape';
import { expect, test } from 'vitest';
import { loadConfig } from './load.js';

function load(global: string, job: string): Partial<ScrapeConfig> {
  const text = `global: {${global}}\nscrape_configs: [{job_name: a, ${job}}]`;
  const [config] = loadConfig('x.yml', {
    readFile: () => text,
    listFolder: () => [],
    env: {},
    defaultScrapeInterval: 60_000 as DurationMs,
  }).scrapeConfigs;
  return {
    scrapeProtocols: config.scrapeProtocols,
    fallbackScrapeProtocol: config.fallbackScrapeProtocol,
    enableCompression: config.enableCompression,
    metricNameValidationScheme: config.metricNameValidationScheme,
    metricNameEscapingScheme: config.metricNameEscapingScheme,
  };
}

const check = (global: string, job: string, expected: Partial<ScrapeConfig>): void =>
  expect(load(global, job), `${global} | ${job}`).toMatchObject(expected);
const refuses = (global: string, job: string, message: string): void =>
  expect(() => load(global, job), `${global} | ${job}`).toThrow(message);

test('keys of formats, a job before global', () => {
  check('', '', {
    scrapeProtocols: undefined,
    fallbackScrapeProtocol: undefined,
    enableCompression: true,
    metricNameValidationScheme: 'utf8',
    metricNameEscapingScheme: 'allow-utf-8',
  });
  check('scrape_protocols: [PrometheusProto]', '', { scrapeProtocols: ['PrometheusProto'] });
  check(
    'scrape_protocols: [PrometheusProto]',
    'scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]',
    {
      scrapeProtocols: ['PrometheusText0.0.4', 'OpenMetricsText1.0.0'],
    },
  );
  check('', 'fallback_scrape_protocol: ""', { fallbackScrapeProtocol: undefined });
  check('', 'fallback_scrape_protocol: PrometheusText1.0.0, enable_compression: false', {
    fallbackScrapeProtocol: 'PrometheusText1.0.0',
    enableCompression: false,
  });
});

test('schemes of names', () => {
  const names = (global: string, job: string, validation: string, escaping: string): void =>
    expect(load(global, job)).toMatchObject({
      metricNameValidationScheme: validation,
      metricNameEscapingScheme: escaping,
    });
  const validation = (scheme: string) => `metric_name_validation_scheme: ${scheme}`;
  const escaping = (scheme: string) => `metric_name_escaping_scheme: ${scheme}`;
  names(validation('legacy'), '', 'legacy', 'underscores');
  names('', validation('legacy'), 'legacy', 'underscores');
  names(validation('legacy'), validation('utf8'), 'utf8', 'allow-utf-8');
  names(escaping('dots'), '', 'utf8', 'dots');
  names(escaping('dots'), validation('legacy'), 'legacy', 'underscores'); // not taken over
  names(escaping('dots'), escaping('values'), 'utf8', 'values');
  names(validation('""'), `${validation('""')}, ${escaping('""')}`, 'utf8', 'allow-utf-8'); // blank
  names(escaping('allow-utf-8'), validation('legacy'), 'legacy', 'underscores');
  const conflict = 'utf8 metric names requested but validation scheme is not set to UTF8';
  refuses('', `${validation('legacy')}, ${escaping('allow-utf-8')}`, conflict);
  refuses(`${validation('legacy')}, ${escaping('allow-utf-8')}`, '', conflict);
  refuses('', validation('utf-8'), 'unknown name validation method "utf-8"');
  refuses(escaping('none'), '', 'unknown name escaping method "none"');
});

test('protocols that Prometheus refuses', () => {
  refuses('', 'scrape_protocols: []', 'scrape_protocols cannot be empty');
  refuses(
    '',
    'scrape_protocols: [prometheusproto]',
    'unknown scrape protocol prometheusproto, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]',
  );
  refuses(
    '',
    'scrape_protocols: [OpenMetricsText1.0.0, PrometheusProto, OpenMetricsText1.0.0]',
    'duplicated protocol in scrape_protocols, got [OpenMetricsText1.0.0 PrometheusProto OpenMetricsText1.0.0]',
  );
  refuses(
    '',
    'fallback_scrape_protocol: prometheusproto',
    'unknown scrape protocol prometheusproto',
  );
  refuses('', 'fallback_scrape_protocol: [PrometheusProto]', 'fallback_scrape_protocol');
});
