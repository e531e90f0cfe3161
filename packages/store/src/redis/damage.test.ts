/** What is damaged in Redis is named and not served; what lies beside it goes on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BlockMeta,
  type JournalRef,
  type StoredTile,
  asDuration,
  asTime,
} from '@canopy/model';
import type { CorruptRecord } from '../health.js';
import { sealText, unsealText } from '../seal.js';
import { type RedisServer, redisIsLeftOut, startRedis } from '../testing/index.js';
import { NO_LIMITS, add, redisOptions, takeLease } from '../testing/redis-options.js';
import { type RedisStore, openRedisStore } from './redis-store.js';

const CORRUPT = { code: 'storage_corrupt' };

/** Flips a bit of byte ARGV[2] (from 1) of field ARGV[1], or of a string where that is ''. */
const FLIP = `local field = ARGV[1]
local value = field == '' and redis.call('GET', KEYS[1]) or redis.call('HGET', KEYS[1], field)
local at = tonumber(ARGV[2])
local flipped = string.char(bit.bxor(string.byte(value, at), 1))
value = string.sub(value, 1, at - 1) .. flipped .. string.sub(value, at + 1)
if field == '' then redis.call('SET', KEYS[1], value) else redis.call('HSET', KEYS[1], field, value) end
return #value`;

describe('checked text', () => {
  it('is as the format page says', () => {
    const [key, sealed] = ['canopy:document:journal/id', '{} c72d31e0'];
    expect(sealText(key, '{}')).toBe(sealed);
    expect(unsealText(key, sealed)).toBe('{}');
    expect(unsealText(`${key}s`, sealed)).toBeUndefined();
    for (const text of ['', '{}', '{}  ', sealed.toUpperCase(), ` ${sealed}`]) {
      expect(unsealText(key, text)).toBeUndefined();
    }
  });
});

if (!redisIsLeftOut()) {
  describe('damage in Redis', () => {
    let server: RedisServer;
    let store: RedisStore;
    const reports: CorruptRecord[] = [];
    const logged: string[] = [];
    beforeAll(async () => {
      server = await startRedis();
      store = await openRedisStore({
        ...redisOptions(server.url),
        onCorrupt: (record) => void reports.push(record),
        log: (_level, message) => void logged.push(message),
      });
    });
    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      await server.stop();
    });
    const flip = (key: string, field: string, at: number): Promise<unknown> =>
      server.command('eval', FLIP, '1', key, field, String(at));
    const keyOf = (ref: JournalRef, what: string): string => `canopy:{${ref}}:${what}`;
    const refs = async (): Promise<JournalRef[]> => (await store.journals()).map(({ ref }) => ref);

    it.each(['position', 'trimmed', 'cursor', 'ledger', 'check'])(
      'a state whose %s is damaged is named; other journals go on',
      async (field) => {
        const lease = await takeLease(store);
        const other = await takeLease(store);
        const expected = null;
        const position = { epoch: 1, sequence: 1 };
        const commit = { expected, position, entries: [], cursor: 'cursor', ledger: '{"a":1}' };
        for (const each of [lease, other]) await store.commit({ ...commit, lease: each });
        expect(await store.journal(lease.journal)).toMatchObject({ position, cursor: 'cursor' });
        const key = keyOf(lease.journal, 'state');
        await flip(key, field, 1);
        await expect(store.journal(lease.journal)).rejects.toMatchObject(CORRUPT);
        logged.length = 0;
        expect(await refs()).toContain(other.journal);
        expect(await refs()).not.toContain(lease.journal);
        expect(logged.join()).toContain(key);
        expect(await add(store, other, 2)).toBe('applied');
        // What the message asks for.
        const keys = (await server.command('keys', keyOf(lease.journal, '*'))) as string[];
        await server.command('unlink', ...keys);
        const again = await takeLease(store, lease.journal);
        expect(await add(store, again, 1)).toBe('applied');
      },
    );

    it('a damaged document is named', async () => {
      await store.putDocument('a', 'one');
      await store.putDocument('b', 'two');
      await flip('canopy:document:a', '', 1);
      reports.length = 0;
      await expect(store.getDocument('a')).rejects.toMatchObject(CORRUPT);
      expect(reports).toMatchObject([{ journal: null, what: 'document', place: 'a', gap: null }]);
      expect(await store.getDocument('b')).toBe('two');
      await server.command('rename', 'canopy:document:b', 'canopy:document:c');
      await expect(store.getDocument('c')).rejects.toMatchObject(CORRUPT);
      await store.putDocument('a', undefined);
      expect(await store.getDocument('a')).toBeUndefined();
    });

    it('a damaged extent, block record, entry and layout is left out and reported', async () => {
      const lease = await takeLease(store);
      const ref = lease.journal;
      for (let sequence = 1; sequence <= 3; sequence++) await add(store, lease, sequence);
      await store.putTiles(lease, [tile(1), tile(2)]);
      const metas: BlockMeta[] = [];
      for (let i = 0; i < 2; i++) {
        const meta = blockMeta(await store.nextBlock(lease));
        await store.putBlockChunks(lease, meta.id, 0, [new Uint8Array(10)]);
        await store.finishBlock(lease, meta, { tiles: [], blocks: [] });
        metas.push(meta);
      }
      expect(await store.blocks(ref)).toHaveLength(2);
      reports.length = 0;
      await flip(keyOf(ref, 'extents:0'), '1-1-1', 1);
      await flip(keyOf(ref, 'blocks'), String(metas[0].id), 20);
      await flip(keyOf(ref, 'layouts'), '1-1-1', 60);
      expect((await store.tiles(ref)).map(({ group }) => group)).toEqual([2]);
      expect(await store.blocks(ref)).toEqual([metas[1]]);
      expect(await store.readLayouts(ref)).toEqual([]);
      const entries = await store.readEntries(ref, { epoch: 0, sequence: 0 }, NO_LIMITS);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
      const whats = reports.map(({ what, place }) => `${what} ${place}`);
      expect(whats).toEqual(['tile 1-1-1', `block ${metas[0].id}`, 'layout 1-1-1', 'entry 1-1']);
      expect(await add(store, lease, 4)).toBe('applied');
    });

    it.each([
      ['fence', 'x'],
      ['fence', '1e300'],
      ['fence', '-3'],
      ['fence', '1.5'],
      ['until', 'x'],
      ['until', '99999999999999'],
    ])('a lease whose %s is %s is named, and taken anew once it is gone', async (field, value) => {
      const lease = await takeLease(store);
      expect(await add(store, lease, 1)).toBe('applied');
      const key = keyOf(lease.journal, 'lease');
      await server.command('hset', key, field, value);
      for (const owner of ['one', 'two']) {
        const asked = store.acquireLease(lease.journal, owner, asDuration(60_000));
        await expect(asked).rejects.toMatchObject({
          ...CORRUPT,
          message: `${key} in Redis is damaged. UNLINK it: the lease is then taken anew`,
        });
      }
      await server.command('unlink', key);
      const two = await store.acquireLease(lease.journal, 'two', asDuration(60_000));
      expect(await add(store, lease, 2)).toBe('fenced');
      expect(two.granted && (await add(store, two.lease, 2))).toBe('applied');
    });

    it.each([
      ['slice', 'x'],
      ['slice', '0'],
      ['slice', '1'],
      ['slice', '3'],
      ['slice', '1e300'],
      ['sliceBytes', 'x'],
      ['sliceBytes', '7'],
      ['sliceBytes', '-1'],
      ['sliceSince', 'x'],
      ['entryBytes', 'nan'],
      ['entryBytes', '-5'],
    ])('a state whose %s is %s takes no commit, and says so', async (field, value) => {
      const lease = await takeLease(store);
      for (let sequence = 1; sequence <= 5; sequence++) await add(store, lease, sequence);
      const key = keyOf(lease.journal, 'state');
      expect(Number(await server.command('hget', key, 'slice'))).toBe(2);
      await server.command('hset', key, field, value);
      const said = expect.stringContaining(`${key} in Redis is damaged (slice`) as string;
      await expect(add(store, lease, 6)).rejects.toMatchObject({
        ...CORRUPT,
        ...(field === 'entryBytes' ? {} : { message: said }),
      });
      // What came before is whole and can be read.
      const entries = await store.readEntries(lease.journal, { epoch: 0, sequence: 0 }, NO_LIMITS);
      expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    });

    it('first positions of slices that are damaged hide no entry, and none is cut for them', async () => {
      const lease = await takeLease(store);
      const ref = lease.journal;
      for (let sequence = 1; sequence <= 13; sequence++) await add(store, lease, sequence);
      const key = keyOf(ref, 'slices');
      const whole = String(await server.command('hget', key, '3'));
      const first = Number(/^1-(\d+) /.exec(whole)![1]);
      const read = async (after: number): Promise<number[]> =>
        (await store.readEntries(ref, { epoch: 1, sequence: after }, NO_LIMITS)).map(
          ({ sequence }) => sequence,
        );
      const all = Array.from({ length: 13 }, (_, i) => i + 1);
      // It seems to begin before the one before it has ended, or later than it does.
      for (const damaged of [first - 2, first + 2]) {
        await server.command('hset', key, '3', whole.replace(/^1-\d+/, `1-${damaged}`));
        for (const after of all) expect(await read(after)).toEqual(all.slice(after));
      }
      await server.command('hset', key, '3', whole.replace(/^1-\d+/, `1-${first - 2}`));
      const trim = store.trimJournal(lease, { epoch: 1, sequence: first - 2 });
      await expect(trim).rejects.toMatchObject(CORRUPT);
      expect((await read(0)).at(-1)).toBe(13);
      expect(await read(first - 2)).toEqual(all.slice(first - 2));
      // Of another kind than a position, or out of order: nothing can be said.
      for (const damaged of ['x 10', '1-1 10', whole.replace(/\d+$/, 'x')]) {
        await server.command('hset', key, '3', damaged);
        await expect(read(0)).rejects.toMatchObject(CORRUPT);
        await expect(store.journal(ref)).rejects.toMatchObject(CORRUPT);
      }
      // The others go on.
      const other = await takeLease(store);
      expect(await add(store, other, 1)).toBe('applied');
      expect(await refs()).toContain(other.journal);
      expect(await refs()).not.toContain(ref);
    });

    it('a chunk that was cut gives too few bytes, one that is gone none', async () => {
      const lease = await takeLease(store);
      const ref = lease.journal;
      const meta = blockMeta(await store.nextBlock(lease));
      await store.putBlockChunks(lease, meta.id, 0, [new Uint8Array(10).fill(7)]);
      await store.finishBlock(lease, meta, { tiles: [], blocks: [] });
      const lengths = async () => {
        const pieces = [0, 6].map((position) => ({ block: meta.id, position, byteLength: 4 }));
        return (await store.readBlocks(ref, pieces)).map((bytes) => bytes?.length);
      };
      expect(await lengths()).toEqual([4, 4]);
      const [key] = (await server.command('keys', keyOf(ref, `*${meta.id}*0*`))) as string[];
      await server.command('set', key, 'abc');
      expect(await lengths()).toEqual([3, 0]);
      await server.command('unlink', key);
      expect(await lengths()).toEqual([undefined, undefined]);
    });

    it('numbers of blocks that are damaged write over none and remove none', async () => {
      const lease = await takeLease(store);
      const ref = lease.journal;
      const key = keyOf(ref, 'blocks');
      await add(store, lease, 1);
      const finish = async (blocks: readonly BlockMeta[] = []): Promise<BlockMeta> => {
        const meta = blockMeta(await store.nextBlock(lease));
        await store.putBlockChunks(lease, meta.id, 0, [new Uint8Array(10).fill(meta.id)]);
        await store.finishBlock(lease, meta, { tiles: [], blocks });
        return meta;
      };
      const one = await finish();
      const two = await finish();
      const three = await finish([one]);
      const check = async (
        field: string,
        value: string,
        help: RegExp,
        attempt: () => Promise<unknown>,
      ): Promise<void> => {
        const before = (await server.command('hget', key, field)) as string | null;
        await server.command('hset', key, field, value);
        await expect(attempt()).rejects.toMatchObject({
          ...CORRUPT,
          message: expect.stringMatching(help) as string,
        });
        if (before === null) await server.command('hdel', key, field);
        else await server.command('hset', key, field, before);
      };
      const next = () => store.nextBlock(lease);
      const sweep = () => store.sweepBlocks(lease, asDuration(-5000));
      await check('next', '2', /field next\)\. HSET it to 4/, next);
      await check('next', 'x', /field next/, next);
      await check('next', '1e300', /field next/, next);
      await check('building', `${two.id} 1`, /field building\)\. HDEL it/, next);
      await check('building', 'x 1', /field building/, next);
      await check('building', '9 99999999', /field building/, next);
      await check(`gone:${two.id}`, '1 1', /field gone:2\)\. HDEL it/, sweep);
      await check(`gone:${one.id}`, '1 x', /field gone:1/, sweep);
      await check(`gone:${one.id}`, '99999999 1', /field gone:1/, sweep);
      await check(`gone:${one.id}`, '1 99999999999999', /field gone:1/, sweep);
      await check('gone:x', '1 1', /field gone:x/, sweep);
      expect(await store.blocks(ref)).toEqual([two, three]);
      const pieces = [two, three].map(({ id }) => ({ block: id, position: 0, byteLength: 1 }));
      expect((await store.readBlocks(ref, pieces)).map((bytes) => bytes?.[0])).toEqual([2, 3]);
      expect(await sweep()).toBe(10);
      expect((await finish()).id).toBe(4);
    });

    it('refuses another form in words, and writes nothing to it', async () => {
      const url = server.url;
      const check = async (prefix: string, members: string[], words: RegExp): Promise<void> => {
        const key = `${prefix}journals`;
        await server.command('sadd', key, ...members);
        const opened = openRedisStore({ ...redisOptions(url), keyPrefix: prefix });
        await expect(opened).rejects.toThrow(words);
        await expect(opened).rejects.toMatchObject({ code: 'storage_unsuitable' });
        expect(Number(await server.command('scard', key))).toBe(members.length);
      };
      await check('older:', ['00'.repeat(16)], /holds metrics written in an older form/);
      await check('newer:', ['00'.repeat(16), 'form:3'], /written in form 3 .* reads form 2 only/);
    });

    it('knows its own form again after FLUSHALL in between', async () => {
      await server.command('flushall');
      await takeLease(store);
      const again = await openRedisStore(redisOptions(server.url));
      expect(again.health.healthy).toBe(true);
      await again[Symbol.asyncDispose]();
    });
  });
}

function tile(group: number): StoredTile {
  const bytes = new Uint8Array(8);
  const times = { minTime: asTime(1000), maxTime: asTime(2000) };
  const meta = { epoch: 1, group, firstSequence: 1, lastSequence: 2, ...times };
  return { meta: { ...meta, byteLength: bytes.length }, bytes };
}

function blockMeta(id: number): BlockMeta {
  const [from, to] = [asTime(0), asTime(7_200_000)];
  return {
    ...{ id, from, to, minTime: from, maxTime: asTime(7_199_999) },
    ...{ resolution: asDuration(0), intervalMax: asDuration(15_000) },
    ...{ last: { epoch: 1, sequence: 9 }, tileBytes: 10, indexBytes: 0 },
    ...{ groups: 1, tiles: 1, series: 1 },
  };
}
