/** Stored documents that are damaged: refused whole, counted, told of, and the process goes on. */
import type { Store } from '@canopy/model';
import { expect, it } from 'vitest';
import { fill, startLeaf } from './testing/leaf-rig.js';
import { MemoryStore } from './testing/memory-store.js';
import { PullRig } from './testing/rig.js';

const DAMAGED = ['{', '7', 'null', '[[1]]', '[["a","b","c",1,[["x","y"]]]]', '{"a":1}'];

/** A store whose documents of a name cannot be read. */
function damaged(store: MemoryStore, name: RegExp, text: string): MemoryStore {
  const get = store.getDocument.bind(store);
  const getDamaged: Store['getDocument'] = (asked) =>
    name.test(asked) ? Promise.resolve(text) : get(asked);
  return Object.assign(store, { getDocument: getDamaged });
}

it.each(DAMAGED)('pulls, and serves, on documents like %s', async (text) => {
  const logged: string[] = [];
  const log = (_level: string, message: string, fields?: Record<string, unknown>): void => {
    if (message === 'a stored document cannot be read') logged.push(String(fields?.document));
  };
  const { clock, store, journal, server } = await startLeaf({
    options: { rememberReaders: true, log },
  });
  damaged(store, /^readers$/, text);
  await fill(journal, 4);
  const parent = new PullRig(
    damaged(new MemoryStore(clock), /^sources|^journal-homes$/, text),
    clock,
    { log },
  );
  await parent.pullAll(server.target());
  expect(parent.appender.samples.length).toBe(16);
  expect(server.server.unreadable).toEqual({ readers: 1 });
  expect(parent.puller.totals.unreadable).toEqual({ sources: 1, 'journal-homes': 1 });
  expect(logged).toEqual(['sources', 'readers', 'journal-homes']);
});
