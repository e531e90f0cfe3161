import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingMessage, type Server, createServer, get } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import {
  CanopyError,
  type Family,
  type LastQueryable,
  METRIC_NAME,
  type MetricType,
  SampleState,
  type SelectedSeries,
  asDuration,
  labelValue,
  labelsFromObject,
  matchesAll,
} from '@canopy/model';
import { ListedLabels } from '@canopy/exposition/testing';
import { VirtualClock } from '@canopy/model/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSelector } from '../testing/rig.js';
import { negotiate, textChoice } from './negotiate.js';
import { TextFederation } from './text.js';

const NOW = 1_700_000_000_000;
const family = (name: string, type: MetricType, help = `Help of ${name}.`): Family => ({
  name,
  type,
  help,
  unit: '',
});

/** `samples`: value or 'stale', the last one second before now, the others each a second before. */
function series(
  labels: Record<string, string>,
  of: Family | undefined,
  ...samples: Array<number | 'stale'>
): SelectedSeries {
  const count = samples.length;
  return {
    labels: labelsFromObject(labels),
    family: of,
    times: Float64Array.from(samples, (_, i) => NOW - (count - i) * 1000),
    values: Float64Array.from(samples, (sample) => (sample === 'stale' ? 0 : sample)),
    states: samples.includes('stale')
      ? Uint8Array.from(samples, (s) => (s === 'stale' ? SampleState.stale : SampleState.value))
      : null,
    from: 0,
    to: count,
  };
}

const LATENCY = family('latency_seconds', 'histogram');
const RPC = family('rpc_seconds', 'summary');
let all: SelectedSeries[] = [];
let opened = 0;
/** A metric that cannot be read. */
let failing = '';
/** Numbers are places in `all`. */
const queryable: LastQueryable = {
  snapshot: () => {
    opened++;
    return {
      last: async (sets) => {
        const listed = new ListedLabels();
        const metrics = new Map<string, Uint32Array>();
        all.forEach(({ labels }, i) => {
          listed.add(labels);
          if (!sets.some((set) => matchesAll(set, labels))) return;
          const name = labelValue(labels, METRIC_NAME);
          metrics.set(name, Uint32Array.from([...(metrics.get(name) ?? []), i]));
        });
        const seriesCount = [...metrics.values()].reduce((sum, { length }) => sum + length, 0);
        return {
          ...{ metrics, seriesCount, labels: listed },
          read: async (numbers, from, count, out) => {
            if (labelValue(all[numbers[from]].labels, METRIC_NAME) === failing) {
              throw new CanopyError('storage_unavailable', 'the store went away');
            }
            for (let i = 0; i < count; i++) {
              const { values, states, times, to, family: said } = all[numbers[from + i]];
              const isValue = states === null || states[to - 1] === SampleState.value;
              out.values[i] = values[to - 1];
              out.times[i] = isValue ? times[to - 1] : NaN;
              out.families[i] = said;
            }
          },
        };
      },
      release: () => void opened--,
    };
  },
};

let http: Server;
let url = '';
/** Of the event loop; counted while a test counts them. */
let turn = 0;
/** In which turns a piece of an answer was written. */
let written: number[] = [];
const clock = new VirtualClock(NOW);
const text = new TextFederation({
  queryable,
  clock,
  lookback: asDuration(300_000),
  parseSelector,
  seriesMax: 5000,
  concurrentMax: 4,
  log: () => undefined,
});

beforeAll(async () => {
  http = createServer((req, res) => {
    const write = res.write.bind(res) as (...given: unknown[]) => boolean;
    res.write = (...given: unknown[]) => {
      written.push(turn);
      return write(...given);
    };
    void text.handle(req, res, new URL(req.url!, 'http://rig'));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/federate`;
});
afterAll(() => void http.close());

/** What Prometheus 2.42 sends. */
const PROMETHEUS_ACCEPT =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';

/** What Prometheus 3 sends. */
const PROMETHEUS_3_ACCEPT =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1';

const federate = (accept: 'text' | 'openmetrics', ...selectors: string[]) =>
  fetch(`${url}?${selectors.map((s) => `match[]=${encodeURIComponent(s)}`).join('&')}`, {
    headers: { accept: accept === 'text' ? '*/*' : PROMETHEUS_ACCEPT },
  });

describe('plain federation', () => {
  it('writes families together, with type, help and the samples’ own times', async () => {
    all = [
      series({ __name__: 'latency_seconds_sum', job: 'a', instance: 'x' }, LATENCY, 5),
      series({ __name__: 'zeta', job: 'a' }, undefined, 1, 2),
      series(
        { __name__: 'latency_seconds_bucket', job: 'a', instance: 'x', le: '+Inf' },
        LATENCY,
        3,
      ),
      series({ __name__: 'up', job: 'a', instance: 'x' }, undefined, 1),
      series(
        { __name__: 'rpc_seconds', job: 'a', instance: 'x', quantile: '0.5' },
        RPC,
        Number.NaN,
      ),
      series({ __name__: 'latency_seconds_count', job: 'a', instance: 'x' }, LATENCY, 3),
      series({ __name__: 'rpc_seconds_count', job: 'a', instance: 'x' }, RPC, 1e21),
      series({ __name__: 'gone', job: 'a', instance: 'x' }, undefined, 1, 'stale'),
      series({ __name__: 'hits_total', job: 'a', instance: 'y' }, family('hits', 'counter'), 7),
      series({ __name__: 'hits_total', job: 'a', instance: 'x' }, family('hits', 'counter'), 6),
    ];
    const response = await federate('text', '{job="a"}', '{job=~"a|b"}');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const body = await response.text();
    const at = NOW - 1000;
    expect(body).toBe(`# HELP hits_total Help of hits.
# TYPE hits_total counter
hits_total{instance="y",job="a"} 7 ${at}
hits_total{instance="x",job="a"} 6 ${at}
# HELP latency_seconds Help of latency_seconds.
# TYPE latency_seconds histogram
latency_seconds_bucket{instance="x",job="a",le="+Inf"} 3 ${at}
latency_seconds_count{instance="x",job="a"} 3 ${at}
latency_seconds_sum{instance="x",job="a"} 5 ${at}
# HELP rpc_seconds Help of rpc_seconds.
# TYPE rpc_seconds summary
rpc_seconds{instance="x",job="a",quantile="0.5"} NaN ${at}
rpc_seconds_count{instance="x",job="a"} 1e+21 ${at}
# TYPE up untyped
up{instance="x",job="a"} 1 ${at}
# TYPE zeta untyped
zeta{instance="",job="a"} 2 ${at}
`);
    checkMetrics(body);
    expect(opened).toBe(0);
  });

  it('answers OpenMetrics where it is preferred', async () => {
    const timed = (name: string, type: MetricType): Family => ({
      ...family(name, type, 'Said "so".'),
      unit: 'seconds',
    });
    const busy = timed('busy_seconds', 'counter');
    all = [
      series({ __name__: 'busy_seconds_total', instance: 'x' }, busy, 7),
      series({ __name__: 'busy_seconds_created', instance: 'x' }, busy, 1),
      series({ __name__: 'hits_total', instance: 'x' }, family('hits_total', 'counter'), 6),
      series({ __name__: 'odd', instance: 'x' }, family('odd', 'counter'), 5),
      series({ __name__: 'slow', instance: 'x' }, timed('slow', 'gauge'), 0.25),
      series({ __name__: 'build_info', instance: 'x' }, family('build', 'info'), 1),
      series({ __name__: 'same', instance: 'x' }, family('same', 'gauge'), 2),
      series({ __name__: 'same_total', instance: 'x' }, family('same_total', 'counter'), 3),
    ];
    const response = await federate('openmetrics', '{instance="x"}', '{__name__=~".+"}');
    expect(response.headers.get('content-type')).toMatch(
      /^application\/openmetrics-text; version=1\.0\.0; charset=utf-8/,
    );
    const at = (NOW - 1000) / 1000;
    expect(await response.text()).toBe(`# TYPE build info
# HELP build Help of build.
build_info{instance="x"} 1 ${at}
# TYPE busy_seconds counter
# UNIT busy_seconds seconds
# HELP busy_seconds Said \\"so\\".
busy_seconds_created{instance="x"} 1 ${at}
busy_seconds_total{instance="x"} 7 ${at}
# TYPE hits counter
# HELP hits Help of hits_total.
hits_total{instance="x"} 6 ${at}
# TYPE odd unknown
# HELP odd Help of odd.
odd{instance="x"} 5 ${at}
# TYPE same gauge
# HELP same Help of same.
same{instance="x"} 2 ${at}
# TYPE same_total unknown
same_total{instance="x"} 3 ${at}
# TYPE slow gauge
# HELP slow Said \\"so\\".
slow{instance="x"} 0.25 ${at}
# EOF
`);
    expect(await (await federate('openmetrics', 'nothing')).text()).toBe('# EOF\n');
  });

  it('escapes names for who does not ask for UTF-8', async () => {
    const asks = async (accept: string) => {
      const response = await fetch(`${url}?match[]={job="a"}`, { headers: { accept } });
      const [, escaping] = /escaping=(.*)/.exec(response.headers.get('content-type') ?? '') ?? [];
      const body = await response.text();
      return [escaping, ...body.split('\n').filter((line) => line !== '')];
    };
    const named = (__name__: string, of: Family | undefined, extra = {}) =>
      series({ __name__, job: 'a', instance: 'x', ...extra }, of, 1);
    all = [
      named('a.b', family('a.b', 'gauge', '')),
      named('a_b', family('a_b', 'gauge', ''), { 'c.d': 'e.f' }),
      named('a.c', family('a.c', 'gauge', '')),
    ];
    const tail = `1 ${NOW - 1000}`;
    // Two names become one: its family is still one.
    const plain = await asks('text/plain');
    expect(plain).toEqual([
      'underscores',
      '# TYPE a_b gauge',
      `a_b{instance="x",job="a"} ${tail}`,
      `a_b{c_d="e.f",instance="x",job="a"} ${tail}`,
      '# TYPE a_c gauge',
      `a_c{instance="x",job="a"} ${tail}`,
    ]);
    checkMetrics(`${plain.slice(1).join('\n')}\n`);
    expect(await asks('text/plain;escaping=dots')).toEqual([
      'dots',
      '# TYPE a_b gauge',
      `a_b{c_dot_d="e.f",instance="x",job="a"} ${tail}`,
      '# TYPE a_dot_b gauge',
      `a_dot_b{instance="x",job="a"} ${tail}`,
      '# TYPE a_dot_c gauge',
      `a_dot_c{instance="x",job="a"} ${tail}`,
    ]);
    expect(await asks('text/plain;escaping=values')).toContain(
      `U__a_2e_b{instance="x",job="a"} ${tail}`,
    );
    expect(await asks('text/plain;escaping=allow-utf-8')).toContain(
      `{"a.b",instance="x",job="a"} ${tail}`,
    );
    const open = await asks('application/openmetrics-text;escaping=underscores');
    expect(open.slice(0, 2)).toEqual(['underscores', '# TYPE a_b gauge']);
  });

  it('keeps the lines of a histogram together, bounds ascending', async () => {
    const bucket = (instance: string, le: string) =>
      series({ __name__: 'latency_seconds_bucket', instance, le }, LATENCY, 1);
    all = [
      ...['+Inf', '10', '5', '-1', '1e+01'].flatMap((le) => [bucket('a', le), bucket('b', le)]),
      series({ __name__: 'latency_seconds_sum', instance: 'a' }, LATENCY, 1),
      series({ __name__: 'latency_seconds_count', instance: 'b' }, LATENCY, 1),
    ];
    for (const accept of ['text', 'openmetrics'] as const) {
      const body = await (await federate(accept, '{instance!=""}')).text();
      const lines = body.split('\n').filter((line) => line.startsWith('latency'));
      expect(lines.map((line) => /[{,]le="([^"]*)"/.exec(line)?.[1] ?? '').join(' ')).toBe(
        '-1 5 10 1e+01 +Inf  -1 5 10 1e+01 +Inf ',
      );
      const instances = lines.map((line) => /instance="(.)"/.exec(line)![1]);
      expect(instances.join('')).toBe('aaaaaabbbbbb');
    }
  });

  it('lets the most common type win, and counts the conflict', async () => {
    const before = text.totals.typeConflicts;
    all = [
      series({ __name__: 'x', instance: '1' }, family('x', 'gauge'), 1),
      series({ __name__: 'x', instance: '2' }, family('x', 'counter'), 2),
      series({ __name__: 'x', instance: '3' }, family('x', 'gauge'), 3),
      series({ __name__: 'x_sum', instance: '3' }, family('x', 'summary'), 3),
      series({ __name__: 'y', instance: '1' }, family('y', 'gauge', 'one'), 1),
      series({ __name__: 'y', instance: '2' }, family('y', 'gauge', 'other'), 1),
    ];
    const body = await (await federate('text', '{instance!=""}')).text();
    expect(body.split('\n').filter((line) => line.startsWith('# TYPE'))).toEqual([
      '# TYPE x gauge',
      '# TYPE x_sum untyped',
      '# TYPE y gauge',
    ]);
    expect(text.totals.typeConflicts - before).toBe(1);
    checkMetrics(body);
  });

  it('answers nothing where nothing matches or nothing is asked for', async () => {
    for (const response of [await federate('text', 'nothing'), await federate('text')]) {
      expect([response.status, await response.text()]).toEqual([200, '']);
    }
  });

  it('fails before the body', async () => {
    all = Array.from({ length: 5001 }, (_, i) =>
      series({ __name__: 'm', i: String(i) }, undefined, 1),
    );
    const response = await federate('text', 'm');
    expect([response.status, await response.text()]).toEqual([
      413,
      'match[] selects more than 5000 series\n',
    ]);
    expect((await federate('text', '{a=~"("}')).status).toBe(400);
    expect(opened).toBe(0);
  });

  it('streams a large answer, gzipped where accepted', async () => {
    all = Array.from({ length: 5000 }, (_, i) =>
      series({ __name__: 'm', i: String(i), filler: 'f'.repeat(200) }, undefined, i),
    );
    const plain = await (
      await fetch(`${url}?match[]=m`, { headers: { 'accept-encoding': 'identity' } })
    ).text();
    const zipped = await new Promise<Buffer>((resolve, reject) => {
      const headers = { 'accept-encoding': 'gzip' };
      get(`${url}?match[]=m`, { headers }, (res) => {
        expect(res.headers['content-encoding']).toBe('gzip');
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => resolve(Buffer.concat(chunks)));
      }).on('error', reject);
    });
    expect(gunzipSync(zipped).toString()).toBe(plain);
    expect(plain.split('\n').length).toBe(5002);
  });

  it('breaks the connection where it fails in the middle', async () => {
    const filler = 'f'.repeat(10_000);
    const good = Array.from({ length: 100 }, (_, i) =>
      series({ __name__: 'a', i: String(i), filler }, undefined, i),
    );
    all = [...good, series({ __name__: 'bad' }, undefined, 1)];
    failing = 'bad';
    const query = `?match[]=${encodeURIComponent('{__name__=~"a|bad"}')}`;
    for (const coding of ['identity', 'gzip']) {
      const response = await fetch(`${url}${query}`, { headers: { 'accept-encoding': coding } });
      expect(response.status).toBe(200);
      await expect(response.text(), coding).rejects.toThrow();
    }
    // To HTTP/1.0 the end of the connection would be the end of the body.
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`GET /federate${query} HTTP/1.0\r\nAccept: */*\r\n\r\n`);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString('latin1')).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
    await expect(once(socket.resume(), 'end')).rejects.toMatchObject({ code: 'ECONNRESET' });
    // Before the first byte there is a status to say it with.
    const response = await federate('text', 'bad');
    expect([response.status, await response.text()]).toEqual([503, 'the store went away\n']);
    expect(opened).toBe(0);
    failing = '';
  });

  it('keeps half of its answers for other addresses, and makes them in turns', async () => {
    const filler = 'f'.repeat(10_000);
    all = Array.from({ length: 2000 }, (_, i) =>
      series({ __name__: 'm', i: String(i), filler }, undefined, i),
    );
    const ask = async (localAddress: string): Promise<IncomingMessage> => {
      const asked = get(`${url}?match[]=m`, { agent: false, localAddress });
      return ((await once(asked, 'response')) as [IncomingMessage])[0];
    };
    let isCounted = true;
    const count = (): void => void (turn++, isCounted && setImmediate(count));
    count();
    written = [];
    const slow = [await ask('127.0.0.1'), await ask('127.0.0.1')];
    const third = await ask('127.0.0.1');
    const [said] = (await once(third, 'data')) as [Buffer];
    expect([third.statusCode, String(said)]).toEqual([
      429,
      'too many requests at once from one address\n',
    ]);
    const other = await ask('127.0.0.2');
    expect([...slow, other].map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
    const sizes = [...slow, other].map(async (response) => {
      let size = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) size += chunk.length;
      return size;
    });
    const [size] = await Promise.all(sizes);
    expect(await Promise.all(sizes)).toEqual([size, size, size]);
    isCounted = false;
    const times = new Map<number, number>();
    for (const at of written) times.set(at, (times.get(at) ?? 0) + 1);
    expect(written.length).toBeGreaterThan(3 * 250);
    // One of them is where it is its turn; others may begin, or end, in the same one.
    expect(Math.max(...times.values())).toBeLessThanOrEqual(3);
    expect((await federate('text', 'none')).status).toBe(200);
  });

  it('gives up a client that takes nothing', async () => {
    // More than sockets hold.
    const filler = 'f'.repeat(10_000);
    all = Array.from({ length: 5000 }, (_, i) =>
      series({ __name__: 'm', i: String(i), filler }, undefined, i),
    );
    const before = text.totals.refused;
    const response = await fetch(`${url}?match[]=m`, {
      headers: { 'accept-encoding': 'identity' },
    });
    expect([response.status, opened]).toEqual([200, 1]);
    while (opened > 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      await clock.advance(asDuration(30_000));
    }
    expect(text.totals.refused - before).toBe(1);
    await expect(response.text()).rejects.toThrow();
    clock.stepWallClock(NOW - clock.now());
  });

  it('stops when the client goes away', async () => {
    const before = text.totals.refused;
    const gone = new AbortController();
    const response = await fetch(`${url}?match[]=m`, {
      signal: gone.signal,
      headers: { 'accept-encoding': 'identity' },
    });
    expect(response.status).toBe(200);
    gone.abort();
    await response.text().catch(() => undefined);
    all = [];
    // Its place is free again.
    for (let i = 0; i < 3; i++) expect((await federate('text', 'x')).status).toBe(200);
    expect(text.totals.refused - before).toBeLessThanOrEqual(1);
  });
});

it('chooses frames where they are accepted', () => {
  const check = (accept: string | undefined, wanted: string) =>
    expect(negotiate({ headers: { accept } })).toBe(wanted);
  check(undefined, 'text');
  check('*/*', 'text');
  check('text/plain;version=0.0.4', 'text');
  check('application/vnd.canopy.frames;version=1,text/plain;q=0.5', 'frames');
  check('application/vnd.canopy.frames;version=99', 'none'); // an empty text would look like an empty leaf
  check(
    'application/vnd.canopy.frames;version=99,application/vnd.canopy.frames;version=1',
    'frames',
  );
  check('application/vnd.canopy.frames;version=99,*/*;q=0.1', 'text');
  check('text/plain, application/vnd.canopy.frames; version=1;q=0.9', 'frames');
  check('application/vnd.canopy.frames', 'frames'); // whatever we write
  check('application/vnd.canopy.frames;version=2,text/plain', 'text'); // not known here
  check('application/vnd.canopy.frames;version=1;q=0', 'text');
});

it('chooses the text that is preferred', () => {
  const check = (accept: string | undefined, wanted: string) =>
    expect(textChoice({ headers: { accept } }).format).toBe(wanted);
  check(undefined, 'text');
  check('*/*', 'text');
  check(PROMETHEUS_ACCEPT, 'openmetrics');
  check('application/openmetrics-text', 'openmetrics'); // any version
  check('application/openmetrics-text;version=2.0.0', 'text'); // not known here
  check('application/openmetrics-text;version=1.0.0;q=0', 'text');
  check('application/openmetrics-text;q=0.5,text/plain;version=0.0.4', 'text');
  check('text/plain;q=0.5, Application/OpenMetrics-Text; version=0.0.1; q=0.6', 'openmetrics');
  check('text/html,*/*;q=0.1', 'text'); // a browser
});

it('writes names as they are wanted', () => {
  const check = (accept: string | undefined, wanted: string) =>
    expect(textChoice({ headers: { accept } }).escaping).toBe(wanted);
  check(undefined, 'underscores'); // who does not ask for UTF-8 may not read it
  check('*/*', 'underscores');
  check(PROMETHEUS_ACCEPT, 'underscores');
  check(PROMETHEUS_3_ACCEPT, 'allow-utf-8');
  check('text/plain;version=0.0.4', 'underscores');
  check(
    'text/plain;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.5',
    'allow-utf-8',
  );
  check('application/openmetrics-text; Escaping=dots', 'dots');
  check('text/plain;escaping=values', 'values');
  check('text/plain;escaping=runes', 'underscores'); // not known
  check('text/plain;escaping=dots;q=0.1,text/plain;escaping=values', 'values');
  check('application/json;escaping=values,text/plain;q=0.5', 'values'); // as expfmt: also of what is not to be had
  check('application/json;escaping=values;q=0,text/plain', 'underscores');
});

/** promtool reads it without a parse error; what it thinks of names (3) is not ours. */
function checkMetrics(body: string): void {
  if ((process.env.CANOPY_TEST_WITHOUT ?? '').includes('prometheus')) {
    console.log('left out: promtool');
    return;
  }
  try {
    execFileSync('promtool', ['check', 'metrics'], { input: body, stdio: 'pipe' });
  } catch (error) {
    const { status, stderr } = error as { status: number; stderr: Buffer };
    expect([status, stderr.toString()]).toEqual([3, expect.not.stringContaining('error while')]);
  }
}
