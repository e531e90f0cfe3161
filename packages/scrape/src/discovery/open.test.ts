/** Discoveries of a configuration as a job has them: alone, together, and through a reload. */
import { NO_LABELS, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, test } from 'vitest';
import type { DnsSdConfig, ScrapeConfig } from '../config.js';
import { ScrapeManager } from '../manager.js';
import { FakeFetcher, RecordingJournal, gatesOf, scrapeConfig } from '../testing/index.js';
import type { DnsResolver } from './resolver.js';

const dns = (name: string, port: number): DnsSdConfig => ({
  names: [name],
  type: 'A',
  port,
  refreshInterval: asDuration(30_000),
});

function rig(config: Partial<ScrapeConfig>, resolver: DnsResolver | undefined) {
  const clock = new VirtualClock();
  const journal = new RecordingJournal();
  const logged: string[] = [];
  const whole = (more: Partial<ScrapeConfig>): ScrapeConfig =>
    scrapeConfig({ staticConfigs: [], ...more });
  const list = JSON.stringify([{ targets: ['http:1'], labels: {} }]);
  const manager = new ScrapeManager({
    clock,
    journal,
    fetcher: new FakeFetcher(clock, ({ url }) =>
      url === 'http://sd/' ? { body: list, contentType: 'application/json' } : 'x 1\n',
    ),
    resolver,
    gates: gatesOf(),
    pullFormat: undefined,
    configs: [whole(config)],
    externalLabels: NO_LABELS,
    discoveries: [],
    offsetSeed: '',
    enforcedLabels: [],
    limits: { seriesPerTargetMax: 100, targetsPerJobMax: 100, droppedTargetsMax: 10 },
    log: (level, message, fields) => logged.push(`${level} ${message}: ${String(fields.error)}`),
  });
  manager.start();
  const hosts = (): string[] =>
    manager
      .active()
      .map(({ scrapeUrl }) => new URL(scrapeUrl).host)
      .sort();
  const reload = (more: Partial<ScrapeConfig>): void => manager.reload([whole(more)], NO_LABELS);
  return { clock, journal, logged, manager, hosts, reload };
}

/** Answers when a test says so. */
class SlowResolver implements DnsResolver {
  readonly waiting = new Map<string, (addresses: string[]) => void>();
  asked = 0;

  addresses(name: string): Promise<string[]> {
    this.asked++;
    return new Promise((resolve) => this.waiting.set(name, resolve));
  }

  services(): Promise<never[]> {
    return Promise.resolve([]);
  }

  hosts(): Promise<never[]> {
    return Promise.resolve([]);
  }
}

test('a slow source does not hold up the others of its job', async () => {
  const resolver = new SlowResolver();
  const http = { url: 'http://sd/', refreshInterval: asDuration(30_000), followRedirects: true };
  const { clock, hosts, manager } = rig(
    {
      staticConfigs: [{ targets: ['static:1'], labels: {}, source: '0' }],
      httpSdConfigs: [http],
      dnsSdConfigs: [dns('x', 1)],
    },
    resolver,
  );
  expect(hosts()).toEqual(['static:1']);
  await clock.advance(0);
  expect(hosts()).toEqual(['http:1', 'static:1']);
  resolver.waiting.get('x')?.(['10.0.0.1']);
  await clock.advance(0);
  expect(hosts()).toEqual(['10.0.0.1:1', 'http:1', 'static:1']);
  await manager.stop();
});

test('a reload: what is the same goes on, what is replaced keeps its targets until it has spoken', async () => {
  const resolver = new SlowResolver();
  const { clock, hosts, manager, reload, journal } = rig({ dnsSdConfigs: [dns('x', 1)] }, resolver);
  resolver.waiting.get('x')?.(['10.0.0.1', '10.0.0.2']);
  await clock.advance(10_000);
  expect(hosts()).toEqual(['10.0.0.1:1', '10.0.0.2:1']);
  reload({ dnsSdConfigs: [dns('x', 1)], targetLimit: 9 });
  await clock.advance(0);
  expect(resolver.asked).toBe(1);
  reload({ dnsSdConfigs: [dns('y', 1)] });
  await clock.advance(10_000);
  expect(hosts()).toEqual(['10.0.0.1:1', '10.0.0.2:1']);
  resolver.waiting.get('y')?.(['10.0.0.2', '10.0.0.3']);
  await clock.advance(10_000);
  expect(hosts()).toEqual(['10.0.0.2:1', '10.0.0.3:1']);
  // The target that stayed was never ended.
  const stayed = journal.groups.filter(({ meta }) => meta.scrapeUrl.includes('10.0.0.2'));
  expect(stayed.map(({ closed }) => closed)).toEqual([false]);
  reload({ dnsSdConfigs: [] });
  expect(hosts()).toEqual([]);
  await clock.advance(100_000);
  expect(resolver.asked).toBe(2);
  await manager.stop();
});

test('where this process cannot look, that is said', async () => {
  const { logged, hosts, manager } = rig({ dnsSdConfigs: [dns('x', 1)] }, undefined);
  expect(logged).toEqual(['error this process does not discover so: DNS is not asked']);
  expect(hosts()).toEqual([]);
  await manager.stop();
});
