import { createHash } from 'node:crypto';
import * as http from 'node:http';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { type Clock, type Gate, asDuration, asTime } from '@canopy/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FetchRequest, type Fetcher, HttpFetcher } from '../fetch.js';
import { SocketFetcher } from './socket-fetcher.js';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};
const open: Gate = (task) => task();
const options = {
  clock,
  userAgent: 'Canopy/test',
  bodyBytesMax: 1 << 20,
  idleTimeout: asDuration(5000),
};
const oracle = new HttpFetcher(options);
const counted = { fallbacks: 0 };
const fetcher = new SocketFetcher({
  ...options,
  fallback: {
    fetch: (request, gateFor, take) => {
      counted.fallbacks++;
      return oracle.fetch(request, gateFor, take);
    },
  },
});

const BODY = 'up 1\n';
const short = { timeout: asDuration(150) };
const LARGE = 'x'.repeat(900_000);
const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK';

/** What is written for a path; `|` is a pause between two writes. */
const raw: Record<string, string> = {
  '/length': `${head(OK, 'content-length: 5', 'Content-Type:text/plain')}${BODY}`,
  '/empty': head(OK, 'content-length: 0'),
  '/pieces': `HTTP/1.|1 200 OK\r|\ncontent-length: 5\r\n\r|\nup| 1\n`,
  '/chunks': `${head(OK, 'transfer-encoding: chunked')}2\r\nup\r\n3;a=b\r\n 1\n\r\n0\r\n\r\n`,
  '/chunk-pieces': `${head(OK, 'transfer-encoding: Chunked')}|2|\r|\nu|p\r|\n03\r\n 1\n\r\n|0\r\nx: y\r\n\r|\n`,
  '/close': `${head(OK, 'content-length: 5', 'connection: close')}${BODY}`,
  '/no-reason': `${head('HTTP/1.1 200', 'content-length: 5')}${BODY}`,
  '/404': head('HTTP/1.1 404 Not Found', 'content-length: 0'),
  '/999': head('HTTP/1.1 999 My Own', 'content-length: 0'),
  '/503-silent': head('HTTP/1.1 503', 'content-length: 0'),
  '/304': head('HTTP/1.1 304 Not Modified'),
};
/** Answers that only the fallback takes, or says what is wrong with. */
const odd: Record<string, string> = {
  '/until-closed': `${head(OK, 'connection: close')}${BODY}`,
  '/http-1.0': `${head('HTTP/1.0 200 OK', 'content-length: 5', 'connection: close')}${BODY}`,
  '/interim': `${head('HTTP/1.1 103 Early Hints')}${raw['/length']}`,
  '/both': `${head(OK, 'content-length: 5', 'transfer-encoding: chunked')}5\r\nup 1\n\r\n0\r\n\r\n`,
  '/two-lengths': `${head(OK, 'content-length: 5', 'content-length: 6')}${BODY}`,
  '/signed-length': `${head(OK, 'content-length: +5')}${BODY}`,
  '/gzip-chunked': head(OK, 'transfer-encoding: gzip, chunked'),
  '/folded': `${head(OK, 'x: a\r\n b', 'content-length: 5', 'connection: close')}${BODY}`,
  '/space-name': `${head(OK, 'content-length : 5')}${BODY}`,
  '/garbage': 'SSH-2.0-OpenSSH\r\n\r\n',
  '/huge-head': head(OK, `x: ${'y'.repeat(20_000)}`, 'content-length: 0'),
};

let requests = 0;
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (request) => {
    requests++;
    void answer(socket, String(request).split(' ')[1]);
  });
});
async function answer(socket: Socket, path: string): Promise<void> {
  const text = raw[path] ?? odd[path] ?? '';
  for (const part of text.split('|')) {
    if (socket.destroyed) return;
    socket.write(part, 'latin1');
    await new Promise((done) => setTimeout(done, 3));
  }
  if (text.includes('connection: close') || text.startsWith('SSH')) socket.end();
}

const cuts = new Map<string, number>();
const routes: Record<string, (res: http.ServerResponse) => void> = {
  '/good': (res) => res.setHeader('content-type', 'text/plain').end(BODY),
  '/large': (res) => res.end(LARGE),
  '/large-chunked': (res) => void [res.write(LARGE), res.end()],
  '/gzip': (res) => res.setHeader('content-encoding', 'GZIP').end(gzipSync(BODY)),
  '/gzip-large': (res) => res.setHeader('content-encoding', 'gzip').end(gzipSync(LARGE)),
  '/gzip-members': (res) =>
    res
      .setHeader('content-encoding', 'gzip')
      .end(Buffer.concat([gzipSync(BODY), gzipSync('x 2\n')])),
  '/gzip-and-more': (res) =>
    res.setHeader('content-encoding', 'gzip').end(Buffer.concat([gzipSync(BODY), Buffer.alloc(9)])),
  '/gzip-wide': (res) =>
    res.setHeader('content-encoding', 'gzip').end(gzipSync(`${'1234'.repeat(200_000)}`)),
  '/br': (res) => res.setHeader('content-encoding', 'br').end(brotliCompressSync(BODY)),
  '/wrong-gzip': (res) => res.setHeader('content-encoding', 'gzip').end('this is no gzip'),
  '/half-gzip': (res) =>
    res.setHeader('content-encoding', 'gzip').end(gzipSync('x'.repeat(9999)).subarray(0, 20)),
  '/bomb': (res) => res.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(8 << 20))),
  '/zstd': (res) => res.setHeader('content-encoding', 'zstd').end('x'),
  '/500': (res) => void [(res.statusCode = 500), res.end('x'.repeat(100_000))],
  '/announced': (res) => res.setHeader('content-length', 100 << 20).end(),
  '/endless': (res) => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const more = (): void => {
      while (!res.destroyed && res.write(chunk)) {}
    };
    res.on('drain', more);
    more();
  },
  '/slow-headers': () => {},
  '/slow-body': (res) => void res.write('up'),
  '/hang-up': (res) => res.destroy(),
  // The answer is sent when it ends; meanwhile the timers of whoever asks become due.
  '/in-time': (res) => {
    res.end(BODY, () => {
      const end = performance.now() + 2 * short.timeout;
      while (performance.now() < end);
    });
  },
  '/cut': (res) => {
    res.setHeader('content-length', 100).write('up');
    setTimeout(() => res.destroy(), 20);
  },
  '/cut-chunk': (res) => {
    res.write('up');
    setTimeout(() => res.destroy(), 20);
  },
  '/loop': (res) => res.writeHead(302, { location: '/loop' }).end(),
  '/moved': (res) => res.writeHead(301, { location: '/good' }).end(),
};
let seen: http.IncomingMessage | undefined;
const web = http.createServer((req, res) => {
  seen = req;
  cuts.set(req.url ?? '', (cuts.get(req.url ?? '') ?? 0) + 1);
  routes[req.url ?? '']?.(res);
});
const base = (of: { address(): unknown }): string =>
  `http://127.0.0.1:${(of.address() as AddressInfo).port}`;

beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  await new Promise<void>((done) => web.listen(0, '127.0.0.1', done));
});
afterAll(() => {
  fetcher[Symbol.dispose]();
  oracle[Symbol.dispose]();
  web.closeAllConnections();
  web.close();
  server.close();
});

async function run(
  by: Fetcher,
  url: string,
  part: Partial<FetchRequest> = {},
  gate = open,
): Promise<string> {
  const request: FetchRequest = {
    url,
    headers: {},
    auth: undefined,
    timeout: asDuration(2000),
    bodyBytesMax: 0,
    followRedirects: true,
    signal: new AbortController().signal,
    ...part,
  };
  try {
    return await by.fetch(
      request,
      (type) => (expect(type).toBeTypeOf('string'), gate),
      async ({ body, contentType, wireBytes }) =>
        `${contentType} ${wireBytes} ${shown(Buffer.from(body).toString())}`,
    );
  } catch (error) {
    return `${(error as { code?: string }).code} ${(error as Error).message}`;
  }
}

/** Long ones by their hash, so that a failure can be read. */
function shown(body: string): string {
  return body.length < 100 ? body : createHash('md5').update(body).digest('hex');
}

/** The same as Node's client, and whether it was asked. Twice: over a fresh and a kept connection. */
async function check(url: string, fallback: boolean, part: Partial<FetchRequest> = {}) {
  const expected = await run(oracle, url, part);
  for (let i = 0; i < 2; i++) {
    const before = counted.fallbacks;
    expect(await run(fetcher, url, part), url).toBe(expected);
    expect(counted.fallbacks > before, `${url} fallback`).toBe(fallback);
  }
}

test('what came in time is taken, however late this process looks', async () => {
  for (const by of [fetcher, oracle]) {
    expect(await run(by, `${base(web)}/in-time`, short)).toBe(' 5 up 1\n');
  }
});

test.each(Object.keys(raw))('%s', async (path) => {
  await check(base(server) + path, path === '/304');
});

test.each(Object.keys(odd))('%s is left to the fallback', async (path) => {
  await check(base(server) + path, true, { timeout: asDuration(400) });
});

test('as Node reads and refuses', async () => {
  const plain = ['good', 'large', 'large-chunked', 'gzip', 'gzip-large', 'br', 'wrong-gzip'];
  plain.push(
    'gzip-members',
    'gzip-and-more',
    'gzip-wide',
    'half-gzip',
    'gzip',
    'bomb',
    'zstd',
    '500',
    'announced',
    'endless',
    'hang-up',
    'cut',
  );
  for (const path of [...plain, 'cut-chunk']) await check(`${base(web)}/${path}`, false);
  for (const path of ['slow-headers', 'slow-body']) {
    await check(`${base(web)}/${path}`, false, short);
  }
  for (const path of ['loop', 'moved']) await check(`${base(web)}/${path}`, true);
  await check(`${base(web)}/moved?`, false, { followRedirects: false });
  await check('http://127.0.0.1:1/', false);
  for (const bodyBytesMax of [4, 5]) {
    for (const path of ['good', 'gzip', 'large']) {
      await check(`${base(web)}/${path}`, false, { bodyBytesMax });
    }
  }
});

test('chunks that are none', async () => {
  const bad = ['x\r\n', '\r\n', '5;\n', '5\r\nup 1\nX', '-5\r\n', '5 \r\n', '00000000000005\r\n'];
  bad.push('0x5\r\n', '5\nup 1\n\r\n');
  for (const [i, text] of bad.entries()) {
    raw[`/bad-${i}`] = head(OK, 'transfer-encoding: chunked') + text;
    const got = await run(fetcher, `${base(server)}/bad-${i}`, short);
    expect(got, text).toBe('format malformed chunked encoding');
  }
});

test('what comes after an answer is not taken for the next one', async () => {
  raw['/smuggled'] = raw['/length'] + raw['/length'].replace('up 1', 'up 9');
  for (let i = 0; i < 3; i++) {
    expect(await run(fetcher, `${base(server)}/smuggled`)).toBe(`text/plain 5 ${BODY}`);
    expect(await run(fetcher, `${base(server)}/length`)).toBe(`text/plain 5 ${BODY}`);
  }
});

test('headers and credentials', async () => {
  const auth = { type: 'basic', username: 'u', password: 'p' } as const;
  await check(`${base(web)}/good`, false, { headers: { accept: 'text/plain' }, auth });
  expect(seen?.headers).toMatchObject({
    accept: 'text/plain',
    'user-agent': 'Canopy/test',
    'x-prometheus-scrape-timeout-seconds': '2',
    authorization: 'Basic dTpw',
  });
  await check(`${base(web)}/good`, true, { headers: { accept: 'a\r\nb: c' } });
  await check(`${base(web)}/good`, true, { client: { followRedirects: true } });
});

test('an odd target is asked plainly again later', async () => {
  odd['/changes'] = odd['/http-1.0'];
  const before = requests;
  for (let i = 0; i < 60; i++) await run(fetcher, `${base(server)}/changes`, short);
  // Twice at first, and when it was tried again.
  expect(requests - before).toBe(62);
});

test('a place at the gate is taken when a body is on its way, and time runs while waiting', async () => {
  let asked = 0;
  const closed: Gate = () => {
    asked++;
    return new Promise(() => {});
  };
  const late = 'timeout Get "http';
  expect(await run(fetcher, `${base(web)}/slow-headers`, short, closed)).toContain(late);
  expect(await run(fetcher, `${base(web)}/slow-body`, short, closed)).toContain(late);
  expect(asked).toBe(0);
  expect(await run(fetcher, `${base(web)}/large`, short, closed)).toContain(late);
  expect(asked).toBe(1);
});

test('no place at the gate is kept by a body that does not come', async () => {
  let running = 0;
  const counting: Gate = (task) => {
    running++;
    return task().finally(() => running--);
  };
  for (const path of ['slow-body', 'cut', 'cut-chunk', 'endless', 'bomb']) {
    await run(fetcher, `${base(web)}/${path}`, short, counting);
    expect(running, path).toBe(0);
  }
});

test('bodies of many targets at once, late at the gate, do not mix', async () => {
  for (let i = 0; i < 20; i++) routes[`/n${i}`] = (res) => res.end(`${i} `.repeat(30_000));
  let free = 2;
  const waiting: Array<() => void> = [];
  const two: Gate = async (task) => {
    if (free === 0) await new Promise<void>((done) => waiting.push(done));
    else free--;
    try {
      await new Promise((done) => setTimeout(done, 2));
      return await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
  const all = Array.from({ length: 20 }, (_, i) => run(fetcher, `${base(web)}/n${i}`, {}, two));
  for (const [i, text] of (await Promise.all(all)).entries()) {
    const body = `${i} `.repeat(30_000);
    expect(text).toBe(` ${body.length} ${shown(body)}`);
  }
});

test('cut off while it waits at the gate', async () => {
  const late: Gate = async (task) => {
    await new Promise((done) => setTimeout(done, 100));
    return task();
  };
  routes['/cut-late'] = (res) => {
    res.setHeader('content-length', 20_000).write('u'.repeat(8000));
    setTimeout(() => res.destroy(), 20);
  };
  for (const path of ['cut', 'cut-late']) {
    const got = await run(fetcher, `${base(web)}/${path}`, {}, late);
    expect(got, path).toBe('format unexpected EOF');
  }
});

test('a kept connection that the other side has closed is no failure', async () => {
  const closing = http.createServer((_req, res) => res.end(BODY));
  closing.keepAliveTimeout = 1;
  await new Promise<void>((done) => closing.listen(0, '127.0.0.1', done));
  for (let i = 0; i < 5; i++) {
    expect(await run(fetcher, base(closing))).toBe(` 5 ${BODY}`);
    closing.closeIdleConnections();
  }
  closing.close();
});

test('connections are kept, and given up when they are not used', async () => {
  let sockets = 0;
  const counting = http.createServer((_req, res) => res.end(BODY));
  counting.on('connection', () => sockets++);
  await new Promise<void>((done) => counting.listen(0, '127.0.0.1', done));
  const short = new SocketFetcher({ ...options, idleTimeout: asDuration(60), fallback: oracle });
  for (let i = 0; i < 3; i++) await run(short, base(counting));
  expect(sockets).toBe(1);
  await new Promise((done) => setTimeout(done, 200));
  const open = await new Promise((done) => counting.getConnections((_error, n) => done(n)));
  expect(open).toBe(0);
  await run(short, base(counting));
  expect(sockets).toBe(2);
  short[Symbol.dispose]();
  counting.closeAllConnections();
  counting.close();
});

test('aborting ends it', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const result = run(fetcher, `${base(web)}/slow-body`, { signal });
  setTimeout(() => controller.abort(new Error('stopped')), 30);
  expect(await result).toBe(`unavailable Get "${base(web)}/slow-body": stopped`);
  expect(await run(fetcher, `${base(web)}/good`, { signal })).toContain('stopped');
});
