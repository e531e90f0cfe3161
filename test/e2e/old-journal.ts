/** Folders of leaves that have scraped for hours, written in seconds: by the journal's own writer, in virtual time. */
import { asDuration, asTime, labelsFromObject } from '@canopy/model';
import { openGenerated } from '../bench/generated-journal.js';

export interface OldJournal {
  readonly ref: string;
  /** Of the scrapes, ms, ascending; the same for every target. */
  readonly times: readonly number[];
  /** Of series `number` of target `target` at each of `times`. */
  values(target: number, number: number): readonly number[];
}

export interface OldShape {
  /** Label `leaf` of every series. */
  readonly leaf: string;
  readonly targets: number;
  readonly series: number;
  readonly interval: number;
  readonly from: number;
  readonly to: number;
}

/** Series `m{leaf,target,number}`. Values are what no encoding makes small: eight bytes each. */
export async function writeOldJournal(folder: string, shape: OldShape): Promise<OldJournal> {
  const { leaf, targets, series, interval, from, to } = shape;
  const times = Array.from(
    { length: Math.floor((to - from) / interval) },
    (_, i) => from + i * interval,
  );
  let now = from;
  const generated = await openGenerated('leaf', folder, () => asTime(now));
  const { journal } = generated;
  const writers = Array.from({ length: targets }, (_, target) => {
    const labels = labelsFromObject({ instance: `${leaf}-${target}`, job: 'old' });
    const meta = {
      kind: 'aligned' as const,
      target: labels,
      scrapeUrl: `http://${leaf}/${target}`,
    };
    const writer = journal.openGroup({ ...meta, interval: asDuration(interval) });
    for (let number = 0; number < series; number++) {
      const more = { target: String(target), number: String(number) };
      writer.addSlot(labelsFromObject({ __name__: 'm', leaf, ...more }), -1);
    }
    return writer;
  });
  const states = new Uint8Array(series).fill(1);
  for (const [i, time] of times.entries()) {
    now = time;
    for (const [target, writer] of writers.entries()) {
      const values = Float64Array.from({ length: series }, (_, number) =>
        valueAt(target, number, i),
      );
      writer.write(asTime(time), states, values);
    }
    if (i % 20 === 19) await generated.settle(asTime(time));
  }
  await generated.settle(asTime(now));
  const { ref } = journal;
  await generated.release();
  await generated.store[Symbol.asyncDispose]();
  return {
    ref,
    times,
    values: (target, number) => times.map((_, i) => valueAt(target, number, i)),
  };
}

/** A fraction that depends on all three, always the same. */
function valueAt(target: number, number: number, scrape: number): number {
  let state = Math.imul(scrape * 65_536 + target * 256 + number + 1, 2_654_435_761) >>> 0;
  state ^= state >>> 15;
  state = Math.imul(state, 2_246_822_519) >>> 0;
  return (state ^ (state >>> 13)) / 3 + scrape / 7;
}
