/** Readers that take no page, ask for too many at once, or come under many names: bounded, and others are served. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { VirtualClock } from '@canopy/model/testing';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from '../cursor.js';
import { decodePage } from '../page.js';
import { FixtureJournal } from '../testing/fixture-journal.js';
import { MemoryStore } from '../testing/memory-store.js';
import { CURSOR_KEY, ServerRig, id } from '../testing/rig.js';
import type { FrameServerOptions } from './frames.js';

const T0 = 1_700_000_000_000;
const OTHER = '127.0.0.2';
const MIB = 1 << 20;

const undo: Array<() => unknown> = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const clock = new VirtualClock(T0);
const store = new MemoryStore(clock);

/** A journal whose first page is larger than what sockets hold. */
beforeAll(async () => {
  const journal = new FixtureJournal(store, id('a'));
  const names = Array.from({ length: 4000 }, (_, slot) => ({ __name__: 'a', slot: String(slot) }));
  journal.layout(1, names);
  for (let i = 0; i < 500; i++) journal.frame(1, T0 + i * 1000, names.map(Math.random));
  await journal.commit();
});

async function leaf(options: Partial<FrameServerOptions>) {
  const server = await new ServerRig(store, clock, id('a'), options).listen();
  undo.push(() => server.close());
  return { server: server.server, url: server.target().url };
}

function ask(url: string, reader: string, localAddress = '127.0.0.1'): ClientRequest {
  const headers = { 'canopy-reader': reader };
  const asked = request(url, { agent: false, localAddress, headers });
  undo.push(() => asked.destroy());
  asked.on('error', () => undefined);
  asked.end();
  return asked;
}

/** The answer's head; nothing of its body is read. */
const head = async (asked: ClientRequest): Promise<IncomingMessage> =>
  ((await once(asked, 'response')) as [IncomingMessage])[0];

/** The whole answer. */
async function answer(
  asked: ClientRequest,
): Promise<[status: number, bytes: number, text: string]> {
  const response = await head(asked);
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return [response.statusCode ?? 0, body.length, body.toString('latin1', 0, 100)];
}

it('a page is held until its reader has it: one that does not take it is cut off', async () => {
  const { server, url } = await leaf({ pageBytes: 64 * MIB, concurrentPullsMax: 4 });
  const slow = [ask(url, 'slow'), ask(url, 'slow')];
  const heads = await Promise.all(slow.map(head));
  expect(heads.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
  const announced = Number(heads[0].headers['content-length']);
  expect(announced).toBeGreaterThan(14 * MIB);
  // As many as one address may hold: the third waits, not in memory.
  const [status, , text] = await answer(ask(url, 'third'));
  expect([status, text]).toEqual([429, 'too many pulls at once from one address\n']);
  // Somebody else is served, whole.
  expect((await answer(ask(url, 'good', OTHER))).slice(0, 2)).toEqual([200, announced]);
  await expect.poll(() => server.totals).toMatchObject({ pages: 1, refused: 1 });
  // A cut is no end: the page is known to be longer.
  const cut = heads.map((response) => once(response, 'error').catch(() => undefined));
  for (const response of heads) response.resume().pause();
  await clock.advance(60_000);
  for (const response of heads) response.resume();
  await Promise.all(cut);
  expect(heads.map(({ complete }) => complete)).toEqual([false, false]);
  await expect.poll(() => server.totals).toMatchObject({ pages: 1, refused: 1, abandoned: 2 });
  expect((await answer(ask(url, 'third'))).slice(0, 2)).toEqual([200, announced]);
});

it('a reader that goes away gives its place back', async () => {
  const { server, url } = await leaf({ pageBytes: 64 * MIB, concurrentPullsMax: 2 });
  for (let round = 0; round < 3; round++) {
    const asked = ask(url, 'restless');
    await head(asked);
    asked.destroy();
    await expect
      .poll(() => server.totals, { timeout: 10_000 })
      .toMatchObject({ pages: 0, abandoned: round + 1 });
  }
  expect((await answer(ask(url, 'restless')))[0]).toBe(200);
});

it('no reader makes a journal begin a new epoch with a cursor that it was not given', async () => {
  const rig = await new ServerRig(store, clock, id('a'), { pageBytes: 1 }).listen();
  undo.push(() => rig.close());
  const told = { epoch: 0, sequence: 0 };
  const at = (epoch: number, sequence: number, ref = id('a')) => ({
    ...{
      ref: ref as never,
      position: { epoch, sequence },
      complete: 0,
      told,
      replay: 0,
      proof: undefined,
    },
  });
  const check = async (cursor: string, expected: [number, number]): Promise<void> => {
    const response = await fetch(rig.target().url, { headers: { 'canopy-cursor': cursor } });
    expect([response.status, rig.broken.length]).toEqual(expected);
  };
  const changed = (text: string, byte: number): string => {
    const bytes = Buffer.from(text, 'base64url');
    bytes[byte < 0 ? bytes.length + byte : byte] ^= 1;
    return bytes.toString('base64url');
  };
  const given = encodeCursor(at(2, 3), CURSOR_KEY);
  await check(given, [200, 1]); // a store that fell back
  await check(encodeCursor(at(2, 3)), [400, 1]); // unsigned
  await check(
    encodeCursor(
      at(2, 3),
      CURSOR_KEY.map((byte) => byte ^ 1),
    ),
    [400, 1],
  ); // another's key
  await check(changed(given, -1), [400, 1]); // the signature
  await check(changed(given, 19), [400, 1]); // the epoch
  await check(encodeCursor(at(2 ** 53 - 1, 1)), [400, 1]); // where numbers end
  await check(encodeCursor(at(1, 1)), [200, 1]); // within the journal: of an earlier server
  await check(encodeCursor(at(2, 3, id('b'))), [200, 1]); // not a journal of this server
  expect(rig.server.totals).toMatchObject({ epochBreaks: 1, refused: 5 });
});

it('nothing is complete beyond what a reader has that has more than the journal', async () => {
  const watermark = (): number => T0 + 9000;
  const rig = await new ServerRig(store, clock, id('a'), { watermark }).listen();
  undo.push(() => rig.close());
  const position = { epoch: 2, sequence: 3 };
  const told = { epoch: 0, sequence: 0 };
  const had = { ref: id('a') as never, position, complete: T0 + 77, told, replay: 0, proof: 7 };
  const headers = { 'canopy-cursor': encodeCursor(had, CURSOR_KEY) };
  const response = await fetch(rig.target().url, { headers });
  const body = new Uint8Array(await response.arrayBuffer());
  const { journals } = decodePage(body, { pageBytesMax: MIB, journalsMax: 9 });
  expect(journals[0]).toMatchObject({ epochBreak: true, watermark: T0 + 77 });
  // The break is to come: until then its cursor says no more.
  expect(decodeCursor(journals[0].cursor, CURSOR_KEY)).toMatchObject({ ...had, told: position });
});

it('one address has half of the readers, under however many names', async () => {
  const { server, url } = await leaf({ pageBytes: 1, readersMax: 8 });
  const statuses: number[] = [];
  for (let name = 0; name < 8; name++) statuses.push((await answer(ask(url, `r${name}`)))[0]);
  expect(statuses).toEqual([200, 200, 200, 200, 429, 429, 429, 429]);
  const [, , text] = await answer(ask(url, 'r9'));
  expect(text).toBe('too many readers from one address\n');
  // Who was there before goes on, and so may others come.
  expect((await answer(ask(url, 'r3')))[0]).toBe(200);
  expect((await answer(ask(url, 'r3', OTHER)))[0]).toBe(200);
  expect(server.readers().length).toBe(5);
});
