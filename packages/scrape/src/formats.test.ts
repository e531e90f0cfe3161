import { FormatError } from '@canopy/model';
import { expect, test } from 'vitest';
import {
  DEFAULT_SCRAPE_PROTOCOLS,
  type ScrapeProtocol,
  acceptHeader,
  formatOf,
} from './formats.js';

test('what is asked for, as Prometheus 3 does', () => {
  // Golden: put together from scrape.go's acceptHeader and config.go's ScrapeProtocolsHeaders.
  expect(acceptHeader(DEFAULT_SCRAPE_PROTOCOLS, 'allow-utf-8')).toBe(
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,' +
      'application/openmetrics-text;version=0.0.1;q=0.5,' +
      'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,' +
      'text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
  );
  expect(acceptHeader(['PrometheusProto', ...DEFAULT_SCRAPE_PROTOCOLS], 'underscores')).toBe(
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,' +
      'application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.5,' +
      'application/openmetrics-text;version=0.0.1;q=0.4,' +
      'text/plain;version=1.0.0;escaping=underscores;q=0.3,' +
      'text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
  );
  expect(acceptHeader(['PrometheusText0.0.4'], 'values')).toBe(
    'text/plain;version=0.0.4;q=0.6,*/*;q=0.5',
  );
});

test('what an answer is in', () => {
  const check = (header: string, expected: string, fallback?: ScrapeProtocol): void =>
    expect(formatOf(header, fallback), header).toBe(expected);
  check('text/plain', 'text');
  check('text/plain; version=0.0.4; charset=utf-8', 'text');
  check('Text/Plain;', 'text');
  check('text/plain; version=1.0.0; escaping=allow-utf-8', 'text');
  check('application/openmetrics-text; version=1.0.0; charset=utf-8', 'openmetrics');
  check('application/openmetrics-text; charset="utf-8"', 'openmetrics');
  check(
    'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
    'protobuf',
  );
  check('application/vnd.google.protobuf', 'protobuf');
  check('', 'text', 'PrometheusText0.0.4');
  check('', 'protobuf', 'PrometheusProto');
  check('text/html', 'openmetrics', 'OpenMetricsText1.0.0');
  check('text/plain; a', 'openmetrics', 'OpenMetricsText0.0.1');
  check('text/plain', 'text', 'OpenMetricsText1.0.0'); // a known type wins
});

test('an answer that does not say', () => {
  const refuses = (header: string, message: string): void => {
    expect(() => formatOf(header, undefined), header).toThrow(message);
    expect(() => formatOf(header, undefined), header).toThrow(FormatError);
  };
  refuses(
    '',
    'non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target',
  );
  refuses(
    'text/html; charset=utf-8',
    'received unsupported Content-Type "text/html; charset=utf-8" and no fallback_scrape_protocol specified for target',
  );
  refuses('application/json', 'received unsupported Content-Type "application/json"');
  refuses('constructor', 'received unsupported Content-Type');
  refuses(
    'text/plain; a',
    'cannot parse Content-Type "text/plain; a" and no fallback_scrape_protocol for target: mime: invalid media parameter',
  );
  refuses('text/plain;;', 'mime: invalid media parameter');
  refuses('text/plain; a=b; a=c', 'mime: duplicate parameter name');
  refuses('text/plain; a="b', 'mime: invalid media parameter');
  refuses(';', 'mime: no media type');
  refuses('text/', 'mime: ');
  refuses('text plain', 'mime: ');
});
