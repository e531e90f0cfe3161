import { type Server, createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { CanopyError, asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { MemoryStore } from '../testing/memory-store.js';
import { id } from '../testing/rig.js';
import { Announcer, type PostJson } from './announcer.js';
import { LeafRegistry } from './registry.js';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

const EAST = {
  name: 'east',
  url: 'http://10.0.0.1:9095',
  journal: id('a'),
  labels: { cluster: 'east' },
};

async function parent(token: string | undefined = undefined, leavesMax = 3) {
  const clock = new VirtualClock();
  const store = new MemoryStore(clock);
  const make = () =>
    new LeafRegistry({
      store,
      clock,
      readToken: async () => token,
      isOwn: ({ url }) => url === 'http://itself:9090',
      leavesMax,
      lostAfter: asDuration(300_000),
      log: () => undefined,
    });
  const registry = make();
  await registry.load();
  const server = createServer((req, res) => void registry.handle(req, res));
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const post = async (body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}/api/v1/canopy/leaves`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  };
  return { clock, store, registry, post, make, url };
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

  it('keeps a leaf, tells of it once, and has it after a restart', async () => {
    const { clock, registry, post, make } = await parent();
    const told: number[] = [];
    const undo = registry.onChange((leaves) => void told.push(leaves.length));
    expect((await post(EAST)).status).toBe(200);
    await clock.advance(60_000);
    expect((await post(EAST)).status).toBe(200);
    expect(registry.leaves()).toEqual([{ ...EAST, lastSeen: clock.now(), lost: false }]);
    expect(told).toEqual([1]);
    const next = make();
    await next.load();
    expect(next.leaves()).toMatchObject([EAST]);
    undo();
    await registry.remove(EAST.url);
    expect(registry.leaves()).toEqual([]);
    expect(told).toEqual([1]);
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
      status: 400,
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

describe('the announcer', () => {
  function announcer(post: PostJson) {
    const clock = new VirtualClock();
    const logged: string[] = [];
    const one = new Announcer({
      clock,
      parentUrl: 'http://parent:9090/',
      announcement: () => EAST,
      readToken: async () => 'secret',
      post,
      interval: asDuration(30_000),
      backoffMax: asDuration(8000),
      timeout: asDuration(5000),
      log: (level, message) => void logged.push(`${level} ${message}`),
    });
    return { clock, one, logged };
  }

  it('announces at once and every interval', async () => {
    const calls: unknown[] = [];
    const { clock, one } = announcer(async (...call) => {
      calls.push(call);
      return { status: 200, body: '' };
    });
    one.start();
    await clock.advance(0);
    await clock.advance(65_000);
    expect(calls.length).toBe(3);
    expect(calls[0]).toEqual([
      'http://parent:9090/api/v1/canopy/leaves',
      { 'content-type': 'application/json', authorization: 'Bearer secret' },
      JSON.stringify(EAST),
      5000,
    ]);
    expect(one.state).toMatchObject({ health: 'up', lastError: '' });
    await one.stop();
    await clock.advance(100_000);
    expect(calls.length).toBe(3);
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

  it('stops while the parent does not answer', async () => {
    const { one } = announcer(() => new Promise(() => undefined));
    one.start();
    await one.stop();
    expect(one.state.health).toBe('unknown');
  });
});
