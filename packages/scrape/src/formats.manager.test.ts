/** A target in each format, and from one to the next: what is asked, what becomes of series. */
import { NO_LABELS } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, test } from 'vitest';
import type { ScrapeConfig } from './config.js';
import { ScrapeManager } from './manager.js';
import { REPORT_NAMES } from './target-series.js';
import { FakeFetcher, RecordingJournal, gatesOf, scrapeConfig } from './testing/index.js';

const TEXT = 'text/plain; version=0.0.4';
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const PROTOBUF =
  'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';

class Rig {
  readonly clock = new VirtualClock();
  readonly journal = new RecordingJournal();
  headers: Readonly<Record<string, string>> = {};
  body = '';
  contentType = TEXT;
  readonly manager: ScrapeManager;

  constructor(config: Partial<ScrapeConfig>) {
    const fetcher = new FakeFetcher(this.clock, (request) => {
      this.headers = request.headers;
      return { body: this.body, contentType: this.contentType };
    });
    this.manager = new ScrapeManager({
      clock: this.clock,
      journal: this.journal,
      fetcher,
      gates: gatesOf(),
      pullFormat: undefined,
      configs: [scrapeConfig(config)],
      externalLabels: NO_LABELS,
      discoveries: [],
      offsetSeed: 'seed',
      enforcedLabels: [],
      limits: { seriesPerTargetMax: 100, targetsPerJobMax: 10, droppedTargetsMax: 3 },
      log: () => {},
    });
    this.manager.start();
  }

  /** Samples of the newest aligned frame, the report left out; or the reason why there are none. */
  async scrape(contentType: string, body: string): Promise<string[] | string> {
    this.contentType = contentType;
    this.body = body;
    await this.clock.advance(10_000);
    const { lastError } = this.manager.active()[0];
    if (lastError !== '') return lastError;
    const frame = this.journal.groups[0].frames.at(-1) ?? [];
    return frame
      .filter(({ series }) => !REPORT_NAMES.some((name) => series.startsWith(`${name}{`)))
      .map(
        ({ series, value }) => `${series.replace(/(, )?instance="a:1", job="test"/, '')} ${value}`,
      );
  }
}

test('one series in all formats; a new format counts its series as added', async () => {
  const rig = new Rig({});
  expect(await rig.scrape(TEXT, '# TYPE a counter\na{b="c"} 1\n')).toEqual(['a{b="c"} 1']);
  expect(await rig.scrape(OPENMETRICS, '# TYPE a unknown\n# UNIT a \na{b="c"} 2\n# EOF\n')).toEqual(
    ['a{b="c"} 2'],
  );
  const message =
    '\x1a\x0a\x01a\x18\x00"\x13\x0a\x06\x0a\x01b\x12\x01c\x1a\x09\x09\0\0\0\0\0\0\x08@';
  expect(await rig.scrape(PROTOBUF, message)).toEqual(['a{b="c"} 3']);
  expect(rig.journal.groups[0].slots.length).toBe(REPORT_NAMES.length + 1);
  expect(rig.journal.groups[0].families.map(({ type }) => type)).toEqual([
    'counter',
    'unknown',
    'counter',
  ]);
  expect(await rig.scrape(TEXT, 'b 1\n')).toEqual(['a{b="c"} stale', 'b{} 1']);
});

test('units and types travel with the layout; exemplars are counted', async () => {
  const rig = new Rig({});
  const body =
    '# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n# HELP h_seconds Time.\n' +
    'h_seconds_bucket{le="1"} 1 # {trace_id="x"} 0.5\nh_seconds_bucket{le="+Inf"} 1\n# EOF\n';
  await rig.scrape(OPENMETRICS, body);
  const [group] = rig.journal.groups;
  expect(group.families).toEqual([
    { name: 'h_seconds', type: 'histogram', help: 'Time.', unit: 'seconds' },
  ]);
  expect(group.slots.slice(REPORT_NAMES.length).map(({ family }) => family)).toEqual([0, 0]);
  expect(rig.manager.totals).toMatchObject({ refused: {}, exemplars: 1 });
});

test('an unchanged timestamp is no new sample and no end of the series', async () => {
  const rig = new Rig({ trackTimestampsStaleness: true });
  const loose = (): unknown[] =>
    rig.journal.groups[1].frames.flat().map(({ time, value }) => [time, value]);
  for (let i = 0; i < 3; i++) await rig.scrape(OPENMETRICS, 'a 1 5.25\nb 1 -5\n# EOF\n');
  expect(loose()).toEqual([[5250, 1]]);
  expect(rig.manager.totals.refused).toEqual({ out_of_bounds: 3 });
  await rig.scrape(OPENMETRICS, 'a 2 5.5\n# EOF\n');
  expect(loose()).toEqual([
    [5250, 1],
    [5500, 2],
  ]);
  await rig.scrape(OPENMETRICS, '# EOF\n');
  expect(loose().at(-1)).toEqual([expect.any(Number), 'stale']);
});

test('what is asked for follows the configuration', async () => {
  const check = async (
    config: Partial<ScrapeConfig>,
    accept: string,
    encoding: string,
  ): Promise<void> => {
    const rig = new Rig(config);
    await rig.scrape(TEXT, '');
    expect(rig.headers).toEqual({ accept, 'accept-encoding': encoding });
  };
  await check(
    {
      scrapeProtocols: ['PrometheusText1.0.0', 'PrometheusProto'],
      metricNameEscapingScheme: 'dots',
    },
    'text/plain;version=1.0.0;escaping=dots;q=0.6,' +
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,*/*;q=0.4',
    'gzip',
  );
  await check(
    { scrapeProtocols: ['PrometheusText0.0.4'], enableCompression: false },
    'text/plain;version=0.0.4;q=0.6,*/*;q=0.5',
    'identity',
  );
});

test('bodies in a format that is not said, names that are not allowed', async () => {
  const fallback = new Rig({ fallbackScrapeProtocol: 'OpenMetricsText1.0.0' });
  expect(await fallback.scrape('', 'a 1\n# EOF\n')).toHaveLength(1);
  expect(await fallback.scrape('text/html', 'a 1\n# EOF\n')).toHaveLength(1);
  expect(await fallback.scrape('text/html', 'a 1\n')).toBe('line 2: data does not end with # EOF');
  const strict = new Rig({});
  expect(await strict.scrape('', 'a 1\n')).toMatch(/^non-compliant scrape target sending blank/);
  expect(await strict.scrape(OPENMETRICS, 'a 1\n')).toBe('line 2: data does not end with # EOF');
  expect(await strict.scrape(TEXT, '{"a.b"} 1\n')).toHaveLength(1);
  const legacy = new Rig({ metricNameValidationScheme: 'legacy' });
  const invalid = /^invalid metric name or label names: \{/;
  expect(await legacy.scrape(TEXT, '{"a.b"} 1\n')).toMatch(invalid);
  expect(await legacy.scrape(TEXT, 'a{"b.c"="d"} 1\n')).toMatch(
    /^invalid metric name or label names: a\{/,
  );
  expect(await legacy.scrape(TEXT, 'a:b{c="d"} 1\n')).toHaveLength(1);
});
