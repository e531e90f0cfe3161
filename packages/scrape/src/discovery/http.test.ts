import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Clock, asDuration, asTime } from '@canopy/model';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpSdConfig, TargetGroup } from '../config.js';
import { HttpFetcher } from '../fetch.js';
import type { DiscoveryRun } from './discovery.js';
import { HTTP_SD_BYTES_MAX, httpDiscovery } from './http.js';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};
const fetcher = new HttpFetcher({
  clock,
  userAgent: 'Canopy/test',
  bodyBytesMax: 1 << 28,
  idleTimeout: asDuration(1000),
});

/** A request may take so long, too. */
const REFRESH = asDuration(400);
let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
let headers: IncomingMessage['headers'] = {};
const server = createServer((request, response) => {
  headers = request.headers;
  answer(request, response);
});
let url = '';
let run: DiscoveryRun | undefined;
let groups: readonly TargetGroup[] | undefined;
let spoken = 0;
let reports: string[] = [];

beforeEach(async () => {
  groups = undefined;
  spoken = 0;
  reports = [];
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/targets`;
});
afterEach(async () => {
  run?.stop();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

function start(config: Partial<HttpSdConfig> = {}): void {
  const whole = { url, refreshInterval: REFRESH, followRedirects: true, ...config };
  run = httpDiscovery(whole, clock, fetcher, (message, fields) =>
    reports.push(`${message}: ${fields.error}`),
  ).start((found) => {
    groups = found;
    spoken++;
  });
}

const json =
  (body: string, type = 'application/json', status = 200) =>
  (_: IncomingMessage, response: ServerResponse): void =>
    void response.writeHead(status, { 'content-type': type }).end(body);
const list = (...targets: string[]): string => JSON.stringify([{ targets, labels: { a: 'b' } }]);
const until = (read: () => unknown, expected: unknown): Promise<void> =>
  expect.poll(read, { timeout: 20_000, interval: 5 }).toEqual(expected);

test('a list, asked for anew; what is the same is not told again', async () => {
  answer = json(list('x:1', 'y:1'));
  start({ auth: { type: 'basic', username: 'u', password: 'p' } });
  await until(
    () => groups,
    [{ targets: ['x:1', 'y:1'], labels: { a: 'b', __meta_url: url }, source: `${url}:0` }],
  );
  expect(headers).toMatchObject({
    accept: 'application/json',
    'x-prometheus-refresh-interval-seconds': '0.4',
    'user-agent': 'Canopy/test',
    authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
  });
  await new Promise((done) => setTimeout(done, 250));
  expect(spoken).toBe(1);
  answer = json(list('z:1'), 'Application/JSON; charset=utf-8');
  await until(() => groups?.[0]?.targets, ['z:1']);
  answer = json('[]');
  await until(() => groups, []);
  expect(reports).toEqual([]);
});

test('what cannot be read keeps the last good list', async () => {
  const check = async (next: typeof answer, expected: RegExp): Promise<void> => {
    reports = [];
    answer = next;
    await until(() => reports.some((report) => expected.test(report)), true);
    expect(groups?.[0]?.targets).toEqual(['x:1']);
  };
  answer = json(list('x:1'));
  start();
  await until(() => groups?.length, 1);
  await check(json('', 'application/json', 500), /cannot get targets.*HTTP status 500/);
  await check(json(list('y:1'), 'text/html'), /unsupported content type "text\/html"/);
  await check(json('[{"targets":["y:1"'), /targets:1:\d+/);
  await check(json('{"targets":["y:1"]}'), /expected a list of target groups/);
  await check(json('[null]'), /expected a group with "targets"/);
  await check(json('[{"targets":[1]}]'), /a target must be a string/);
  await check(json('[{"targets":["y:1"],"labels":{"a":1}}]'), /label "a" must be a string/);
  await check((_, response) => void response.destroy(), /EOF|connection reset/);
  // Hangs: given up when it is time to ask again.
  await check(() => {}, /context deadline exceeded/);
  await check((_, response) => {
    const bomb = gzipSync(Buffer.alloc(HTTP_SD_BYTES_MAX + 1, 32));
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    response.end(bomb);
  }, /limit|larger|exceeded/);
  answer = json(list('y:1'));
  await until(() => groups?.[0]?.targets, ['y:1']);
});

test('a password in the URL is seen by the server only', async () => {
  answer = json(list('x:1'));
  start({ url: url.replace('//', '//me:hunter2@') });
  await until(() => groups?.length, 1);
  expect(JSON.stringify(groups)).not.toContain('hunter2');
  answer = json('[');
  await until(() => reports.length > 0, true);
  expect(reports.join()).not.toContain('hunter2');
});

test('after stop nothing is asked and nothing is said', async () => {
  let asked = 0;
  answer = (request, response) => {
    asked++;
    json(list(`x:${asked}`))(request, response);
  };
  start();
  await until(() => spoken, 1);
  run?.stop();
  const before = [asked, spoken];
  await new Promise((done) => setTimeout(done, 250));
  expect([asked, spoken]).toEqual(before);
});
