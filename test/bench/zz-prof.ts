import { systemClock } from '@canopy/store/testing';
import { openRedisStore, openEmbeddedStore } from '@canopy/store';
import { Head } from '@canopy/head';
import { asDuration, type JournalPosition, comparePositions } from '@canopy/model';
const place = process.argv[2];
const common = { clock: systemClock, log: () => {}, onCorrupt: (r: any) => console.log(r) };
const store: any = place.includes('://') ? await openRedisStore({ url: place, keyPrefix: 'canopy:', commandTimeout: asDuration(30000) as any, sliceBytesMax: 64*1024*1024, ...common } as any) : await openEmbeddedStore({ path: place, maxBytes: 64*2**30, ...common } as any);
const head = new Head({ clock: systemClock, windowMs: asDuration(7200000), tileFrames: 120, outOfOrderWindow: asDuration(0), onTileClosed: () => {}, tileSource: store, maxSeries: 10_000_000 } as any);
let cpu = process.cpuUsage(); let wall = performance.now();
let worst = 0; let lastT = performance.now();
setInterval(() => { const n = performance.now(); worst = Math.max(worst, n - lastT - 5); lastT = n; }, 5);
const lap = (name: string) => { const c = process.cpuUsage(cpu); console.log(name.padEnd(16), 'user', (c.user/1e3).toFixed(0), 'sys', (c.system/1e3).toFixed(0), 'wall', (performance.now()-wall).toFixed(0), 'worst', worst.toFixed(0), 'rss', (process.memoryUsage.rss()/1e6).toFixed(0)); cpu = process.cpuUsage(); wall = performance.now(); worst = 0; };
for (const state of await store.journals()) {
  const ref = state.ref;
  const layouts = await store.readLayouts(ref); lap(`readLayouts ${layouts.length}`);
  await new Promise((d) => setTimeout(d, 20));
  head.restoreLayouts(ref, layouts); await new Promise((d) => setTimeout(d, 20)); lap('restoreLayouts');
  const metas = await store.tiles(ref); lap(`tiles ${metas.length}`);
  head.restoreTiles(ref, metas); await new Promise((d) => setTimeout(d, 20)); lap('restoreTiles');
  let after: JournalPosition = state.trimmed; let n = 0, bytes = 0, reads = 0;
  while (comparePositions(after, state.position) < 0) {
    const entries = await store.readEntries(ref, after, { maxBytes: 128*1024, maxEntries: 4096 });
    if (entries.length === 0) break; reads++;
    head.apply(ref, entries); n += entries.length; for (const e of entries) bytes += e.bytes.length;
    await new Promise((d) => setImmediate(d));
    after = entries[entries.length-1];
  }
  lap(`apply ${n} ${(bytes/1e6).toFixed(0)}MB ${reads}`);
  const cold = head.storedTiles.cold(0 as any); lap(`cold ${cold.length}`);
  for (let i = 0; i < cold.length; i += 10) { const b = cold.slice(i, i+10); const r = await store.readTiles(ref, b.map((x) => x.meta)); for (let k = 0; k < b.length; k++) head.storedTiles.warm(ref, b[k].meta, r[k]); await new Promise((d) => setImmediate(d)); }
  lap('warm');
  console.log(head.stats.series, head.stats.framesApplied, head.stats.framesUndecodable, head.stats.framesRepeated);
}
process.exit(0);
