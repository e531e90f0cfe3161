/**
 * Pages read by a reader that was written from the format pages alone (testing/independent-reader.ts): the pages'
 * own examples, a golden page, and what a server answers in every case that frames.format.md names.
 */
import { readFileSync } from 'node:fs';
import type { GapCause } from '@canopy/model';
import { asDuration, asTime } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FrameServerOptions } from './serve/frames.js';
import { type Cell, FixtureJournal } from './testing/fixture-journal.js';
import {
  EntryReader,
  FRAMES,
  IndependentReader,
  ask,
  readEntry,
  readPage,
} from './testing/independent-reader.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig, ServerRig, id } from './testing/rig.js';

const T0 = 1_700_000_000_000;
const FORMATS = new URL('../../encoding/src/', import.meta.url);

/** The bytes of a format page's examples; what is said of them stands after three spaces, or is no byte. */
function examples(page: URL): Buffer[] {
  const text = readFileSync(page, 'utf8');
  const bytesOf = (line: string): string => {
    const words = line.split('   ')[0].split(/ +/);
    const end = words.findIndex((word) => !/^(?:[0-9a-f]{2})+$/.test(word));
    return (end < 0 ? words : words.slice(0, end)).join('');
  };
  return [...text.matchAll(/```\n([^`]*)```/g)].flatMap(([, block]) =>
    block.split('\n\n').map((part) => Buffer.from(part.split('\n').map(bytesOf).join(''), 'hex')),
  );
}

const entry = (kind: number, time: number, key: boolean, payload: Buffer, group = 3) => ({
  ...{ epoch: 1, sequence: 1, kind, group, time, key, payload },
});

describe('the examples of the format pages are what they say', () => {
  it('entry.format.md', () => {
    const [record] = examples(new URL('entry.format.md', FORMATS));
    const payload = Buffer.from('aabb', 'hex');
    expect(readEntry(1, 1, record)).toEqual(entry(2, T0, true, payload));
  });

  it('gap.format.md', () => {
    const [payload] = examples(new URL('gap.format.md', FORMATS));
    const line = `gap 3 ${T0} ${T0 + 10_000} restart -1`;
    expect(new EntryReader().read(entry(3, 0, false, payload))).toEqual([line]);
  });

  it('layout.format.md', () => {
    const [payload] = examples(new URL('layout.format.md', FORMATS));
    const reader = new EntryReader();
    expect(reader.read(entry(1, 0, false, payload))).toEqual([]);
    // A key frame: bitmap, three slots that changed, all of class 0.
    const frame = Buffer.from('1301000307000204 06'.replace(' ', ''), 'hex');
    expect(reader.read(entry(2, 5, true, frame))).toEqual([
      '__name__=up,job=n @5 1',
      '__name__=x,cpu=0,job=n @5 2',
      '__name__=x,cpu=1,job=n @5 3',
    ]);
  });

  it('frame.format.md', async () => {
    const [key, next, loose] = examples(new URL('frame.format.md', FORMATS));
    const read = async (
      kind: 'aligned' | 'loose',
      ...frames: Array<[time: number, isKey: boolean, payload: Buffer]>
    ) => {
      // Their layout version is 2.
      const { journal, server } = await leaf();
      journal.layout(1, ['s0', 's1'], kind);
      journal.layout(1, ['s2', 's3', 's4'], kind);
      await journal.commit();
      const { body } = await ask(server.target().url, { accept: FRAMES });
      const reader = new EntryReader();
      for (const record of readPage(body).sections[0].entries) reader.read(record);
      return frames.map(([time, isKey, payload]) =>
        reader
          .read(entry(2, time, isKey, payload, 1))
          .map((line) => line.replace(',instance=i1,job=test', '').replace('__name__=', '')),
      );
    };
    expect(await read('aligned', [1, true, key], [2, false, next])).toEqual([
      ['s0 @1 10', 's1 @1 0.25', 's2 @1 NaN', `s3 @1 ${1 / 3}`],
      ['s0 @2 13', 's1 @2 0.5', 's2 @2 NaN', 's3 @2 stale'],
    ]);
    expect(await read('loose', [1000, true, loose])).toEqual([
      ['s4 @990 7', 's4 @1005 8', 's0 @1000 stale'],
    ]);
  });

  it('frames.format.md', () => {
    const [page] = examples(new URL('../frames.format.md', import.meta.url));
    const { server, clock, excluded, sections } = readPage(page);
    expect({ server, clock, excluded }).toEqual({
      ...{ server: 'leaf', clock: 1000, excluded: ['c'.repeat(32)] },
    });
    const at = (sequence: number) => ({ epoch: 1, sequence });
    expect(sections).toEqual([
      {
        ...{ ref: 'a'.repeat(32), more: true, epochBreak: false },
        ...{ from: at(5), position: at(7), newest: at(9), trimmed: { epoch: 0, sequence: 0 } },
        ...{ watermark: 990, keptFor: -1, cursor: 'Y3Vy', behind: 300 },
        entries: [expect.objectContaining({ ...at(7), kind: 3, group: 0, time: 20 })],
        trail: [
          {
            ...{ name: 'leaf', position: { epoch: 2, sequence: 4 }, frames: 8 },
            jobs: { node: [9, 7, 1, 8, 200, 2] },
          },
        ],
      },
    ]);
  });
});

async function leaf(options: Partial<FrameServerOptions> = {}) {
  const clock = new VirtualClock(T0);
  const store = new MemoryStore(clock);
  const journal = new FixtureJournal(store, id('a'));
  const server = await new ServerRig(store, clock, id('a'), options).listen();
  onTestFinished(() => server.close());
  return { clock, store, journal, server, url: server.target().url };
}

/** As our own reader has the same samples. */
const asOurs = (lines: readonly string[]): string[] =>
  lines.map((line) => {
    const [, labels, rest] = /^([^@]*)( @.*)$/.exec(line)!;
    const parts = labels.split(',');
    const name = parts.find((part) => part.startsWith('__name__='))!.slice('__name__='.length);
    const others = parts.filter((part) => !part.startsWith('__name__='));
    const shown = others.map((part) => part.replace('=', '="') + '"').join(', ');
    return `${name}{${shown}}${rest}`;
  });

async function oursOf(url: string, clock: VirtualClock): Promise<string[]> {
  const rig = new PullRig(new MemoryStore(clock), clock, { owner: 'ours' });
  await rig.pullAll({ url, labels: [], interval: asDuration(5000) });
  return rig.appender.samples;
}

/** A layout of two series, a key frame, the step after it, a gap. */
const GOLDEN = [
  '43465001010b046c65616680a0abfef96204970210aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0000000104010400',
  '000080bab7033641517751717171717171717171717171717171717171717171674545734a4f715f766c694141',
  '6a564f773471617835544d59554e316701040161110100590100010100882711687474703a2f2f69312f6d6574',
  '726963730700085f5f6e616d655f5f0001610001620002693101076e7374616e636500036a6f62000474657374',
  '020403050600000200020204030506000100020100020067562e0701171a0180a0abfef9620a13010002030201',
  '021432888cf9d801161201d0afabfef96209130101020302010c060888dd5c011c1301d0acacfef9620f01d0af',
  'abfef962d0acacfef962000108d53b0e000001046c6561660104000000590d676f',
].join('');

async function golden() {
  const world = await leaf();
  const { journal } = world;
  journal.layout(1, ['a', 'b']);
  journal.frame(1, T0, [10, 0.25]);
  journal.frame(1, T0 + 1000, [13, 'stale']);
  const to = asTime(T0 + 9000);
  journal.gap({ group: 1, from: asTime(T0 + 1000), to, cause: 'restart', frames: -1 });
  await journal.commit();
  return world;
}

const GOLDEN_LINES = [
  `__name__=a,instance=i1,job=test @${T0} 10`,
  `__name__=b,instance=i1,job=test @${T0} 0.25`,
  `__name__=a,instance=i1,job=test @${T0 + 1000} 13`,
  `__name__=b,instance=i1,job=test @${T0 + 1000} stale`,
  `gap 1 ${T0 + 1000} ${T0 + 9000} restart -1`,
];

describe('what a server sends', () => {
  it('is the golden page, and reads so', async () => {
    const { url } = await golden();
    const { body } = await ask(url, { accept: FRAMES, 'canopy-reader': 'parent' });
    expect(body.toString('hex')).toBe(GOLDEN);
    const reader = new IndependentReader();
    expect(reader.take(Buffer.from(GOLDEN, 'hex'))).toBe(false);
    expect(reader.lines).toEqual(GOLDEN_LINES);
  });

  it('reads as our own reader reads it, whatever the values', async () => {
    const { clock, journal, url } = await leaf({ pageBytes: 3000 });
    const random = randomOf(1);
    const names = Array.from({ length: 40 }, (_, i) => ({
      ...{ __name__: `m${i % 7}`, slot: String(i) },
    }));
    journal.keyEvery = 9;
    journal.layout(1, names.slice(0, 30));
    const cells: Cell[] = names.map(() => 0);
    const kinds: Array<(last: number) => Cell> = [
      (last) => last + random(1000),
      (last) => Math.round(last * 100 + random(99)) / 100,
      () => random(1 << 24) * Math.PI * 10 ** (random(40) - 20),
      (last) => last + 0.1,
      () => random(1 << 20) / 1024,
      () => [null, 'stale' as const, Number.NaN, -0, Number.POSITIVE_INFINITY, 5e-324][random(6)],
    ];
    for (let step = 0; step < 200; step++) {
      if (step === 50) journal.layout(1, names.slice(30));
      const part = 1 + random(20);
      for (let slot = 0; slot < cells.length; slot++) {
        const last = cells[slot];
        const number = typeof last === 'number' && Number.isFinite(last) ? last : 1;
        // A stale mark is an event: after it there is nothing until the next value.
        if (last === 'stale') cells[slot] = null;
        if (random(part) === 0) cells[slot] = kinds[(slot + (random(9) === 0 ? 1 : 0)) % 6](number);
      }
      journal.frame(1, T0 + step * 1000, cells.slice(0, step < 50 ? 30 : 40));
    }
    await journal.commit();
    const reader = new IndependentReader();
    expect(await reader.pull(url)).toBeGreaterThan(1);
    expect(reader.lines.length).toBeGreaterThan(3000);
    expect(asOurs(reader.lines)).toEqual(await oursOf(url, clock));
  });

  it('loose frames: times of their own, in any order, stale marks among them', async () => {
    const { clock, journal, url } = await leaf();
    const random = randomOf(2);
    journal.layout(
      1,
      Array.from({ length: 9 }, (_, i) => `m${i}`),
      'loose',
    );
    journal.layout(2, ['a', 'b']);
    const values: Cell[] = [0, 1, 0.5, 1e300, -2, Number.NaN, 'stale', 1 / 3, 2 ** 60];
    for (let step = 0; step < 60; step++) {
      const count = 1 + random(30);
      const samples = Array.from({ length: count }, () => {
        const late = random(4) === 0 ? random(600_000) : random(100);
        // Too far from each other for a difference.
        const far = step % 7 === 0 && random(5) === 0 ? (random(2) * 2 - 1) * (2 ** 53 - 1) : 0;
        const time = far || T0 + step * 1000 - late;
        return [random(9), time, values[random(values.length)]] as const;
      });
      journal.loose(1, T0 + step * 1000, samples);
      journal.frame(2, T0 + step * 1000, [step, null]);
    }
    await journal.commit();
    const reader = new IndependentReader();
    await reader.pull(url);
    expect(reader.lines.filter((line) => line.endsWith('stale')).length).toBeGreaterThan(30);
    expect(asOurs(reader.lines)).toEqual(await oursOf(url, clock));
  });

  it('gaps of every cause; after one a group goes on at its next key frame', async () => {
    const { journal, url } = await leaf();
    journal.keyEvery = 3;
    journal.layout(1, ['a']);
    journal.layout(2, ['b']);
    const causes: GapCause[] = ['restart', 'stopped', 'trimmed', 'refused', 'corrupt', 'clock'];
    const expected: string[] = [];
    const broken = { 1: false, 2: false };
    let step = 0;
    const frames = (): void => {
      for (let i = 0; i < 4; i++, step++) {
        for (const group of [1, 2] as const) {
          const time = T0 + step * 1000;
          journal.frame(group, time, [step]);
          if (step % 3 === 0) broken[group] = false;
          expected.push(
            broken[group]
              ? `lost ${group} @${time} a frame is missing`
              : `__name__=${'-ab'[group]},instance=i${group},job=test @${time} ${step}`,
          );
        }
      }
    };
    frames();
    for (const cause of causes) {
      for (const group of [1, 0]) {
        const [from, to] = [asTime(T0 + step * 1000 - 1), asTime(T0 + step * 1000)];
        const lost = group === 0 ? -1 : step;
        journal.gap({ group, from, to, cause, frames: lost });
        expected.push(`gap ${group} ${from} ${to} ${cause} ${lost}`);
        // Of which group something was corrupt is not known then: its next frame does not follow.
        if (group === 1 || cause !== 'corrupt') broken[1] = true;
        if (group === 0 && cause !== 'corrupt') broken[2] = true;
        frames();
      }
    }
    await journal.commit();
    const reader = new IndependentReader();
    await reader.pull(url);
    expect(reader.lines).toEqual(expected);
    expect(expected.filter((line) => line.startsWith('lost')).length).toBeGreaterThan(10);
  });
});

function randomOf(start: number): (below: number) => number {
  let seed = start;
  return (below) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
}
