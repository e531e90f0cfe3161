/** A reader gets on, however little time it gives a page: on a slow line, from a leaf that has much to do. */
import { VirtualClock } from '@canopy/model/testing';
import { type Clock } from '@canopy/model';
import { describe, expect, it, vi } from 'vitest';
import { decodePage } from './page.js';
import { LEAF, T0, fill, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig, ServerRig } from './testing/rig.js';

/** What a real process may take for anything. */
const PATIENCE = { timeout: 30_000 };

describe('pages that come late', () => {
  it('makes a page in a part of the time that its reader waits', async () => {
    const { clock, store, journal } = await startLeaf();
    // More than one step reads; each takes a while.
    await fill(journal, 3000);
    let now = 0;
    const slow: Clock = {
      now: () => clock.now(),
      monotonic: () => (now += 20),
      after: (delay, run) => clock.after(delay, run),
    };
    const rig = await new ServerRig(store, slow, LEAF, {}).listen();
    const parent = new PullRig(new MemoryStore(clock), clock);
    const entries = async (more: Record<string, string>): Promise<number> => {
      const headers = { ...(await parent.puller.requestHeaders(rig.target())), ...more };
      const accept = { accept: parent.puller.mediaType };
      const response = await fetch(rig.target().url, { headers: { ...headers, ...accept } });
      const limits = { pageBytesMax: 64 * 1024 * 1024, journalsMax: 10 };
      const page = decodePage(new Uint8Array(await response.arrayBuffer()), limits);
      return page.journals[0].entries.length;
    };
    const whole = await entries({});
    const part = await entries({ 'x-prometheus-scrape-timeout-seconds': '0.2' });
    expect(part).toBeGreaterThan(0);
    expect(part).toBeLessThan(whole);
    await rig.close();
  });

  it('gets on over a line that carries little in the time that a reader waits', async () => {
    const { clock, journal, server } = await startLeaf();
    await fill(journal, 3000);
    const parent = new PullRig(new MemoryStore(clock), clock);
    const inTime = 10_000;
    let lost = 0;
    for (let asked = 0; parent.appender.samples.length < 12_000 && asked < 500; asked++) {
      const { body } = await parent.ask(server.target());
      if (body.length <= inTime) await parent.puller.take(server.target(), {}, body);
      else lost++;
    }
    expect(parent.appender.samples.length).toBe(12_000);
    expect(parent.puller.totals.repeated).toBe(0);
    // Seldom, once it is known what the line carries.
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(parent.puller.totals.pages / 2);
    // On a better line pages grow again.
    await fill(journal, 3000, 3000);
    const before = parent.puller.totals.pages;
    await parent.pullAll(server.target());
    expect(parent.puller.totals.pages - before).toBeLessThan(lost + 12);
  });

  it('stops work on a page that nobody waits for any more', async () => {
    let reads = 0;
    let isGone = false;
    const giveUp = new AbortController();
    class SlowStore extends MemoryStore {
      override async readEntries(...which: Parameters<MemoryStore['readEntries']>) {
        reads++;
        giveUp.abort();
        await vi.waitUntil(() => isGone, PATIENCE);
        return super.readEntries(...which);
      }
    }
    const clock = new VirtualClock(T0);
    const { journal, server } = await startLeaf({
      ...{ clock, store: new SlowStore(clock) },
      seen: (res) => void res.on('close', () => (isGone = true)),
    });
    await fill(journal, 3000);
    const { puller } = new PullRig(new MemoryStore(clock), clock);
    const headers = await puller.requestHeaders(server.target());
    const asked = fetch(server.target().url, {
      headers: { ...headers, accept: puller.mediaType },
      signal: giveUp.signal,
    });
    await expect(asked).rejects.toThrow('aborted');
    await vi.waitUntil(() => server.server.totals.abandoned === 1, PATIENCE);
    expect(reads).toBe(1);
    expect(server.server.totals).toMatchObject({ pages: 0, refused: 0 });
  });

  it('reads layouts once for readers that give up meanwhile, though the journal is cut', async () => {
    let dumps = 0;
    const goOn: Array<() => void> = [];
    class SlowStore extends MemoryStore {
      override async readLayouts(...which: Parameters<MemoryStore['readLayouts']>) {
        dumps++;
        const found = await super.readLayouts(...which);
        await new Promise<void>((done) => goOn.push(done));
        return found;
      }
    }
    const clock = new VirtualClock(T0);
    const { journal, server } = await startLeaf({ clock, store: new SlowStore(clock) });
    await fill(journal, 300);
    await journal.trim({ epoch: 1, sequence: 100 });
    const parent = new PullRig(new MemoryStore(clock), clock);
    const first = parent.ask(server.target());
    await vi.waitUntil(() => dumps === 1, PATIENCE);
    const second = parent.ask(server.target());
    await journal.trim({ epoch: 1, sequence: 200 });
    goOn[0]();
    await Promise.all([first, second]);
    await clock.advance(120_000);
    await parent.pullAll(server.target());
    expect(dumps).toBe(1);
  });
});
