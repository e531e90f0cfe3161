import { type DurationMs, NO_LABELS, type Timer, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, test } from 'vitest';
import type { TargetGroup } from './config.js';
import type { Discovery } from './discovery/discovery.js';
import { type ScrapeLimits, ScrapeManager } from './manager.js';
import {
  type FakeAnswer,
  FakeFetcher,
  RecordingJournal,
  gatesOf,
  relabelConfig,
  scrapeConfig,
} from './testing/index.js';

/** A discovery that says what a test tells it to. */
class ToldDiscovery implements Discovery {
  say: (groups: readonly TargetGroup[]) => void = () => {};
  stopped = 0;

  start(onGroups: (groups: readonly TargetGroup[]) => void): { stop(): void } {
    this.say = onGroups;
    return { stop: () => void this.stopped++ };
  }
}

const group = (labels: Record<string, string>, ...targets: string[]): TargetGroup => ({
  targets,
  labels,
  source: 'told',
});

function rig(
  config = scrapeConfig({ staticConfigs: [] }),
  clock = new VirtualClock(),
  limits: Partial<ScrapeLimits> = {},
  answer: FakeAnswer = 'x 1\n',
) {
  const journal = new RecordingJournal();
  const discovery = new ToldDiscovery();
  const logged: string[] = [];
  const manager = new ScrapeManager({
    clock,
    journal,
    fetcher: new FakeFetcher(clock, () => answer),
    gates: gatesOf(),
    pullFormat: undefined,
    configs: [config],
    externalLabels: NO_LABELS,
    discoveries: [{ jobName: 'test', discovery }],
    offsetSeed: '',
    enforcedLabels: [],
    limits: { seriesPerTargetMax: 100, targetsPerJobMax: 3, droppedTargetsMax: 10, ...limits },
    log: (level, message) => logged.push(`${level} ${message}`),
  });
  manager.start();
  const urls = (): string[] => manager.active().map(({ scrapeUrl }) => new URL(scrapeUrl).host);
  return { clock, journal, discovery, manager, logged, urls };
}

test('targets follow what a discovery says; those that stay are not disturbed', async () => {
  const { clock, journal, discovery, manager, urls } = rig();
  expect(urls()).toEqual([]);
  discovery.say([group({}, 'a:1', 'b:1')]);
  await clock.advance(10_000);
  discovery.say([group({}, 'b:1', 'c:1')]);
  expect(urls()).toEqual(['b:1', 'c:1']);
  await clock.advance(30_000);
  const frames = (host: string): number =>
    journal.groups.find(({ meta }) => meta.scrapeUrl.includes(host))?.frames.length ?? 0;
  expect([frames('a:1'), frames('b:1'), frames('c:1')]).toEqual([2, 4, 3]);
  // Found with another label that relabelling does not use: the same target, newly described.
  discovery.say([group({ __meta_note: 'moved' }, 'b:1', 'c:1')]);
  expect(manager.active()[0].discoveredLabels).toContain('__meta_note');
  await clock.advance(10_000);
  expect(frames('b:1')).toBe(5);
  expect(journal.groups.length).toBe(3);
  await manager.stop();
  expect(discovery.stopped).toBe(1);
  discovery.say([group({}, 'd:1')]);
  expect(urls()).toEqual([]);
});

test('one target found twice is scraped once', async () => {
  const { discovery, urls } = rig();
  discovery.say([group({}, 'a:1', 'a:1'), group({}, 'a:1')]);
  expect(urls()).toEqual(['a:1']);
});

test('more targets than a job may have: the rest is left out and said', () => {
  const { discovery, urls, logged } = rig();
  discovery.say([group({}, 'a:1', 'b:1', 'c:1', 'd:1')]);
  expect(urls()).toEqual(['a:1', 'b:1', 'c:1']);
  expect(logged).toEqual(['error too many targets in a job']);
});

test('a reload applies new rules to what was found', async () => {
  const { discovery, manager, urls } = rig();
  discovery.say([group({ env: 'x' }, 'a:1'), group({ env: 'y' }, 'b:1')]);
  const keep = relabelConfig({ sourceLabels: ['env'], regex: 'y', action: 'keep' });
  const config = scrapeConfig({ staticConfigs: [], relabelConfigs: [keep] });
  manager.reload([config], NO_LABELS);
  expect(urls()).toEqual(['b:1']);
  expect(manager.dropped().length).toBe(1);
  const broken = relabelConfig({ regex: '(', action: 'keep' });
  expect(() => manager.reload([{ ...config, relabelConfigs: [broken] }], NO_LABELS)).toThrow();
  expect(urls()).toEqual(['b:1']);
});

test('keep_dropped_targets takes the place of the own limit, without disturbing targets', async () => {
  const drop = relabelConfig({ sourceLabels: ['__address__'], regex: 'x.*', action: 'drop' });
  const targets = ['a:1', 'x1:1', 'x2:1', 'x3:1', 'x4:1'];
  const config = scrapeConfig({
    relabelConfigs: [drop],
    staticConfigs: [{ targets, labels: {}, source: '0' }],
  });
  const { clock, journal, manager } = rig(config);
  expect(manager.dropped().length).toBe(4);
  manager.reload([{ ...config, keepDroppedTargets: 2 }], NO_LABELS);
  expect(manager.dropped().length).toBe(2);
  await clock.advance(30_000);
  expect(journal.groups.length).toBe(1);
  await manager.stop();
});

test('a job that is gone ends its targets; the process may stop meanwhile', async () => {
  const { clock, journal, manager } = rig(scrapeConfig());
  await clock.advance(20_000);
  manager.reload([], NO_LABELS);
  expect(manager.active()).toEqual([]);
  await clock.advance(10_000);
  expect(journal.groups[0].frames.at(-1)?.[0].value).toBe('stale');
  manager.reload([scrapeConfig({ scrapeInterval: asDuration(20_000) })], NO_LABELS);
  await clock.advance(40_000);
  const frames = journal.groups[1].frames.length;
  manager.reload([], NO_LABELS);
  await manager.stop();
  await clock.advance(40_000);
  expect(journal.groups[1].frames.length).toBe(frames);
  expect(journal.groups[1].closed).toBe(true);
});

/** Work takes time here: the clock goes on a tenth of a millisecond each time it is read. */
class BusyClock extends VirtualClock {
  reads = 0;
  /** Reads between two timers: what one stretch of work took. */
  longest = 0;
  #since = 0;

  override monotonic(): number {
    this.reads++;
    this.longest = Math.max(this.longest, this.reads - this.#since);
    return super.monotonic() + this.reads / 10;
  }

  override after(delay: DurationMs, fire: () => void): Timer {
    return super.after(delay, () => {
      this.#since = this.reads;
      fire();
    });
  }
}

test('a look at thousands of targets is made in short steps; what changes meanwhile is seen', async () => {
  const clock = new BusyClock();
  const limits = { targetsPerJobMax: 10_000 };
  const { discovery, manager, urls } = rig(scrapeConfig({ staticConfigs: [] }), clock, limits);
  const addresses = Array.from({ length: 3000 }, (_, i) => `h${i}:1`);
  discovery.say([group({}, ...addresses)]);
  expect(urls().length).toBe(0);
  await clock.advance(0);
  expect(urls().length).toBe(3000);
  // 10 ms a stretch, a tenth of a millisecond an address.
  expect(clock.longest).toBeLessThan(250);
  discovery.say([group({}, ...addresses, 'new:1')]);
  discovery.say([group({}, ...addresses.slice(0, 100))]);
  await clock.advance(0);
  expect(urls().length).toBe(100);
  // Another configuration while a look is under way: that one is not gone on with.
  discovery.say([group({}, ...addresses)]);
  const config = scrapeConfig({ staticConfigs: [], metricsPath: '/other' });
  manager.reload([config], NO_LABELS);
  await clock.advance(0);
  expect(manager.active().length).toBe(3000);
  expect(manager.active().every(({ scrapeUrl }) => scrapeUrl.endsWith('/other'))).toBe(true);
  discovery.say([]);
  await manager.stop();
  await clock.advance(100);
  expect(urls()).toEqual([]);
});

test('what was asked for when its target went is written, unless it takes too long', async () => {
  const check = async (delay: number, end: 'target' | 'process'): Promise<string[]> => {
    const answer = { body: 'x 1\n', delay };
    const { clock, journal, manager } = rig(scrapeConfig(), new VirtualClock(), {}, answer);
    await clock.advance(20_000);
    const [group] = journal.groups;
    const { length } = group.frames;
    const asked = group.frames[length - 1][0].time + 10_000;
    await clock.advance(asked + 100 - clock.now());
    if (end === 'target') manager.reload([], NO_LABELS);
    else void manager.stop();
    await clock.advance(20_000);
    expect(group.closed).toBe(true);
    return group.frames.slice(length).map(([{ value }]) => String(value));
  };
  expect(await check(500, 'target')).toEqual(['1', 'stale']);
  expect(await check(500, 'process')).toEqual(['1']);
  expect(await check(3000, 'target')).toEqual(['stale']);
  expect(await check(3000, 'process')).toEqual([]);
});
