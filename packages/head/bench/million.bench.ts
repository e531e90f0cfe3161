/**
 * A head full of series: what one takes at 2 h of 15 s samples, how long full collections hold the thread,
 * what finding and selecting costs. Groups of 1,000 slots, a fifth changing; one encoder serves all
 * groups, and entries are made, applied and dropped, so that what is measured is the head's.
 *   npx tsx --conditions=canopy-source --expose-gc packages/head/bench/million.bench.ts [groups] [frames]
 * 1,000 groups and 480 frames take about 20 s and 1 GB.
 */
import { readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { FrameEncoder, encodeEntry, encodeLayout } from '@canopy/encoding';
import { SampleGroup, makeRng } from '@canopy/encoding/testing';
import {
  EntryKind,
  type JournalEntry,
  type JournalRef,
  asDuration,
  asTime,
  labelsFromObject,
  makeMatcher,
} from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { Head } from '../src/index.js';

const GROUPS = Number(process.argv[2] ?? 20);
const FRAMES = Number(process.argv[3] ?? 480);
const SLOTS = 1000;
const KEY_EVERY = 120;
const START = 1_700_000_000_000;
const INTERVAL = 15_000;
const END = START + FRAMES * INTERVAL;
const REF = 'a'.repeat(32) as JournalRef;
const GC_MAJOR = 4;

/** What the main thread has run. Milliseconds. */
function cpuMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

function anonymousBytes(): number {
  globalThis.gc?.();
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Names as exporters have them: of 200, ten are about a cpu. */
function slotLabels(group: number, slot: number): readonly string[] {
  const name = slot % 200;
  return labelsFromObject({
    __name__: name < 10 ? `node_cpu_${name}_seconds_total` : `metric_${name}_total`,
    instance: `host-${group}.example:9100`,
    job: 'node',
    cluster: group % 2 === 0 ? 'east' : 'west',
    device: `dev${Math.floor(slot / 200)}`,
  });
}

const head = new Head({
  clock: new VirtualClock(END),
  windowMs: asDuration(7_200_000),
  tileFrames: KEY_EVERY,
  outOfOrderWindow: asDuration(600_000),
  onTileClosed: () => {},
  tileSource: null,
  maxSeries: 10_000_000,
});
const counts = { full: 0, longest: 0, other: 0 };
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail;
    if (kind !== GC_MAJOR) counts.other = Math.max(counts.other, entry.duration);
    else {
      counts.full++;
      counts.longest = Math.max(counts.longest, entry.duration);
    }
  }
});

let sequence = 0;
let applyMs = 0;
const entries: JournalEntry[] = [];
function push(
  kind: EntryKind,
  group: number,
  time: number,
  key: boolean,
  payload: Uint8Array,
): void {
  const place = { epoch: 1, sequence: ++sequence };
  const entry = encodeEntry({ ...place, kind, group, time: asTime(time), key }, payload);
  entries.push(entry);
}

/** Outside of what is measured: making the entries. */
function flush(): void {
  const from = cpuMs();
  head.apply(REF, entries);
  applyMs += cpuMs() - from;
  entries.length = 0;
}

function layouts(): void {
  const meta = { target: [], scrapeUrl: '', interval: asDuration(INTERVAL), continues: 0 };
  for (let group = 1; group <= GROUPS; group++) {
    const payload = encodeLayout({
      group,
      version: 1,
      meta: { ...meta, kind: 'aligned' },
      firstSlot: 0,
      firstFamily: 0,
      slots: Array.from({ length: SLOTS }, (_, slot) => ({
        labels: slotLabels(group, slot),
        family: -1,
      })),
      slotNumbers: null,
      families: [],
      slotCount: SLOTS,
    });
    push(EntryKind.layout, group, START, false, payload);
    flush();
  }
}

async function frames(): Promise<void> {
  const encoder = new FrameEncoder();
  const samples = new SampleGroup(makeRng(3), SLOTS, 0.2);
  for (let frame = 0; frame < FRAMES; frame++) {
    samples.advance();
    const key = frame % KEY_EVERY === 0;
    const { states, values } = samples;
    const payload = encoder.encodeAligned(1, SLOTS, states, values, key).slice();
    const time = START + frame * INTERVAL;
    for (let group = 1; group <= GROUPS; group++) push(EntryKind.frame, group, time, key, payload);
    flush();
    // Lets the observer say what it saw.
    await new Promise((done) => setImmediate(done));
  }
}

async function select(title: string, op: '=' | '=~', name: string, value: string): Promise<void> {
  const matchers = [makeMatcher(name, op, value)];
  const range = { minTime: asTime(END - 300_000), maxTime: asTime(END) };
  let least = Number.POSITIVE_INFINITY;
  let found = 0;
  // By the clock: the kernel counts a thread's time in ticks of milliseconds.
  for (let round = 0; round < 21; round++) {
    const snapshot = head.snapshot();
    const from = performance.now();
    const series = await snapshot.select(matchers, range);
    least = Math.min(least, performance.now() - from);
    found = series.length;
    snapshot.release();
  }
  console.log(`${title}: ${found} series, ${least.toFixed(2)} ms with five minutes of samples`);
}

const empty = anonymousBytes();
layouts();
const series = GROUPS * SLOTS;
const indexed = anonymousBytes();
console.log(
  `${series} series: index and layouts ${((indexed - empty) / series).toFixed(0)} B each, ${((applyMs * 1000) / series).toFixed(1)} µs each`,
);
applyMs = 0;
observer.observe({ entryTypes: ['gc'] });
await frames();
const { tileBytes, tailBytes } = head.stats;
const each = (bytes: number): string => (bytes / series).toFixed(0);
console.log(
  `append ${((applyMs * 1e6) / (series * FRAMES)).toFixed(1)} ns a sample; full collections ${counts.full}, longest ${counts.longest.toFixed(1)} ms, longest other ${counts.other.toFixed(1)} ms`,
);
// All at once on this thread, where V8 by itself does most of it beside the program.
const forced = Array.from({ length: 3 }, () => {
  const from = cpuMs();
  globalThis.gc?.();
  return cpuMs() - from;
});
console.log(`a full collection asked for: ${Math.min(...forced).toFixed(1)} ms of the thread`);
const { heapUsed, external } = process.memoryUsage();
const full = anonymousBytes();
console.log(
  `${each(full - empty)} anonymous B a series after ${FRAMES} samples each (tiles and packs ${each(tileBytes)}, rows ${each(tailBytes)}; V8's heap ${each(heapUsed)}, outside of it ${each(external)})`,
);
await select('one label value', '=', 'instance', 'host-7.example:9100');
await select('a name in the middle', '=~', '__name__', '.*cpu.*');
