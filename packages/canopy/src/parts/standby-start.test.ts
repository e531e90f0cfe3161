/**
 * A standby that reads the store at its start while another parent writes tiles, seals and merges them, sweeps and cuts:
 * layouts, tiles, blocks, their indexes and entries are read one after the other, and anything may happen between two reads.
 */
import { Head, type HeadOptions, type TileSource } from '@canopy/head';
import { asDuration } from '@canopy/model';
import { expect, it } from 'vitest';
import { EVER, HOUR, MINUTE, SmallParent } from '../testing/small-parent.js';
import { Follower } from './follower.js';
import { recoverJournal } from './recovery.js';
import { SealedSource } from './sealed-source.js';

const HOURS = 4;
/** What the store has of the samples when the standby begins. */
const BEGINNINGS = ['a journal', 'tiles', 'blocks'] as const;

const ACTS = ['does everything', 'seals and merges'] as const;

class Writer extends SmallParent {
  readonly #aligned = this.group('aligned');
  readonly #loose = this.script
    .group({ kind: 'loose', interval: MINUTE })
    .add({ __name__: 'm', pod: 'often' }, { __name__: 'm', pod: 'seldom' });
  #minutes = 0;

  override newHead(): Head {
    return this.headOf(this.store, (ref, tile) => this.tiles.add(ref, tile));
  }

  headOf(tileSource: TileSource, onTileClosed: HeadOptions['onTileClosed']): Head {
    return new Head({
      ...{ clock: this.clock, windowMs: asDuration(2 * HOUR), tileFrames: 30, maxSeries: 1000 },
      outOfOrderWindow: asDuration(10 * MINUTE),
      ...{ tileSource, onTileClosed },
    });
  }

  async scrape(minutes: number): Promise<void> {
    for (let i = 0; i < minutes; i++) {
      const now = this.clock.now();
      this.#aligned.frame(now, [this.#minutes], this.#minutes % 30 === 0);
      const seldom = [1, now - 1, this.#minutes] as const;
      const often = [0, now - 1, this.#minutes] as const;
      this.#loose.loose(now, this.#minutes % 50 === 7 ? [often, seldom] : [often]);
      this.#minutes++;
      this.clock.stepWallClock(MINUTE);
    }
    await this.take();
  }

  async begin(with_: (typeof BEGINNINGS)[number]): Promise<void> {
    // The window of late samples reaches from the open tile into the one before.
    await this.scrape(HOURS * 60 + 3);
    this.watermark = this.clock.now();
    this.blocks = this.newBlocks({ spans: [], sealDelay: asDuration(0) });
    if (with_ !== 'a journal') await this.tiles.write();
    if (with_ === 'blocks') await this.blocks.run(this.clock.now());
    this.watermark += 3 * HOUR;
    // What a merge replaced is swept at once, as where the store is full.
    const [span, grace] = [asDuration(HOURS * HOUR), asDuration(-1)];
    this.blocks = this.newBlocks({ spans: [span], sealDelay: asDuration(0), grace });
  }

  async act(what: (typeof ACTS)[number]): Promise<void> {
    if (what === 'does everything') await this.tiles.write();
    await this.blocks.run(this.clock.now());
    if (what === 'seals and merges') return;
    await this.scrape(31);
    await this.tiles.write();
  }

  /** Samples that come late, or twice. */
  late() {
    const now = this.clock.now();
    const at = (minutes: number): number => now - minutes * MINUTE - 1;
    this.#loose.loose(now, [
      [0, at(5), 1e6],
      [0, at(5) + 7, 1e6],
      [1, at(3), 1e6],
      [1, at(200), 1e6],
      [0, at(0), 1e6],
    ]);
    return this.script.take();
  }
}

async function samples(head: Head): Promise<Record<string, string>> {
  const snapshot = head.snapshot();
  const found: Record<string, string> = {};
  for (const { labels, from, to, times, values } of await snapshot.select([], EVER)) {
    const points = Array.from(times.subarray(from, to), (time, i) => `${time} ${values[from + i]}`);
    found[labels[3]] = points.join();
  }
  snapshot.release();
  return found;
}

interface Case {
  readonly beginning: (typeof BEGINNINGS)[number];
  readonly act: (typeof ACTS)[number];
}

/** Reads of the store while a standby starts; before the read `at` its writer acts. */
async function start({ beginning, act }: Case, at: number): Promise<number> {
  const writer = new Writer();
  await writer.begin(beginning);
  const { store, ref, clock } = writer;
  const reads: Array<string | symbol> = [];
  const reading = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return async (...given: unknown[]): Promise<unknown> => {
        if (reads.push(name) === at + 1) await writer.act(act);
        return (value as (...given: unknown[]) => unknown).apply(target, given);
      };
    },
  });
  const follower: Follower = new Follower({
    ...{ store, clock, every: asDuration(2000), log: () => {}, head: () => head },
    ...{ onLevel: () => {}, onRebuild: () => {}, onRebuilt: () => {} },
  });
  const head = writer.headOf(new SealedSource(store), (...closed) => follower.add(...closed));
  await recoverJournal(reading, head, (await store.journal(ref))!, () => {});
  await follower.catchUp((await store.journal(ref))!);
  // What was sealed after recovery looked for it is found once a minute.
  if (at > reads.lastIndexOf('blocks')) await follower.compareTiles((await store.journal(ref))!);
  const place = `${beginning}, read ${at}`;
  expect(await samples(head), place).toEqual(await samples(writer.head));
  const late = writer.late();
  const judged = ({ samples, refused }: ReturnType<Head['apply']>) => ({ samples, refused });
  expect(judged(head.apply(ref, late)), place).toEqual(judged(writer.head.apply(ref, late)));
  return reads.length;
}

const CASES: Case[] = BEGINNINGS.flatMap((beginning) => ACTS.map((act) => ({ beginning, act })));

it.each(CASES)(
  'has all samples once, whenever its writer $act, from $beginning on',
  async (one) => {
    const reads = await start(one, -1);
    expect(reads).toBeGreaterThan(3);
    for (let at = 0; at <= reads + 3; at++) await start(one, at);
  },
);
