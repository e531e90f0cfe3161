import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { askApi, printable, runQuery, table } from './query.js';

const cleanups: Array<() => void> = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A server that gives one answer; what it was asked is in `paths`. */
async function serverOf(status: number, body: string) {
  const paths: string[] = [];
  const server = createServer((req, res) => {
    paths.push(req.url ?? '');
    res.writeHead(status);
    res.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paths };
}

async function run(url: string, expr = 'up', time?: string) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const given = time === undefined ? {} : { time };
  const exitCode = await runQuery({ expr, url, stdout, stderr, ...given });
  const read = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';
  return { exitCode, out: read(stdout), err: read(stderr) };
}

const success = (data: unknown, more: object = {}) =>
  JSON.stringify({ status: 'success', data, ...more });

it('prints each kind of result', async () => {
  const check = async (data: unknown, expected: string) => {
    const { url } = await serverOf(200, success(data));
    expect(await run(url)).toEqual({ exitCode: 0, out: expected, err: '' });
  };
  await check({ resultType: 'scalar', result: [1, '2.5'] }, '2.5\n');
  await check({ resultType: 'vector', result: [] }, 'no series\n');
  await check(
    { resultType: 'vector', result: [{ metric: {}, value: [1, '7'] }] },
    ['SERIES  VALUE', '{}          7', ''].join('\n'),
  );
  await check(
    {
      resultType: 'vector',
      result: [
        { metric: { __name__: 'up', job: 'node', instance: 'a:1' }, value: [1, '1'] },
        { metric: { __name__: 'up', job: 'x' }, value: [1, '0.25'] },
      ],
    },
    [
      'METRIC  instance  job   VALUE',
      'up      a:1       node      1',
      'up                x      0.25',
      '',
    ].join('\n'),
  );
  await check(
    {
      resultType: 'matrix',
      result: [
        {
          metric: { a: 'b' },
          values: [
            [1.5, '1'],
            [2, '10'],
          ],
        },
      ],
    },
    [
      'a  TIME                      VALUE',
      'b  1970-01-01T00:00:01.500Z      1',
      'b  1970-01-01T00:00:02.000Z     10',
      '',
    ].join('\n'),
  );
});

it('prints series with many labels as Prometheus does', async () => {
  const metric = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`l${i}`, 'v']));
  const result = [{ metric: { __name__: 'm', ...metric }, value: [1, '1'] }];
  const { url } = await serverOf(200, success({ resultType: 'vector', result }));
  expect((await run(url)).out).toContain('m{l0="v", l1="v"');
});

it('asks below the path of the URL, with the time where one is given', async () => {
  const { url, paths } = await serverOf(200, success({ resultType: 'scalar', result: [1, '1'] }));
  await run(`${url}/prefix/`, 'a + b', '123');
  await run(url, 'up');
  expect(paths).toEqual(['/prefix/api/v1/query?query=a+%2B+b&time=123', '/api/v1/query?query=up']);
});

it('shows warnings beside the table', async () => {
  const body = success({ resultType: 'vector', result: [] }, { warnings: ['w'], infos: ['i'] });
  const { url } = await serverOf(200, body);
  expect(await run(url)).toEqual({
    exitCode: 0,
    out: 'no series\n',
    err: 'canopy: w\ncanopy: i\n',
  });
});

it('says what is wrong, and whose fault it is by the exit code', async () => {
  const check = async (status: number, body: string, exitCode: number, message: string) => {
    const { url } = await serverOf(status, body);
    const answer = await run(url);
    expect(answer).toMatchObject({ exitCode, out: '' });
    expect(answer.err).toContain(message);
  };
  const error = (text: string) => JSON.stringify({ status: 'error', errorType: 'x', error: text });
  await check(400, error('1:1: parse error: unexpected )'), 2, 'canopy: 1:1: parse error');
  await check(422, error('many-to-many'), 2, 'many-to-many');
  await check(500, error('broken'), 1, 'broken');
  await check(503, 'Service Unavailable: the store is away\n', 1, '503: Service Unavailable: the');
  await check(404, '404 page not found\n', 1, 'does not know /api/v1/query');
  await check(200, '<html>', 1, 'answers with HTTP status 200: <html>');
});

it('names the URL where nobody answers', async () => {
  const { url } = await serverOf(200, '');
  for (const cleanup of cleanups.splice(0)) cleanup();
  const refused = await run(url);
  expect(refused.exitCode).toBe(1);
  expect(refused.err).toContain(`nothing listens at ${url}; start a hierarchy with "npm start"`);
  const check = async (bad: string) => {
    await expect(askApi(bad, 'query')).rejects.toThrow('must start with http:// or https://');
  };
  await check('localhost:9090');
  await check('127.0.0.1:9090');
  await check('ftp://x');
  await check('');
});

it('aligns columns and lets no text steer the terminal', () => {
  expect(
    table(
      [
        ['a', 'é😀'],
        ['bbb', 'x'],
      ],
      new Set([1]),
    ),
  ).toBe('a    é😀\nbbb   x\n');
  expect(printable('a\u001b[31m\nb\u202e')).toBe('a\\u001b[31m\\u000ab\\u202e');
  expect(printable('München 😀')).toBe('München 😀');
});
