import { type IncomingMessage, type Server, createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { CanopyError, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { MemoryStore } from '../testing/memory-store.js';
import { id } from '../testing/rig.js';
import { Announcer, type SendJson } from './announcer.js';
import { parseTokens, rightsOf } from './authority.js';
import { LeafRegistry } from './registry.js';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

const EAST = {
  name: 'east',
  url: 'http://10.0.0.1:9095',
  journal: id('a'),
  role: 'leaf',
  labels: { cluster: 'east' },
} as const;

interface World {
  /** The text of the token file. */
  tokens: string;
  /** What the client's verified certificate is for. */
  names: readonly string[] | undefined;
  /** Addresses that are pulled well. */
  heard: ReadonlySet<string>;
}

async function parent(tokens = '', leavesMax = 3) {
  const clock = new VirtualClock();
  const store = new MemoryStore(clock);
  const world: World = { tokens, names: undefined, heard: new Set() };
  const make = () =>
    new LeafRegistry({
      store,
      clock,
      readTokens: async () => parseTokens(world.tokens),
      clientNames: () => world.names,
      isHeard: (url) => world.heard.has(url),
      isOwn: ({ url }) => url === 'http://itself:9090',
      leavesMax,
      changesPerMinuteMax: 100,
      lostAfter: asDuration(300_000),
      log: () => undefined,
    });
  const registry = make();
  await registry.load();
  const server = createServer((req, res) => void registry.handle(req, res));
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const post = async (body: unknown, headers: Record<string, string> = {}, method = 'POST') => {
    const request = {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    };
    const response = await fetch(`${url}/api/v1/canopy/leaves`, request);
    return { status: response.status, text: await response.text() };
  };
  return { clock, store, world, registry, post, make, url };
}

describe('the registry', () => {
  it.each([
    [{ ...EAST, name: 'a\u001b[2Jb' }, 'name holds control characters'],
    [{ ...EAST, labels: { cluster: 'a\nb' } }, 'label cluster holds control characters'],
    [{ ...EAST, url: 'http://itself:9090' }, 'is this process itself'],
  ])('refuses %j', async (announcement, reason) => {
    const { registry, post } = await parent();
    const { status, text } = await post(announcement);
    expect([status, text]).toEqual([400, expect.stringContaining(reason)]);
    expect(registry.leaves()).toEqual([]);
  });

  it('keeps what can be read of its document', async () => {
    const { store, make } = await parent();
    await store.putDocument('registry', JSON.stringify([{ name: 'broken' }, EAST]));
    const registry = make();
    await registry.load();
    expect(registry.leaves().map((leaf) => leaf.name)).toEqual(['east']);
  });

  it('goes on with a damaged document: leaves announce themselves again', async () => {
    const { store, make, post, registry } = await parent();
    await post(EAST);
    store.damageDocument('registry');
    const next = make();
    await next.load();
    expect(next.leaves()).toEqual([]);
    const west = { ...EAST, name: 'west', url: 'http://10.0.0.2:9095', journal: id('b') };
    expect((await post(west)).status).toBe(200);
    expect(registry.leaves().length).toBe(2);
    expect(JSON.parse((await store.getDocument('registry'))!)).toHaveLength(2);
  });

  it('writes again what the store has lost of it', async () => {
    const { store, make, post, registry } = await parent();
    const before = store.copy();
    await post(EAST);
    const lost = [
      () => store.become(before),
      () => store.wipe(),
      () => store.damageDocument('registry'),
    ];
    for (const lose of lost) {
      lose();
      await registry.keep();
      const next = make();
      await next.load();
      expect(next.leaves()).toMatchObject([EAST]);
    }
    const put = vi.spyOn(store, 'putDocument');
    await registry.keep();
    expect(put).not.toHaveBeenCalled();
  });

  it('keeps a leaf, tells of it once, and has it after a restart', async () => {
    const { clock, registry, post, make } = await parent();
    const told: number[] = [];
    const undo = registry.onChange((leaves) => void told.push(leaves.length));
    expect((await post(EAST)).status).toBe(200);
    await clock.advance(60_000);
    expect((await post(EAST)).status).toBe(200);
    expect(registry.leaves()).toMatchObject([{ ...EAST, lastSeen: clock.now(), lost: false }]);
    expect(told).toEqual([1]);
    const next = make();
    await next.load();
    expect(next.leaves()).toMatchObject([EAST]);
    undo();
    await registry.remove(EAST.url);
    expect(registry.leaves()).toEqual([]);
    expect(told).toEqual([1]);
    // External labels may have any name, as in Prometheus 3.
    const labels = { cluster: 'east', 'cloud.région': 'nord' };
    expect((await post({ ...EAST, labels })).status).toBe(200);
    expect(registry.leaves()).toMatchObject([{ labels }]);
  });

  it('calls a leaf lost after five minutes, and keeps it', async () => {
    const { clock, registry, post } = await parent();
    await post(EAST);
    await clock.advance(300_001);
    expect(registry.leaves()).toMatchObject([{ name: 'east', lost: true }]);
    await post(EAST);
    expect(registry.leaves()).toMatchObject([{ name: 'east', lost: false }]);
  });

  it('follows a leaf that moved or lost its journal, and keeps names apart', async () => {
    const { clock, registry, post } = await parent();
    await post(EAST);
    const moved = { ...EAST, url: 'http://10.0.0.2:9095' };
    expect((await post(moved)).status).toBe(200);
    const wiped = { ...moved, journal: id('b') };
    expect((await post(wiped)).status).toBe(200);
    expect(registry.leaves()).toMatchObject([wiped]);
    const other = { ...EAST, url: 'http://10.0.0.3:9095', journal: id('c') };
    expect(await post(other)).toMatchObject({
      status: 409,
      text: expect.stringMatching(/is taken/),
    });
    await clock.advance(300_001);
    expect((await post(other)).status).toBe(200);
  });

  it('refuses what it should', async () => {
    const { registry, post, url } = await parent(undefined, 1);
    const check = async (body: unknown, status: number, text: RegExp, headers = {}) => {
      const answer = await post(body, headers);
      expect([answer.status, answer.text]).toEqual([status, expect.stringMatching(text)]);
    };
    await check('{', 400, /not JSON/);
    await check([], 400, /name/);
    await check({ ...EAST, name: '' }, 400, /name/);
    await check({ ...EAST, journal: 'x' }, 400, /journal/);
    await check({ ...EAST, url: 'file:///etc/passwd' }, 400, /scheme file/);
    await check({ ...EAST, url: 'http://u:p@h/' }, 400, /user or password/);
    await check({ ...EAST, url: 'http://h/?x=1' }, 400, /query/);
    await check({ ...EAST, url: 'nonsense' }, 400, /cannot be read/);
    await check({ ...EAST, labels: { __address__: 'h' } }, 400, /__address__/);
    await check({ ...EAST, labels: { a: 1 } }, 400, /label a/);
    await check({ ...EAST, labels: { '': 'x' } }, 400, /label name "" is not allowed/);
    await check({ ...EAST, labels: { 'a\nb': 'x' } }, 400, /is not allowed/);
    await check(
      { ...EAST, labels: { ['n'.repeat(2000)]: 'x' } },
      400,
      /label name "n{100}" is not/,
    );
    await check({ ...EAST, role: 'king' }, 400, /role/);
    await check({ ...EAST, name: 'x'.repeat(20_000) }, 413, /16 KiB/);
    await check(EAST, 400, /application\/json/, { 'content-type': 'text/plain' });
    expect((await fetch(url)).status).toBe(400);
    expect(registry.leaves()).toEqual([]);
    await check(EAST, 200, /success/);
    await check({ ...EAST, name: 'w', url: 'http://w:1', journal: id('d') }, 429, /more leaves/);
  });

  it('takes a token for what does not come from this machine', async () => {
    const far = { 'x-forwarded-for': '192.0.2.1' };
    const none = await parent();
    expect(await none.post(EAST, far)).toMatchObject({ status: 403 });
    expect(await none.post(EAST, { origin: 'http://evil.example' })).toMatchObject({ status: 403 });
    const { post } = await parent('secret');
    expect((await post(EAST, far)).status).toBe(403);
    expect((await post(EAST, { ...far, authorization: 'Bearer wrong' })).status).toBe(403);
    expect((await post(EAST, { ...far, authorization: 'Bearer secret' })).status).toBe(200);
    expect((await post(EAST)).status).toBe(200); // loopback
  });

  it('takes any token of the file, in either header, as the file is now', async () => {
    const { post, world } = await parent('old\n\n# soon:\nnew\n');
    const far = { via: '1.1 proxy' };
    const check = async (token: string, status: number) => {
      const bearer = { ...far, authorization: `Bearer ${token}` };
      expect((await post(EAST, bearer)).status, token).toBe(status);
      // Beside a name and password for the HTTP server itself.
      const beside = { ...far, authorization: 'Basic eDp5', 'canopy-token': token };
      expect((await post(EAST, beside)).status, token).toBe(status);
    };
    await check('old', 200);
    await check('new', 200);
    await check('# soon:', 403);
    world.tokens = 'new\n';
    await check('old', 403);
    await check('new', 200);
  });

  it('knows what a token is for', async () => {
    const { post, registry, world } = await parent(
      'narrow cluster=east cluster=north\nmid relay cluster=x',
    );
    const by = (token: string) => ({ 'canopy-token': token });
    const west = { ...EAST, name: 'west', labels: { cluster: 'west' } };
    expect(await post(west, by('narrow'))).toMatchObject({
      status: 403,
      text: expect.stringMatching(/for cluster=east or cluster=north, not for cluster=west/),
    });
    expect((await post({ ...EAST, role: 'parent' }, by('narrow'))).status).toBe(200);
    const labels = { cluster: ['east', 'north'] };
    expect(registry.leaves()).toMatchObject([{ rights: { relays: false, labels } }]);
    expect((await post({ ...EAST, labels: {} }, by('mid'))).status).toBe(200);
    expect(registry.leaves()).toMatchObject([
      { rights: { relays: true, labels: { cluster: ['x'] } } },
    ]);
    world.tokens = 'narrow cluster';
    expect(await post(EAST, { ...by('narrow'), via: 'x' })).toMatchObject({ status: 400 });
    expect(() => parseTokens('a\nsecret __x__=y')).toThrow(/^line 2: after the token/);
  });

  it('binds a registration to the certificate it came with', async () => {
    const { clock, post, world, registry, make } = await parent('secret');
    const far = { 'x-forwarded-for': '192.0.2.1' };
    world.names = ['east', 'east.test'];
    expect((await post(EAST, far)).status).toBe(200);
    expect((await post({ ...EAST, name: 'east.test:9095' }, far)).status).toBe(200);
    expect(await post({ ...EAST, name: 'west' }, far)).toMatchObject({
      status: 403,
      text: expect.stringMatching(
        /the certificate is for east, east.test, not for a leaf named west/,
      ),
    });
    // Neither a token nor another certificate takes its journal or its place, also while it is away.
    await clock.advance(400_000);
    const moved = { ...EAST, name: 'west', url: 'http://10.6.6.6:9095' };
    const check = async (body: object, headers: Record<string, string>) =>
      expect((await post(body, headers)).status, JSON.stringify(body)).toBe(403);
    for (const names of [undefined, ['west']]) {
      world.names = names;
      await check(moved, { ...far, 'canopy-token': 'secret' });
      await check(
        { ...moved, url: EAST.url, journal: id('b') },
        { ...far, 'canopy-token': 'secret' },
      );
      expect((await post(EAST, { 'canopy-token': 'secret' }, 'DELETE')).status).toBe(403);
    }
    expect(registry.leaves()).toMatchObject([{ url: EAST.url, journal: id('a') }]);
    const next = make();
    await next.load();
    expect(next.leaves()).toMatchObject([{ rights: { identity: 'east' } }]);
  });

  it('leaves a journal with the address that answers', async () => {
    const { post, world, registry } = await parent();
    await post(EAST);
    const moved = { ...EAST, url: 'http://10.0.0.2:9095' };
    world.heard = new Set([EAST.url]);
    expect(await post(moved)).toMatchObject({
      status: 409,
      text: expect.stringMatching(/answers/),
    });
    world.heard = new Set();
    expect((await post(moved)).status).toBe(200);
    expect(registry.leaves().map(({ url }) => url)).toEqual([moved.url]);
  });

  it('lets a leaf go that takes leave', async () => {
    const { store, post, registry } = await parent();
    await post(EAST);
    expect((await post({ ...EAST, journal: id('b') }, {}, 'DELETE')).status).toBe(200);
    expect(registry.leaves().length).toBe(1);
    expect((await post(EAST, { via: 'x' }, 'DELETE')).status).toBe(403);
    expect((await post(EAST, {}, 'DELETE')).status).toBe(200);
    expect(registry.leaves()).toEqual([]);
    expect(await store.getDocument('registry')).toBe('[]');
    expect((await post(EAST, {}, 'DELETE')).status).toBe(200); // again
    expect(registry.totals).toMatchObject({ accepted: 1, left: 3, refused: { forbidden: 1 } });
    expect((await post(EAST, {}, 'PUT')).status).toBe(400);
  });

  it('takes so many changes a minute, and any number of repeated announcements', async () => {
    const { clock, post, registry } = await parent('', 1000);
    const leaf = (n: number) => ({
      ...EAST,
      name: `leaf ${n}`,
      url: `http://10.0.0.1:${9000 + n}`,
      journal: n.toString(16).padStart(32, '0'),
    });
    const statuses = await Promise.all(Array.from({ length: 150 }, (_, n) => post(leaf(n))));
    expect(statuses.filter(({ status }) => status === 200).length).toBe(100);
    expect(statuses.filter(({ status }) => status === 429).length).toBe(50);
    expect(registry.totals.refused).toEqual({ too_many_requests: 50 });
    const [known] = registry.leaves();
    expect((await post({ ...known })).status).toBe(200);
    await clock.advance(60_000);
    expect((await post(leaf(200))).status).toBe(200);
  });

  it('acknowledges only what is stored', async () => {
    const { store, registry, post } = await parent();
    store.fail = new CanopyError('storage_unavailable', 'away');
    expect((await post(EAST)).status).toBe(503);
    expect(registry.leaves()).toEqual([]);
    store.fail = undefined;
    expect((await post(EAST)).status).toBe(200);
  });

  it('survives a client that goes away in the middle', async () => {
    const { registry, post, url } = await parent();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    socket.write(
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    );
    socket.destroy();
    expect((await post(EAST)).status).toBe(200);
    expect(registry.leaves().length).toBe(1);
  });
});

describe('who is on this machine', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['10.127.0.1', false],
    ['192.0.2.1', false],
    ['::ffff:192.0.2.1', false],
    ['::ffff:10.127.0.0.1', false],
    ['127.0.0.1.example', false],
    ['fe80::1', false],
    ['::', false],
    [undefined, false],
  ])('%s: %s', async (remoteAddress, isHere) => {
    const req = { headers: {}, socket: { remoteAddress } } as unknown as IncomingMessage;
    const asked = rightsOf(req, { readTokens: async () => [], clientNames: () => undefined });
    if (isHere) await expect(asked).resolves.toMatchObject({ identity: '' });
    else await expect(asked).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('the announcer', () => {
  function announcer(send: SendJson) {
    const clock = new VirtualClock();
    const logged: string[] = [];
    const one = new Announcer({
      clock,
      parentUrl: 'http://parent:9090/',
      announcement: () => EAST,
      readTokens: async () => parseTokens('secret\nnext'),
      send,
      interval: asDuration(30_000),
      backoffMax: asDuration(8000),
      timeout: asDuration(5000),
      leaveTimeout: asDuration(1500),
      log: (level, message) => void logged.push(`${level} ${message}`),
    });
    return { clock, one, logged };
  }

  it('announces at once and every interval', async () => {
    const calls: unknown[] = [];
    const added = vi.spyOn(EventTarget.prototype, 'addEventListener');
    const removed = vi.spyOn(EventTarget.prototype, 'removeEventListener');
    onTestFinished(() => void vi.restoreAllMocks());
    const { clock, one } = announcer(async (...call) => {
      calls.push(call);
      return { status: 200, body: '' };
    });
    one.start();
    await clock.advance(0);
    await clock.advance(65_000);
    expect(calls.length).toBe(3);
    expect(calls[0]).toEqual([
      'POST',
      'http://parent:9090/api/v1/canopy/leaves',
      { 'content-type': 'application/json', 'canopy-token': 'secret' },
      JSON.stringify(EAST),
      5000,
    ]);
    expect(one.state).toMatchObject({ health: 'up', lastError: '' });
    // Nothing is left of those that are done.
    expect(added.mock.calls.length - removed.mock.calls.length).toBeLessThanOrEqual(1);
    await one.stop();
    expect((calls[3] as unknown[])[0]).toBe('DELETE');
    await clock.advance(100_000);
    expect(calls.length).toBe(4);
  });

  it('announces at once what has changed', async () => {
    let calls = 0;
    const { clock, one } = announcer(async () => {
      calls++;
      return { status: 200, body: '' };
    });
    one.start();
    await clock.advance(10_000);
    one.announceNow();
    await clock.advance(0);
    expect(calls).toBe(2);
    await clock.advance(29_000);
    expect(calls).toBe(2);
    await clock.advance(1000);
    expect(calls).toBe(3);
    await one.stop();
  });

  it('takes leave in bounded time', async () => {
    let isUp = true;
    const { clock, one, logged } = announcer(() =>
      isUp ? Promise.resolve({ status: 200, body: '' }) : new Promise(() => undefined),
    );
    one.start();
    await clock.advance(0);
    isUp = false;
    const stopped = one.stop();
    await clock.advance(0);
    await clock.advance(1500);
    await stopped;
    expect(logged.at(-1)).toMatch(/^warn could not take leave/);
  });

  it('tries again with longer waits, and says each trouble once', async () => {
    let up = false;
    let calls = 0;
    const { clock, one, logged } = announcer(async () => {
      calls++;
      if (up) return { status: 200, body: '' };
      return { status: 403, body: 'wrong or missing token\n' };
    });
    one.start();
    await clock.advance(0);
    await clock.advance(15_500); // at 0, 1, 3, 7, 15 s
    expect(calls).toBe(5);
    await clock.advance(8000); // no longer than that
    expect(calls).toBe(6);
    expect(one.state).toMatchObject({
      health: 'down',
      lastError: 'the parent answered 403: wrong or missing token',
    });
    up = true;
    await clock.advance(8000);
    expect(one.state.health).toBe('up');
    expect(logged).toEqual(['warn cannot announce to the parent', 'info announced to the parent']);
    await one.stop();
  });

  it('takes leave of the one of several parents that writes', async () => {
    const methods: string[] = [];
    const { clock, one, logged } = announcer(async (method) => {
      methods.push(method);
      const isStandby = method === 'DELETE' && methods.length === 2;
      return isStandby ? { status: 503, body: 'on standby' } : { status: 200, body: '' };
    });
    one.start();
    await clock.advance(0);
    const stopped = one.stop();
    for (let i = 0; i < 10; i++) await clock.advance(100);
    await stopped;
    expect(methods).toEqual(['POST', 'DELETE', 'DELETE']);
    expect(logged.at(-1)).toBe('info took leave of the parent');
  });

  it('stops while the parent does not answer', async () => {
    const { one } = announcer(() => new Promise(() => undefined));
    one.start();
    await one.stop();
    expect(one.state.health).toBe('unknown');
  });
});
