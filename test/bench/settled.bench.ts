/**
 * `npm run bench -- settled [farm] [hours] [targets] [series]`, `… settled real [hours] [seconds recorded]`: what settled samples cost in a real Redis
 * (`used_memory`, everything included: journal of open tiles, indexes, records). Scrapes at 15 s steps go through the
 * real journal writer, head and store in virtual time; `farm` is the farm's generator with a fifth changing, `real` are
 * bodies of node exporter, Redis exporter and Prometheus, recorded here at half a second's distance and replayed, as often as it takes: counters go on
 * from cycle to cycle, everything else begins again. `--recording=FOLDER`: it is kept there, or taken from there. 2,880 seconds are 24 hours without
 * a repetition. `--vm`: the same samples in VictoriaMetrics, after a forced merge (it sees what repeats: compare it with recordings that are as long as
 * what is replayed). `--keys`: what each kind of key takes. Statistics of commands: what
 * `CONFIG RESETSTAT` gives back.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseText, readSeries } from '@canopy/exposition';
import { Head } from '@canopy/head';
import {
  BLOCK_WINDOW_MS,
  type Clock,
  type Family,
  type GroupWriter,
  type Labels,
  type Milliseconds,
  SampleState,
  asDuration,
  asTime,
  labelsFromObject,
} from '@canopy/model';
import { JournalWriter, openRedisStore } from '@canopy/store';
import { BlockKeeper } from '../../packages/canopy/src/parts/block-keeper.js';
import { JournalLeases } from '../../packages/canopy/src/parts/journal-leases.js';
import { TileKeeper } from '../../packages/canopy/src/parts/tile-keeper.js';
import { Site, eventually, freePort, get, sleep } from '../processes.js';
import { farmBodies } from './farm-bodies.js';
import { EXPORTERS, isRecorded, readRecording, record } from './recording.js';

const HOUR = 3_600_000;
const STEP = 15_000;
const isSmall = process.argv.includes('--small');
const withKeys = process.argv.includes('--keys');
const withVm = process.argv.includes('--vm');
const RECORDING = '--recording=';
const given = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const KIND = given[0] ?? 'farm';
const HOURS = Number(given[1] ?? (isSmall ? 3 : 24));
const TARGETS = Number(given[2] ?? (isSmall ? 2 : 4));
const SERIES = Number(given[3] ?? (isSmall ? 100 : 1000));
/** Bodies of each exporter. */
const RECORD_EVERY_MS = 500;
const SECONDS = KIND === 'real' && given[2] !== undefined ? TARGETS : isSmall ? 3 : 120;
const RECORDED = Math.round((SECONDS * 1000) / RECORD_EVERY_MS);

const say = (line: string): void => console.log(line);

/** One target: its series, and their columns step by step. */
interface Feed {
  readonly target: Record<string, string>;
  readonly labels: Labels[];
  readonly families: Family[];
  /** Number of the family of each series, -1 for none. */
  readonly familyOf: number[];
  /** Columns of the n-th scrape, for the time until the next call. */
  columns(n: number): { readonly values: Float64Array; readonly states: Uint8Array };
}

interface Parsed {
  readonly values: Map<string, number>;
  readonly labels: Map<string, Labels>;
  readonly families: Map<string, Family>;
}

const TEXT = new TextDecoder();

/** Label sets of series that are not `known` only. */
function parse(
  body: Uint8Array,
  target: Record<string, string>,
  known: ReadonlyMap<string, unknown> = new Map(),
): Parsed {
  const parsed: Parsed = { values: new Map(), labels: new Map(), families: new Map() };
  const family = (name: string): Family =>
    parsed.families.get(name) ?? { name, type: 'unknown', help: '', unit: '' };
  const note = (name: string, part: Partial<Family>): void => {
    parsed.families.set(name, { ...family(name), ...part });
  };
  parseText(body, {
    help: (bytes, a, b, c, d) =>
      note(TEXT.decode(bytes.subarray(a, b)), { help: TEXT.decode(bytes.subarray(c, d)) }),
    type: (bytes, a, b, type) => note(TEXT.decode(bytes.subarray(a, b)), { type }),
    sample: (bytes, a, b, value) => {
      const own = TEXT.decode(bytes.subarray(a, b));
      parsed.values.set(own, value);
      if (known.has(own)) return;
      const pairs = readSeries(bytes, a, b);
      const labels: Record<string, string> = { ...target };
      for (let i = 0; i < pairs.length; i += 2) labels[pairs[i]] = pairs[i + 1];
      parsed.labels.set(own, labelsFromObject(labels));
    },
  });
  return parsed;
}

/** The family of a series by its name, with what histograms and summaries append. */
function familyOf(labels: Labels, families: readonly Family[]): number {
  const name = labels[labels.indexOf('__name__') + 1];
  const stem = name.replace(/_(bucket|sum|count)$/, '');
  const exact = families.findIndex((family) => family.name === name);
  return exact >= 0 ? exact : families.findIndex((family) => family.name === stem);
}

function farmFeed(number: number): Feed {
  const target = { instance: `10.0.0.${number}:9100`, job: 'farm', cluster: 'east' };
  const bodies = farmBodies(SERIES, 0.2, number + 1);
  const first = parse(bodies.next().value as Buffer, target);
  const names = [...first.values.keys()];
  const families = [...first.families.values()];
  const labels = names.map((name) => first.labels.get(name)!);
  const values = new Float64Array(names.length);
  const states = new Uint8Array(names.length).fill(SampleState.value);
  return {
    ...{ target, labels, families },
    familyOf: labels.map((each) => familyOf(each, families)),
    columns: () => {
      const body = (bodies.next().value as Buffer).toString('latin1');
      // The farm's bodies are lines of one form: the last word is the value.
      let slot = 0;
      for (let at = 0; at < body.length; ) {
        const end = body.indexOf('\n', at);
        if (body[at] !== '#')
          values[slot++] = Number(body.slice(body.lastIndexOf(' ', end) + 1, end));
        at = end + 1;
      }
      return { values, states };
    },
  };
}

/** Slots are given as series appear; a row has those there were by then. */
async function recordedFeed(
  target: Record<string, string>,
  bodies: AsyncIterable<Buffer>,
): Promise<Feed> {
  const slots = new Map<string, number>();
  const labels: Labels[] = [];
  const described = new Map<string, Family>();
  const rows: Float64Array[] = [];
  for await (const body of bodies) {
    const parsed = parse(body, target, slots);
    for (const [name, each] of parsed.labels) {
      slots.set(name, labels.length);
      labels.push(each);
    }
    for (const [name, family] of parsed.families) described.set(name, family);
    const row = new Float64Array(labels.length).fill(ABSENT);
    for (const [name, value] of parsed.values) row[slots.get(name)!] = value;
    rows.push(row);
  }
  const families = [...described.values()];
  const numbers = labels.map((each) => familyOf(each, families));
  const at = (row: Float64Array, slot: number): number => (slot < row.length ? row[slot] : ABSENT);
  // What counts goes on from where the last cycle ended.
  const gains = labels.map((_, slot) => {
    const type = families[numbers[slot]]?.type;
    if (type !== 'counter' && type !== 'histogram' && type !== 'summary') return 0;
    const gain = at(rows[rows.length - 1], slot) - at(rows[0], slot);
    return gain > 0 && gain < ABSENT / 2 ? gain : 0;
  });
  const values = new Float64Array(labels.length);
  const states = new Uint8Array(labels.length);
  return {
    ...{ target, labels, families },
    familyOf: numbers,
    columns: (n) => {
      const cycle = Math.floor(n / rows.length);
      const row = rows[n % rows.length];
      for (let slot = 0; slot < values.length; slot++) {
        const value = at(row, slot);
        states[slot] = value === ABSENT ? SampleState.none : SampleState.value;
        values[slot] = value + cycle * gains[slot];
      }
      return { values, states };
    },
  };
}

/** Stands for no sample; no exporter says it. */
const ABSENT = Number.MAX_VALUE;

async function recordedFeeds(site: Site): Promise<Feed[]> {
  const named = process.argv.find((arg) => arg.startsWith(RECORDING));
  const folder = named?.slice(RECORDING.length) ?? site.path('recording');
  if (!isRecorded(folder)) await record(folder, RECORDED, RECORD_EVERY_MS);
  const feeds: Feed[] = [];
  for (const [i, job] of EXPORTERS.entries()) {
    const target = { instance: `127.0.0.1:910${i}`, job, cluster: 'east' };
    feeds.push(await recordedFeed(target, readRecording(folder, job)));
  }
  return feeds;
}

class BenchClock implements Clock {
  time: number;

  constructor(time: number) {
    this.time = time;
  }

  now(): Milliseconds {
    return asTime(this.time);
  }

  monotonic(): number {
    return performance.now();
  }

  after(delay: number, fire: () => void) {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  }
}

function openGroup(journal: JournalWriter, feed: Feed): GroupWriter {
  const group = journal.openGroup({
    kind: 'aligned',
    target: labelsFromObject(feed.target),
    scrapeUrl: `http://${feed.target.instance}/metrics`,
    interval: asDuration(STEP),
  });
  for (const family of feed.families) group.addFamily(family);
  feed.labels.forEach((labels, i) => group.addSlot(labels, feed.familyOf[i]));
  return group;
}

async function main(): Promise<void> {
  say(`${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}`);
  await using site = new Site();
  const feeds =
    KIND === 'real'
      ? await recordedFeeds(site)
      : Array.from({ length: TARGETS }, (_, i) => farmFeed(i));
  const series = feeds.reduce((sum, { labels }) => sum + labels.length, 0);
  say(`${KIND}: ${feeds.length} targets, ${series} series, ${HOURS} h every 15 s`);
  const port = await freePort();
  site.program('redis', 'redis-server', '--port', `${port}`, '--save', '', '--dir', site.folder);
  // Whole days, so that every bucket of a merge is full.
  const begin =
    Math.floor(Date.now() / (24 * HOUR)) * 24 * HOUR - Math.ceil(HOURS / 24) * 24 * HOUR;
  const clock = new BenchClock(begin);
  const quiet = (): void => {};
  const store = await openRedisStore({
    url: `redis://127.0.0.1:${port}`,
    keyPrefix: 'canopy:',
    clock,
    commandTimeout: asDuration(10_000),
    sliceBytesMax: 64 * 1024 * 1024,
    waitReplicas: 0,
    waitTimeout: asDuration(0),
    log: quiet,
    onCorrupt: quiet,
  });
  await eventually(10_000, 'redis', () => store.usage());
  const used = async (): Promise<number> => (await store.usage()).usedBytes;
  const empty = await used();
  // A histogram of 24 KB for each kind of command that was ever called, whatever is stored.
  const usedBare = (): Promise<number> => {
    askRedis(port, 'config', 'resetstat');
    return used();
  };
  const emptyBare = await usedBare();
  const leases = new JournalLeases({ store, clock, owner: 'bench', ttl: asDuration(60_000) });
  const common = { store, leases, log: quiet };
  let tiles: TileKeeper | undefined;
  const head = new Head({
    clock,
    windowMs: BLOCK_WINDOW_MS,
    tileFrames: 120,
    outOfOrderWindow: asDuration(0),
    onTileClosed: (ref, tile) => tiles?.add(ref, tile),
    tileSource: store,
    maxSeries: 1e7,
  });
  const journal = await JournalWriter.open({
    ...{ store, clock, owner: 'bench', log: quiet, pathIdentity: '' },
    leaseTtl: asDuration(60_000),
    randomBytes: (size) => randomBytes(size),
    commitInterval: asDuration(1000),
    commitBytes: 1 << 20,
    keyFrameEvery: 120,
    queueBytesMax: 1 << 30,
    onCommitted: (ref, entries) => void head.apply(ref, entries),
    completeUpTo: () => clock.now(),
  });
  tiles = new TileKeeper({
    ...common,
    head: () => head,
    oldestReader: () => undefined,
    hasUntoldGaps: () => false,
  });
  const keeper = (spans: number[]): BlockKeeper =>
    new BlockKeeper({
      ...{ ...common, clock },
      head: () => head,
      watermark: () => clock.now(),
      window: BLOCK_WINDOW_MS,
      spans: spans.map((hours) => asDuration(hours * HOUR)),
      sealDelay: asDuration(0),
      abandonedAfter: asDuration(24 * HOUR),
      grace: asDuration(0),
      mergeBytesMax: () => Promise.resolve(2 ** 40),
      onTileCorrupt: () => {},
      onBlockCorrupt: () => {},
      log: (level, text, fields) => {
        if (level !== 'info') say(`${level}: ${text} ${JSON.stringify(fields)}`);
      },
    });

  const groups = feeds.map((feed) => openGroup(journal, feed));
  const vm = withVm ? new VmFeed(feeds) : undefined;
  const steps = (HOURS * HOUR) / STEP;
  let samples = 0;
  for (let n = 0; n < steps; n++) {
    clock.time = begin + n * STEP;
    for (const [i, feed] of feeds.entries()) {
      const { values, states } = feed.columns(n);
      groups[i].write(clock.now(), states, values);
      for (let slot = 0; slot < states.length; slot++) samples += states[slot];
      vm?.add(i, clock.time, values, states);
    }
    if (n % 20 === 19) await journal.flush();
    if (n % 120 !== 119) continue;
    await tiles.write();
    head.expire(clock.now());
  }
  await journal.flush();
  await tiles.write();
  const per = (bytes: number): string => (bytes / samples).toFixed(3);
  const perSample = async (what: string, cpu: number): Promise<void> => {
    const { blockBytes, blocks } = head.stats;
    const all = per((await used()) - empty);
    say(
      `${what}: ${all} B a sample (${blocks} blocks, ${per(blockBytes)}), CPU ${cpu.toFixed(1)} s`,
    );
  };
  say(`${samples} samples`);
  await perSample('tiles, one by one', 0);
  // The windows end with the feed: nothing more comes.
  clock.time = begin + HOURS * HOUR + 3 * HOUR;
  for (const [what, spans] of [
    ['sealed', []],
    ['merged to 8 h', [8]],
    ['merged to 24 h', [8, 24]],
  ] as const) {
    const before = process.cpuUsage();
    await keeper([...spans]).run(clock.now());
    const { user, system } = process.cpuUsage(before);
    // Buffers of the connection shrink once it is idle.
    await sleep(3500);
    await perSample(what, (user + system) / 1e6);
  }
  const bare = (await usedBare()) - emptyBare;
  say(`  less the server's statistics of commands: ${per(bare)} B a sample`);
  if (withKeys) sayKeys(port);
  const middle = begin + (HOURS / 3) * HOUR;
  for (const [what, hours] of [
    ['an hour', 1],
    ['an hour again', 1],
    ['a day', 24],
  ] as const) {
    const snapshot = head.snapshot();
    const range = { minTime: asTime(middle), maxTime: asTime(middle + hours * HOUR) };
    const before = process.cpuUsage();
    const selected = await snapshot.select([], range);
    const { user, system } = process.cpuUsage(before);
    const ms = ((user + system) / 1000).toFixed(0);
    const entries = selected.reduce((sum, { from, to }) => sum + to - from, 0);
    say(`select ${what} of ${selected.length} series: CPU ${ms} ms, ${entries} samples`);
    snapshot.release();
  }
  if (vm !== undefined)
    say(`VictoriaMetrics, storage folder: ${(await vm.measure(site)) / samples} B a sample`);
  await journal.close();
  await store[Symbol.asyncDispose]();
}

function askRedis(port: number, ...words: string[]): string {
  return execFileSync('redis-cli', ['-p', String(port), ...words]).toString();
}

/** What each kind of key takes, in the server's words, and what it takes beside them. */
function sayKeys(port: number): void {
  const ask = (...words: string[]): string => askRedis(port, ...words);
  const kinds = new Map<string, [keys: number, bytes: number]>();
  for (const key of ask('keys', '*').trim().split('\n')) {
    const kind = key.replace(/^.*\}:/, '').replace(/:\d.*/, '');
    const [keys, bytes] = kinds.get(kind) ?? [0, 0];
    kinds.set(kind, [keys + 1, bytes + Number(ask('memory', 'usage', key, 'samples', '0'))]);
  }
  for (const [kind, [keys, bytes]] of kinds) say(`  ${kind}: ${keys} keys, ${bytes} bytes`);
  const stats = ask('memory', 'stats').trim().split('\n');
  for (const name of ['clients.normal', 'lua.caches']) {
    say(`  ${name}: ${stats[stats.indexOf(name) + 1]} bytes`);
  }
}

/** The same samples for VictoriaMetrics: kept by series, sent in its JSON lines. */
class VmFeed {
  readonly #feeds: readonly Feed[];
  readonly #times: number[][];
  readonly #values: number[][][];

  constructor(feeds: readonly Feed[]) {
    this.#feeds = feeds;
    this.#times = feeds.map(() => []);
    this.#values = feeds.map((feed) => feed.labels.map(() => []));
  }

  add(feed: number, time: number, values: Float64Array, states: Uint8Array): void {
    this.#times[feed].push(time);
    for (let i = 0; i < states.length; i++) {
      this.#values[feed][i].push(states[i] === SampleState.value ? values[i] : Number.NaN);
    }
  }

  /** Bytes of the storage folder. */
  async measure(site: Site): Promise<number> {
    const port = await freePort();
    const folder = site.path('vm');
    site.program(
      ...(['vm', 'victoria-metrics', `-storageDataPath=${folder}`] as const),
      ...[`-httpListenAddr=127.0.0.1:${port}`, '-retentionPeriod=12'],
    );
    const base = `http://127.0.0.1:${port}`;
    await eventually(20_000, 'VictoriaMetrics', () => get(`${base}/health`));
    for (const [f, feed] of this.#feeds.entries()) {
      for (let from = 0; from < feed.labels.length; from += 50) {
        const lines = feed.labels.slice(from, from + 50).map((labels, i) => {
          const metric: Record<string, string> = {};
          for (let k = 0; k < labels.length; k += 2) metric[labels[k]] = labels[k + 1];
          const all = this.#values[f][from + i];
          const kept = all
            .map((value, at) => [value, this.#times[f][at]])
            .filter(([v]) => Number.isFinite(v));
          const values = kept.map(([value]) => value);
          return JSON.stringify({ metric, values, timestamps: kept.map(([, time]) => time) });
        });
        const body = `${lines.join('\n')}\n`;
        const reply = await fetch(`${base}/api/v1/import`, { method: 'POST', body });
        if (!reply.ok) throw new Error(`VictoriaMetrics: ${await reply.text()}`);
      }
    }
    await get(`${base}/internal/force_flush`);
    await sleep(2000);
    await get(`${base}/internal/force_merge`);
    await eventually(60_000, 'merges to end', async () => {
      const text = await get(`${base}/metrics`);
      const active = [...text.matchAll(/^vm_active_merges\{.*\} (\d+)$/gm)];
      if (active.some(([, count]) => count !== '0')) throw new Error('merging');
    });
    await sleep(8000);
    const rows = [
      ...(await get(`${base}/metrics`)).matchAll(/^vm_rows\{type="storage\/.*"\} (\d+)$/gm),
    ];
    say(`VictoriaMetrics holds ${rows.reduce((sum, [, count]) => sum + Number(count), 0)} samples`);
    return folderBytes(folder);
  }
}

function folderBytes(folder: string): number {
  if (!existsSync(folder)) return 0;
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    try {
      bytes += entry.isDirectory() ? folderBytes(path) : statSync(path).size;
    } catch {
      // Gone meanwhile: a part that was merged.
    }
  }
  return bytes;
}

await main();
