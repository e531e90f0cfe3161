/**
 * Gives the same samples to a parent's embedded store, as frames of aligned groups (what scraping and pulling
 * leave there), and to other servers by remote write, in the order of time.
 */
import { asDuration, asTime, labelsFromObject } from '@canopy/model';
import type { JournalWriter } from '@canopy/store';
import { openGenerated } from './generated-journal.js';
import { type Farm, FarmTarget, INTERVAL } from './query-data.js';
import { encodeLabels, encodeWrite, remoteWrite } from './query-write.js';

/** Scrapes of a target in one request: ten minutes, well within what Prometheus takes out of order. */
const SCRAPES_A_WRITE = 40;
const MINUTES = 60_000;

interface Filling {
  readonly target: FarmTarget;
  readonly begin: number;
  readonly writer: ReturnType<JournalWriter['openGroup']>;
  readonly states: Uint8Array;
  readonly encodedLabels: readonly Buffer[];
  readonly times: number[];
  /** `SCRAPES_A_WRITE` values a series. */
  readonly waiting: Float64Array;
}

function open(farm: Farm, number: number, end: number, journal: JournalWriter): Filling {
  const target = new FarmTarget(farm, number);
  const writer = journal.openGroup({
    kind: 'aligned',
    target: labelsFromObject({ job: farm.prefix, instance: target.instance }),
    scrapeUrl: `http://${target.instance}/metrics`,
    interval: asDuration(INTERVAL),
  });
  for (const labels of target.labels) writer.addSlot(labels, -1);
  const size = target.labels.length;
  return {
    ...{ target, writer, begin: end - farm.hours * 60 * MINUTES },
    states: new Uint8Array(size).fill(1),
    encodedLabels: target.labels.map(encodeLabels),
    times: [],
    waiting: new Float64Array(size * SCRAPES_A_WRITE),
  };
}

/**
 * Fills `folder` and the servers at `bases` up to `end` (milliseconds, a multiple of the interval); samples given.
 */
export async function fill(
  farms: readonly Farm[],
  end: number,
  folder: string,
  bases: readonly string[],
): Promise<number> {
  const begin = end - Math.max(...farms.map(({ hours }) => hours)) * 60 * MINUTES;
  let virtual = begin;
  const generated = await openGenerated('parent', folder, () => asTime(virtual));
  const fillings = farms.flatMap((farm) =>
    Array.from({ length: farm.targets }, (_, i) => open(farm, i, end, generated.journal)),
  );
  fillings.sort((a, b) => a.target.offset - b.target.offset);
  let samples = 0;
  for (let step = 0; begin + step * INTERVAL < end; step++) {
    const start = begin + step * INTERVAL;
    for (const filling of fillings) {
      if (filling.begin > start) continue;
      virtual = start + filling.target.offset;
      scrape(filling, virtual);
      samples += filling.states.length;
    }
    await generated.settle(asTime(virtual));
    if (step % SCRAPES_A_WRITE === SCRAPES_A_WRITE - 1) await send(fillings, bases);
  }
  await send(fillings, bases);
  await generated.release();
  await generated.store[Symbol.asyncDispose]();
  return samples;
}

function scrape({ target, writer, states, times, waiting }: Filling, time: number): void {
  target.next();
  const { values } = target;
  writer.write(asTime(time), states, values);
  for (let i = 0; i < values.length; i++) waiting[i * SCRAPES_A_WRITE + times.length] = values[i];
  times.push(time);
}

async function send(fillings: readonly Filling[], bases: readonly string[]): Promise<void> {
  for (const { times, encodedLabels, waiting } of fillings) {
    if (times.length === 0) continue;
    await remoteWrite(bases, encodeWrite(encodedLabels, times, waiting, SCRAPES_A_WRITE));
    times.length = 0;
  }
}
