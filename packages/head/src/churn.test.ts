import { asDuration, asTime, makeMatcher } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, it } from 'vitest';
import { Head } from './index.js';
import { JournalScript } from './testing/index.js';

const START = 1_700_000_000_000;
const HOUR = 3_600_000;
const PODS = 100;

it('holds no more after days of rolling deployments than after hours', async () => {
  const clock = new VirtualClock(START);
  const head = new Head({
    clock,
    windowMs: asDuration(2 * HOUR),
    tileFrames: 120,
    outOfOrderWindow: asDuration(0),
    onTileClosed: () => {},
    tileSource: null,
    maxSeries: 4 * PODS,
  });
  const journal = new JournalScript('c');
  const sizes: unknown[] = [];
  for (let hour = 0; hour < 72; hour++) {
    const begun = START + hour * HOUR;
    const group = journal.group({ interval: HOUR / 4 });
    for (let i = 0; i < PODS; i++) group.add({ __name__: 'restarts', pod: `pod-${hour}-${i}` });
    for (let frame = 0; frame < 4; frame++) {
      group.frame(
        begun + (frame * HOUR) / 4,
        Array.from({ length: PODS }, () => frame),
      );
    }
    // As a leaf ends a target that is gone.
    group.frame(
      begun + HOUR - 1000,
      Array.from({ length: PODS }, () => 'stale' as const),
    );
    await clock.advance(HOUR);
    head.apply(journal.ref, journal.take());
    head.expire(asTime(begun + HOUR));
    const places = head.groupsNotNeeded(journal.ref, head.trimmable(journal.ref));
    head.layoutsDropped(journal.ref, places);
    const { series, groups, tilesInMemory, tileBytes, tailBytes } = head.stats;
    sizes.push({ series, groups, tilesInMemory, tileBytes, tailBytes });
  }
  // With `maxSeries` any series that stayed would have kept others out.
  expect(head.stats.refused).toEqual({});
  expect(sizes[71]).toEqual(sizes[10]);
  const snapshot = head.snapshot();
  const range = { minTime: asTime(START), maxTime: asTime(START + 72 * HOUR) };
  const found = await snapshot.select([makeMatcher('__name__', '=', 'restarts')], range);
  // The newest, and those whose samples are still within the window.
  expect([2 * PODS, 3 * PODS]).toContain(found.length);
  snapshot.release();
});
