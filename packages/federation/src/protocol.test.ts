/**
 * frames.format.md as it stands, tried by a reader that was written from it: what may be asked, what comes of it, and
 * what is to be done with what one does not know. Our own reader beside it where both must agree.
 */
import { encodeEntry, encodeGap } from '@canopy/encoding';
import { EntryKind, type JournalId, asDuration, asTime } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { describe, expect, it } from 'vitest';
import type { FrameServerOptions } from './serve/frames.js';
import {
  FRAMES,
  IndependentReader,
  Refused,
  ask,
  crc,
  readPage,
} from './testing/independent-reader.js';
import { T0, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig } from './testing/rig.js';

async function leaf(options: Partial<FrameServerOptions> = {}) {
  const rig = await startLeaf({ options });
  const { url } = rig.server.target();
  return { ...rig, url, selecting: selectingAt(url) };
}

const selectingAt =
  (url: string) =>
  (...selectors: string[]): string =>
    `${url}?${selectors.map((text) => `match[]=${encodeURIComponent(text)}`).join('&')}`;

/** Two groups, `count` frames each; `west` has two series, of which one is of job `b`. */
async function filled(count: number, options: Partial<FrameServerOptions> = {}) {
  const world = await leaf(options);
  const { journal } = world;
  journal.layout(1, ['a', 'b', 'c']);
  journal.layout(2, ['d']);
  for (let i = 0; i < count; i++) {
    journal.frame(1, T0 + i * 1000, [i, 2 * i, i % 3 === 0 ? 'stale' : 3 * i]);
    journal.frame(2, T0 + i * 1000, [i]);
  }
  await journal.commit();
  return world;
}

const linesOf = (reader: IndependentReader, name: string): string[] =>
  reader.lines.filter((line) => line.startsWith(`__name__=${name},`));

describe('what is asked again', () => {
  it('a page that was lost is asked for again, and is the same', async () => {
    const { url, journal } = await filled(60, { pageBytes: 200 });
    const once = new IndependentReader();
    expect(await once.pull(url)).toBeGreaterThan(5);
    const twice = new IndependentReader();
    for (let more = true; more; ) {
      const lost = (await twice.request(url)).body;
      const { body } = await twice.request(url);
      // The server is the same, and so are clock and report.
      expect(body.equals(lost)).toBe(true);
      more = twice.take(body);
      // Taken twice it changes nothing.
      const { length } = twice.lines;
      twice.take(body);
      expect(twice.lines.length).toBe(length);
    }
    expect(twice.lines).toEqual(once.lines);
    expect(once.lines.length).toBe(60 * 4);
    journal.frame(2, T0 + 60_000, [60]);
    await journal.commit();
    expect(await once.pull(url)).toBe(1);
    expect(once.lines.length).toBe(60 * 4 + 1);
  });

  it('without a cursor all comes again; a page amid the journal alone would leave a hole', async () => {
    const { url } = await filled(20, { pageBytes: 200 });
    const first = new IndependentReader();
    first.take((await first.request(url)).body);
    const second = (await first.request(url)).body;
    expect(() => new IndependentReader().take(second)).toThrow('hole');
    const anew = new IndependentReader();
    await anew.pull(url);
    expect(anew.lines.length).toBe(80);
  });

  it('more than one entry comes, however small the page', async () => {
    const { url } = await filled(5, { pageBytes: 1 });
    const reader = new IndependentReader();
    expect(await reader.pull(url)).toBeGreaterThan(5);
    expect(reader.lines.length).toBe(20);
  });
});

describe('epochs and cursors', () => {
  it('groups of a new epoch begin anew', async () => {
    const { journal, url } = await filled(5);
    const reader = new IndependentReader();
    await reader.pull(url);
    journal.nextEpoch();
    journal.layout(1, ['other']);
    journal.frame(1, T0 + 9000, [1]);
    await journal.commit();
    await reader.pull(url);
    expect(reader.lines.at(-1)).toBe(`__name__=other,instance=i1,job=test @${T0 + 9000} 1`);
    expect(reader.epochBreaks).toBe(0);
  });

  it('a cursor beyond the end breaks the epoch: above what the reader has', async () => {
    const { server, url } = await filled(5);
    const reader = new IndependentReader();
    await reader.pull(url);
    const longer = await filled(50);
    await reader.pull(longer.url);
    // The first leaf again: it was put back to what it had.
    const { body } = await reader.request(url);
    const [section] = readPage(body).sections;
    expect(section).toMatchObject({ epochBreak: true, entries: [] });
    expect(section.from).toEqual(section.position);
    expect(server.broken).toEqual([section.from]);
    expect(reader.take(body)).toBe(false);
    expect(reader.epochBreaks).toBe(1);
  });

  it('a cursor older than the journal: one gap in the place of what is gone', async () => {
    const { journal, url } = await filled(40);
    const reader = new IndependentReader();
    journal.frame(1, T0 + 40_000, [1, 2, 3]);
    journal.frame(2, T0 + 40_000, [4]);
    await journal.commit();
    await reader.pull(url);
    const before = reader.lines.length;
    for (let i = 41; i < 60; i++) {
      journal.frame(1, T0 + i * 1000, [i, 0, 0]);
      journal.frame(2, T0 + i * 1000, [i]);
    }
    await journal.commit();
    await journal.trim(journal.safeCut);
    await reader.pull(url);
    const [gap, ...rest] = reader.lines.slice(before);
    // No watermark is known: frames may have stood late by ten seconds.
    const from = T0 + 30_000;
    const to = Number(/@(\d+)/.exec(rest[0])?.[1]) + 10_000;
    expect(gap).toBe(`gap 0 ${from} ${to} trimmed -1`);
    expect(rest.length).toBeGreaterThan(0);
    expect(rest.filter((line) => /^(?:gap|lost)/.test(line))).toEqual([]);
    // Who begins now may have had it once: it is told of all that is gone, and gets the layouts all the same.
    const late = new IndependentReader();
    await late.pull(url);
    expect(late.lines).toEqual([`gap 0 0 ${to} trimmed -1`, ...rest]);
  });

  it('cursors that are not ours, and requests that cannot be understood', async () => {
    const { url, selecting } = await filled(2, { readersMax: 4, concurrentPullsMax: 1 });
    const status = async (headers: Record<string, string>, at = url) => {
      const answer = await ask(at, { accept: FRAMES, ...headers });
      if (answer.status !== 200) expect(answer.headers['content-type']).toMatch(/^text\/plain/);
      return answer.status;
    };
    expect(await status({ 'canopy-cursor': '' })).toBe(200);
    // Of another version: as if there were none; of ours, cut short.
    expect(await status({ 'canopy-cursor': 'AAAA' })).toBe(200);
    expect(await status({ 'canopy-cursor': 'AQAA' })).toBe(400);
    expect(await status({ 'canopy-cursor': '!' })).toBe(400);
    expect(await status({ 'canopy-cursor': 'A'.repeat(5000) })).toBe(400);
    // Ids that are none are no exclusion.
    expect(await status({ 'canopy-exclude': 'x.y' })).toBe(200);
    expect(await status({}, selecting(...Array.from({ length: 65 }, () => 'a')))).toBe(400);
    // A reader too many.
    expect(await status({ 'canopy-reader': 'second' })).toBe(200);
    const third = await ask(url, { accept: FRAMES, 'canopy-reader': 'third' });
    expect([third.status, third.headers['retry-after']]).toEqual([429, '1']);
  });

  it('what waits for its commit is committed first, but no page waits for a slow disk', async () => {
    const commits: Array<() => Promise<void>> = [];
    const { url, journal, clock } = await filled(2, {
      commitOwn: () => commits.shift()?.() ?? Promise.resolve(),
    });
    const reader = new IndependentReader();
    await reader.pull(url);
    const before = reader.lines.length;
    journal.frame(2, T0 + 2000, [7]);
    commits.push(() => journal.commit());
    await reader.pull(url);
    expect(reader.lines.slice(before)).toEqual([expect.stringContaining(`@${T0 + 2000}`)]);
    let isSlow = false;
    commits.push(() => {
      isSlow = true;
      return new Promise(() => {});
    });
    const pulled = reader.pull(url);
    while (!isSlow) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(100);
    await pulled;
  });

  it('a journal that the reader writes itself is left out, and named', async () => {
    const { url } = await filled(2);
    const asked = `${'b'.repeat(32)}.${'a'.repeat(32)}`;
    const { body } = await ask(url, { accept: FRAMES, 'canopy-exclude': asked });
    expect(readPage(body)).toMatchObject({ excluded: ['a'.repeat(32)], sections: [] });
  });
});

describe('match[]', () => {
  it('lets through what matches one of them; references, positions and cursors are of the view', async () => {
    const { journal, url, selecting } = await filled(30, { pageBytes: 300 });
    const all = new IndependentReader();
    await all.pull(url);
    const check = async (selectors: string[], names: string[]): Promise<string> => {
      const reader = new IndependentReader();
      await reader.pull(selecting(...selectors));
      expect(reader.lines.length).toBe(names.length * 30);
      for (const name of names) expect(linesOf(reader, name)).toEqual(linesOf(all, name));
      const [ref] = reader.journals.keys();
      expect(ref.slice(0, 32)).toBe('a'.repeat(32));
      return ref.slice(32);
    };
    const one = await check(['{__name__="b"}'], ['b']);
    expect(one).toMatch(/^[0-9a-f]{8}$/);
    // How it is written does not matter.
    expect(await check(['{__name__="b"}', '{__name__="b"}'], ['b'])).toBe(one);
    const two = await check(['{__name__="b"}', '{instance="i2"}'], ['b', 'd']);
    expect(two).not.toBe(one);
    expect(await check(['{instance="i2"}', '{__name__="b"}'], ['b', 'd'])).toBe(two);
    await check(['{__name__="none"}'], []);
    await check(['{__name__=~"a|b|c|d"}'], ['a', 'b', 'c', 'd']);

    // Slots that are added later keep their numbers, too; a view that is lost is made again.
    const reader = new IndependentReader();
    const filtered = selecting('{__name__=~"b|e"}');
    await reader.pull(filtered);
    journal.layout(1, ['e', 'f']);
    for (let i = 30; i < 40; i++) journal.frame(1, T0 + i * 1000, [0, i, 0, 5 * i, 0]);
    await journal.commit();
    await reader.pull(filtered);
    expect(linesOf(reader, 'e')).toHaveLength(10);
    expect(linesOf(reader, 'e').at(-1)).toMatch(/ 195$/);
    expect(linesOf(reader, 'b')).toHaveLength(40);
  });

  it('a cursor of another filter is none: what it asks for comes from the oldest entry on', async () => {
    const { url, selecting } = await filled(10);
    const reader = new IndependentReader();
    await reader.pull(url);
    const { body } = await reader.request(selecting('{__name__="b"}'));
    const [section] = readPage(body).sections;
    expect(section.from).toEqual({ epoch: 0, sequence: 0 });
    expect(reader.take(body)).toBe(false);
    // Two journals in the reader's eyes, each with its place.
    expect(reader.journals.size).toBe(2);
    expect(linesOf(reader, 'b')).toHaveLength(20);
  });

  it('loose samples are left out one by one', async () => {
    const { journal, url, selecting } = await leaf();
    journal.layout(1, ['a', 'b'], 'loose');
    for (let i = 0; i < 9; i++) {
      journal.loose(1, T0 + i * 1000, [
        [0, T0 + i, i],
        [1, T0 + 10 * i, 'stale'],
        [0, T0 + i + 5, i + 0.5],
      ]);
    }
    await journal.commit();
    const [all, some] = [new IndependentReader(), new IndependentReader()];
    await all.pull(url);
    await some.pull(selecting('{__name__="a"}'));
    expect(some.lines).toEqual(linesOf(all, 'a'));
    expect(some.lines).toHaveLength(18);
  });
});

describe('compression', () => {
  it('br and gzip where they are asked for, and pay', async () => {
    const { url, journal } = await filled(400);
    const plain = await ask(url, { accept: FRAMES });
    expect(plain.headers['content-encoding']).toBe(undefined);
    const check = async (accept: string, coding: string | undefined): Promise<void> => {
      const { headers, body } = await ask(url, { accept: FRAMES, 'accept-encoding': accept });
      expect(headers['content-encoding'], accept).toBe(coding);
      expect(readPage(body).sections).toEqual(readPage(plain.body).sections);
      expect(headers.vary).toContain('Accept-Encoding');
    };
    await check('br', 'br');
    await check('gzip', 'gzip');
    await check('gzip, br', 'br');
    await check('deflate', undefined);
    await check('br;q=0, gzip', 'gzip');
    const reader = new IndependentReader({ 'accept-encoding': 'br' });
    await reader.pull(url);
    expect(reader.lines.length).toBe(1600);
    // A small one gains nothing.
    journal.frame(2, T0 + 400_000, [1]);
    await journal.commit();
    const { headers } = await reader.request(url);
    expect(headers['content-encoding']).toBe(undefined);
  });
});

/** As the page has them: type, size, body, the checksum mended. Sizes below 128. */
function changed(page: Buffer, change: (bytes: Buffer) => Buffer): Buffer {
  const bytes = change(Buffer.from(page.subarray(0, -4)));
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc(bytes));
  return Buffer.concat([bytes, sum]);
}

const appended = (page: Buffer, ...bytes: number[]): Buffer =>
  changed(page, (all) => Buffer.concat([all, Buffer.from(bytes)]));

describe('what a reader does not know', () => {
  async function both(body: Buffer): Promise<{ independent: string[] | 'refused'; ours: number }> {
    const clock = new VirtualClock(T0);
    const rig = new PullRig(new MemoryStore(clock), clock);
    const target = { url: 'http://leaf/federate', labels: [], interval: asDuration(5000) };
    const reader = new IndependentReader();
    let independent: string[] | 'refused' = 'refused';
    try {
      reader.take(body);
      independent = reader.lines;
    } catch (error) {
      expect(error).toBeInstanceOf(Refused);
    }
    const taken = rig.puller.take(target, {}, new Uint8Array(body));
    if (independent === 'refused') await expect(taken).rejects.toMatchObject({ code: 'format' });
    else await taken;
    return { independent, ours: rig.appender.samples.length };
  }

  it('sections of other types are skipped, wherever they stand', async () => {
    const { url } = await filled(3);
    const { body } = await ask(url, { accept: FRAMES });
    const { independent } = await both(body);
    expect(independent).toHaveLength(12);
    const known = { independent, ours: 12 };
    expect(await both(appended(body, 9, 3, 1, 2, 3))).toEqual(known);
    expect(await both(appended(body, 0x80, 0x08, 0))).toEqual(known);
    const atFront = changed(body, (all) =>
      Buffer.concat([all.subarray(0, 4), Buffer.from([77, 2, 0xff, 0xff]), all.subarray(4)]),
    );
    expect(await both(atFront)).toEqual(known);
    // One that says it is longer than the page.
    expect(await both(appended(body, 9, 100, 1))).toEqual({ independent: 'refused', ours: 0 });
  });

  it('bytes after the known fields of a journal section are skipped', async () => {
    // The journal's section is the last, and longer than 127 bytes: its size has two bytes.
    const { url } = await filled(3);
    const { body } = await ask(url, { accept: FRAMES });
    const { independent } = await both(body);
    const at = body.indexOf(Buffer.from('a'.repeat(32), 'hex')) - 3;
    const size = (body[at] & 0x7f) + body[at + 1] * 128;
    expect(at + 2 + size).toBe(body.length - 4);
    const longer = changed(body, (all) => {
      all[at] = 0x80 | ((size + 3) % 128);
      all[at + 1] = Math.floor((size + 3) / 128);
      return Buffer.concat([all, Buffer.from([1, 2, 3])]);
    });
    expect(await both(longer)).toEqual({ independent, ours: 12 });
  });

  it('a page of another version is refused whole, and so is one with a record of another version', async () => {
    const { url } = await filled(3);
    const { body } = await ask(url, { accept: FRAMES });
    for (const version of [0, 2, 255]) {
      const other = changed(body, (all) => (all.writeUInt8(version, 3), all));
      expect(await both(other)).toEqual({ independent: 'refused', ours: 0 });
    }
    // The last record is a frame: head, group, time and so on, in front of its checksum.
    const { entries } = readPage(body).sections[0];
    const { payload } = entries.at(-1)!;
    const end = body.lastIndexOf(payload) + payload.length + 4;
    const start = end - (payload.length + 13);
    const newer = changed(body, (all) => {
      expect(all[start] >> 4).toBe(1);
      all[start] += 16;
      all.writeUInt32LE(crc(all.subarray(start, end - 4)), end - 4);
      return all;
    });
    expect(await both(newer)).toEqual({ independent: 'refused', ours: 0 });
  });

  it('a cause of gap that is none, and bytes after a gap’s fields', async () => {
    const { journal, store, url } = await leaf();
    journal.layout(1, ['a']);
    journal.frame(1, T0, [1]);
    await journal.commit();
    const gap = { group: 1, from: asTime(5), to: asTime(6), cause: 'clock', frames: 0 } as const;
    const known = encodeGap(gap);
    const fields = { epoch: 1, kind: EntryKind.gap, group: 1, time: asTime(6), key: false };
    const longer = Uint8Array.from([...known, 1, 2, 3]);
    await append(store, journal.id, encodeEntry({ ...fields, sequence: 3 }, longer));
    const other = known.slice();
    other[other.length - 2] = 77;
    await append(store, journal.id, encodeEntry({ ...fields, sequence: 4 }, other));
    const { body } = await ask(url, { accept: FRAMES });
    const { independent, ours } = await both(body);
    expect(ours).toBe(1);
    expect(independent).toEqual([
      `__name__=a,instance=i1,job=test @${T0} 1`,
      'gap 1 5 6 clock 0',
      'lost 1 @6 cause',
    ]);
  });
});

async function append(
  store: MemoryStore,
  journal: JournalId,
  entry: ReturnType<typeof encodeEntry>,
): Promise<void> {
  const ref = journal as string as Parameters<MemoryStore['journal']>[0];
  const lease = await store.acquireLease(ref, 'fixture', asDuration(1000));
  if (!lease.granted) throw new Error('no lease');
  const expected = (await store.journal(ref))!.position;
  const { epoch, sequence } = entry;
  const rest = { position: { epoch, sequence }, entries: [entry], cursor: '', ledger: '' };
  const { outcome } = await store.commit({ lease: lease.lease, expected, ...rest });
  expect(outcome).toBe('applied');
}
