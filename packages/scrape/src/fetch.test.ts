import * as http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { gzipSync, brotliCompressSync } from 'node:zlib';
import { type Clock, type Gate, asDuration, asTime } from '@canopy/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FetchRequest, HttpFetcher } from './fetch.js';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};
const open: Gate = (task) => task();
const fetcher = new HttpFetcher({
  clock,
  userAgent: 'Canopy/test',
  bodyBytesMax: 1 << 20,
  idleTimeout: asDuration(5000),
});

const BODY = 'up 1\n';
let seen: http.IncomingMessage | undefined;
let sockets = 0;

const routes: Record<string, (res: http.ServerResponse) => void> = {
  '/good': (res) => res.setHeader('content-type', 'text/plain').end(BODY),
  '/gzip': (res) => res.setHeader('content-encoding', 'gzip').end(gzipSync(BODY)),
  '/br': (res) => res.setHeader('content-encoding', 'br').end(brotliCompressSync(BODY)),
  '/wrong-gzip': (res) => res.setHeader('content-encoding', 'gzip').end('this is no gzip'),
  '/half-gzip': (res) =>
    res.setHeader('content-encoding', 'gzip').end(gzipSync('x'.repeat(9999)).subarray(0, 20)),
  '/bomb': (res) => res.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(8 << 20))),
  '/zstd': (res) => res.setHeader('content-encoding', 'zstd').end('x'),
  '/500': (res) => {
    res.statusCode = 500;
    res.end('x'.repeat(100_000));
  },
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
  '/cut': (res) => {
    res.setHeader('content-length', 100);
    res.write('up');
    setTimeout(() => res.destroy(), 20);
  },
  '/loop': (res) => res.writeHead(302, { location: '/loop' }).end(),
  '/moved': (res) => res.writeHead(301, { location: '/good' }).end(),
  '/elsewhere': (res) => res.writeHead(307, { location: 'ftp://x/' }).end(),
};

const server = http.createServer((req, res) => {
  seen = req;
  routes[req.url ?? '']?.(res);
});
server.on('connection', () => sockets++);
const garbage = createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n'));
let base = '';
let garbageUrl = '';

beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  await new Promise<void>((done) => garbage.listen(0, '127.0.0.1', done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  garbageUrl = `http://127.0.0.1:${(garbage.address() as AddressInfo).port}/`;
});
afterAll(() => {
  fetcher[Symbol.dispose]();
  server.closeAllConnections();
  server.close();
  garbage.close();
});

function run(url: string, options: Partial<FetchRequest> = {}, gate = open): Promise<string> {
  const request: FetchRequest = {
    url,
    headers: {},
    auth: undefined,
    timeout: asDuration(2000),
    bodyBytesMax: 0,
    followRedirects: true,
    signal: new AbortController().signal,
    ...options,
  };
  return fetcher.fetch(
    request,
    () => gate,
    async ({ body }) => Buffer.from(body).toString(),
  );
}

async function check(
  path: string,
  expected: string | RegExp,
  options: Partial<FetchRequest> = {},
): Promise<void> {
  const url = path.startsWith('http') ? path : base + path;
  if (typeof expected === 'string') expect(await run(url, options), path).toBe(expected);
  else await expect(run(url, options), path).rejects.toThrow(expected);
}

const short = { timeout: asDuration(150) };

test('bodies', async () => {
  await check('/good', BODY);
  await check('/gzip', BODY);
  await check('/br', BODY);
  await check('/moved', BODY);
});

test('what is wrong is said', async () => {
  await check('/500', /^server returned HTTP status 500 Internal Server Error$/);
  await check('/wrong-gzip', /^body is not valid gzip: incorrect header check$/);
  await check('/half-gzip', /^body is not valid gzip: unexpected end of file$/);
  await check('/zstd', /^unsupported Content-Encoding "zstd"$/);
  await check('/slow-headers', /^Get "http:.*": context deadline exceeded$/, short);
  await check('/slow-body', /^Get "http:.*": context deadline exceeded$/, short);
  await check('/cut', /^unexpected EOF$/);
  await check('/loop', /: stopped after 10 redirects$/);
  await check('/moved', /HTTP status 301 Moved Permanently/, { followRedirects: false });
  await check('/elsewhere', /unsupported protocol scheme "ftp"$/);
  await check(
    'http://127.0.0.1:1/',
    /^Get "http:.*": dial tcp 127.0.0.1:1: connect: connection refused$/,
  );
  await check(garbageUrl, /malformed HTTP response/);
});

test('no body grows over its limit', async () => {
  await check('/bomb', /^body size limit exceeded \(limit: 1048576 bytes\)$/);
  await check('/announced', /^body size limit exceeded/);
  await check('/endless', /^body size limit exceeded/);
  await check('/good', /^body size limit exceeded \(limit: 4 bytes\)$/, { bodyBytesMax: 4 });
  await check('/gzip', /^body size limit exceeded \(limit: 4 bytes\)$/, { bodyBytesMax: 4 });
  await check('/good', BODY, { bodyBytesMax: 5 });
});

test('headers and credentials', async () => {
  await check('/good', BODY, { headers: { accept: 'text/plain' }, timeout: asDuration(1500) });
  expect(seen?.headers).toMatchObject({
    accept: 'text/plain',
    'user-agent': 'Canopy/test',
    'x-prometheus-scrape-timeout-seconds': '1.5',
  });
  await check('/good', BODY, { auth: { type: 'basic', username: 'u', password: 'p' } });
  expect(seen?.headers.authorization).toBe('Basic dTpw');
  await check('/good', BODY, { auth: { type: 'header', scheme: 'Bearer', credentials: 't' } });
  expect(seen?.headers.authorization).toBe('Bearer t');
});

test('a connection is kept', async () => {
  await check('/good', BODY);
  const before = sockets;
  for (let i = 0; i < 3; i++) await check('/good', BODY);
  expect(sockets).toBe(before);
});

test('a place at the gate is taken when the body is there, and time runs while waiting', async () => {
  let asked = 0;
  const closed: Gate = () => {
    asked++;
    return new Promise(() => {});
  };
  await expect(run(`${base}/slow-headers`, short, closed)).rejects.toThrow('deadline');
  await expect(run(`${base}/slow-body`, short, closed)).rejects.toThrow('deadline');
  expect(asked).toBe(0);
  await expect(run(`${base}/good`, short, closed)).rejects.toThrow('deadline');
  expect(asked).toBe(1);
});

test('cut off while it waits at the gate', async () => {
  const late: Gate = async (task) => {
    await new Promise((done) => setTimeout(done, 100));
    return task();
  };
  await expect(run(`${base}/cut`, {}, late)).rejects.toThrow(/^unexpected EOF$/);
});

test('a kept connection that the other side has closed is no failure', async () => {
  const closing = http.createServer((_req, res) => res.end(BODY));
  closing.keepAliveTimeout = 1;
  await new Promise<void>((done) => closing.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(closing.address() as AddressInfo).port}/`;
  for (let i = 0; i < 5; i++) {
    expect(await run(url)).toBe(BODY);
    closing.closeIdleConnections();
  }
  closing.close();
});

test('aborting ends it', async () => {
  const controller = new AbortController();
  const result = run(`${base}/slow-body`, { signal: controller.signal });
  setTimeout(() => controller.abort(new Error('stopped')), 30);
  await expect(result).rejects.toThrow('stopped');
});
