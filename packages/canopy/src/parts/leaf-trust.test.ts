import type { IncomingMessage } from 'node:http';
import { LeafRegistry, type TokenRule } from '@canopy/federation';
import {
  type CanopyError,
  type TargetStatus,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { leafOf, rulesOfWriter, trustOf, withLoss } from './leaf-trust.js';

const EAST = {
  name: 'east',
  url: 'http://east:9095',
  journal: 'a'.repeat(32),
  role: 'leaf',
  labels: { cluster: 'east' },
};

async function registryOf(
  ...leaves: object[]
): Promise<{ registry: LeafRegistry; clock: VirtualClock }> {
  const clock = new VirtualClock(1_700_000_000_000);
  const registry = new LeafRegistry({
    store: { getDocument: async () => JSON.stringify(leaves), putDocument: async () => undefined },
    clock,
    readTokens: async () => [],
    clientNames: () => undefined,
    isOwn: () => false,
    isHeard: () => false,
    leavesMax: 10,
    changesPerMinuteMax: 10,
    lostAfter: asDuration(300_000),
    log: () => undefined,
  });
  await registry.load();
  return { registry, clock };
}

const target = (url: string, labels: Record<string, string>) => ({
  url,
  labels: labelsFromObject(labels),
  interval: asDuration(5000),
});

it('what a source may hand over', async () => {
  const rights = (labels: object, relays: boolean) => ({
    rights: { identity: '', relays, labels },
  });
  const { registry } = await registryOf(
    EAST,
    {
      ...EAST,
      url: 'http://b/deep',
      journal: 'b'.repeat(32),
      role: 'parent',
      labels: {},
      ...rights({ cluster: ['x', 'y'] }, true),
    },
    {
      ...EAST,
      url: 'https://c',
      journal: 'c'.repeat(32),
      role: 'parent',
      labels: {},
      ...rights({}, false),
    },
    {
      ...EAST,
      url: 'http://d',
      journal: 'd'.repeat(32),
      role: 'leaf',
      labels: {},
      ...rights({}, true),
    },
  );
  const check = (url: string, labels: Record<string, string>, expected: unknown) => {
    const trust = trustOf(registry, ['cluster', 'zone'], target(url, labels));
    const rules = Object.fromEntries(
      [...trust.labels].map(([name, values]) => [name, [...values]]),
    );
    expect([trust.journal?.[0], trust.relays, rules], url).toEqual(expected);
  };
  const job = { job: 'canopy' };
  check('http://east:9095/federate', job, ['a', false, { cluster: ['east'], zone: [] }]);
  check('http://b/deep/federate', job, ['b', true, { cluster: ['x', 'y'], zone: [] }]);
  check('https://c/federate', job, ['c', false, { cluster: [], zone: [] }]);
  check('http://d/federate', job, ['d', false, { cluster: [], zone: [] }]); // a leaf passes on nothing
  // Listed by the configuration: held to what stands there.
  const listed = { job: 'leaves', cluster: 'west' };
  check('http://east:9095/federate', listed, [undefined, true, { cluster: ['west'] }]);
  check('http://z/federate', { job: 'leaves' }, [undefined, true, {}]);
});

it('what a remote write may say', async () => {
  const tokens: TokenRule[] = [
    { token: 'all', relays: true, labels: {} },
    { token: 'narrow', relays: false, labels: { cluster: ['x', 'y'], rack: ['1'] } },
  ];
  const check = async (headers: object, enforced: string[], expected: unknown): Promise<void> => {
    const req = { headers, socket: { remoteAddress: '127.0.0.1' } } as IncomingMessage;
    const options = { readTokens: async () => tokens, clientNames: () => undefined };
    const rules = rulesOfWriter(req, enforced, options).then(
      (labels) => Object.fromEntries([...labels].map(([name, values]) => [name, [...values]])),
      ({ code }: CanopyError) => code,
    );
    expect(await rules).toEqual(expected);
  };
  const far = { 'x-forwarded-for': '10.0.0.1' };
  const shows = (token: string) => ({ ...far, authorization: `Bearer ${token}` });
  await check(far, [], {});
  await check(far, ['cluster'], 'forbidden');
  await check(shows('wrong'), ['cluster'], 'forbidden');
  await check(shows('all'), ['cluster'], {});
  await check(shows('narrow'), ['cluster', 'zone'], { cluster: ['x', 'y'] });
  await check({ ...far, 'canopy-token': 'narrow' }, ['cluster'], { cluster: ['x', 'y'] });
  await check({}, ['cluster'], {}); // from this machine
  await check({ 'canopy-token': 'narrow' }, ['cluster'], { cluster: ['x', 'y'] });
});

it('a lost leaf is called so where its target is shown', async () => {
  const { registry, clock } = await registryOf(EAST);
  const status = {
    scrapeUrl: 'http://east:9095/federate',
    labels: labelsFromObject({ job: 'canopy' }),
    health: 'down',
    lastError: 'connection refused',
  } as unknown as TargetStatus;
  expect(withLoss(registry, status)).toBe(status);
  await clock.advance(300_001);
  expect(leafOf(registry, status.scrapeUrl, status.labels)?.lost).toBe(true);
  expect(withLoss(registry, status).lastError).toBe(
    `lost: the leaf was last heard of at ${new Date(asTime(1_700_000_000_000)).toISOString()}: connection refused`,
  );
  const up = { ...status, health: 'up' } as const;
  expect(withLoss(registry, up)).toBe(up);
  const other = { ...status, scrapeUrl: 'http://west:9095/federate' };
  expect(withLoss(registry, other)).toBe(other);
});
