/** Servers, proxies and token servers of the test's own: what a request says, and to whom. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { type Clock, asDuration, asTime } from '@canopy/model';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { HttpClientConfig, ProxyConfig, TlsConfig } from '../config.js';
import { HttpFetcher, requestClient } from '../fetch.js';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  OTHER_CERT,
  OTHER_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from '../testing/certificates.js';

/** Real, and a second further with each look, so that files are looked at each time. */
let ahead = 0;
const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now() + (ahead += 1001),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};
const folder = mkdtempSync(join(tmpdir(), 'canopy-client-'));
const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const open: Array<http.Server | ReturnType<typeof createServer>> = [];
const sockets = new Set<Socket>();
afterAll(() => {
  for (const server of open) server.close();
  for (const socket of sockets) socket.destroy();
  rmSync(folder, { recursive: true });
});
async function listening(server: http.Server | ReturnType<typeof createServer>): Promise<number> {
  open.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

/** What servers saw since the beginning of the test. */
const seen: Array<{ readonly where: string; readonly request: http.IncomingMessage }> = [];
beforeEach(() => void seen.splice(0));
const saying =
  (where: string): http.RequestListener =>
  (request, response) => {
    seen.push({ where, request });
    if (request.url === '/away') response.writeHead(302, { location: awayUrl }).end();
    else if (request.url === '/stay') response.writeHead(302, { location: '/x' }).end();
    else response.end(where);
  };
let awayUrl = '';
const plain = await listening(http.createServer(saying('plain')));
const elsewhere = await listening(http.createServer(saying('elsewhere')));
awayUrl = `http://127.0.0.1:${elsewhere}/x`;
const serverTls = { cert: SERVER_CERT, key: SERVER_KEY, ca: CA_CERT };
const secure = await listening(https.createServer(serverTls, saying('secure')));
const mutual = await listening(
  https.createServer(
    { ...serverTls, requestCert: true, rejectUnauthorized: true },
    saying('mutual'),
  ),
);
const wrongName = await listening(
  https.createServer({ cert: OTHER_CERT, key: OTHER_KEY }, saying('wrong name')),
);

const hung = new Set<Socket>();
/** Forwards to `plain` and `secure`, whatever host is asked for. */
function proxy(where: string, server: http.Server): http.Server {
  server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    seen.push({ where, request });
    const onward = { port: plain, path: new URL(request.url ?? '').pathname };
    http.get({ host: '127.0.0.1', ...onward, headers: request.headers }, (answer) =>
      answer.pipe(response.writeHead(answer.statusCode ?? 0)),
    );
  });
  server.on('connect', (request: http.IncomingMessage, socket: Socket) => {
    seen.push({ where, request });
    if (request.url?.startsWith('refused')) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    if (request.url?.startsWith('hung')) {
      // Never a whole answer, and never silent.
      socket.write('HTTP/1.1 200 OK\r\nX: ');
      const timer = setInterval(() => socket.write('x'), 100);
      hung.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        clearInterval(timer);
        hung.delete(socket);
      });
      return;
    }
    const onward = connect(secure, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  return server;
}
const proxyPort = await listening(proxy('proxy', http.createServer()));
const secureProxyPort = await listening(proxy('secure proxy', https.createServer(serverTls)));

let env: Record<string, string> = {};
async function ask(
  url: string,
  config: Partial<HttpClientConfig>,
  fetcher = fetcherOf(),
): Promise<string> {
  try {
    return await fetcher.fetch(
      {
        url,
        headers: { accept: 'text/plain' },
        ...requestClient({ followRedirects: true, ...config }),
        timeout: asDuration(1500),
        bodyBytesMax: 0,
        signal: new AbortController().signal,
      },
      () => (task) => task(),
      async ({ body }) => Buffer.from(body).toString(),
    );
  } catch (error) {
    return (error as Error).message;
  } finally {
    if (!kept.has(fetcher)) fetcher[Symbol.dispose]();
  }
}
const kept = new Set<HttpFetcher>();
function fetcherOf(): HttpFetcher {
  return new HttpFetcher({
    clock,
    userAgent: 'Canopy/test',
    bodyBytesMax: 1 << 20,
    idleTimeout: asDuration(5000),
    env,
  });
}
function keptFetcher(): HttpFetcher {
  const fetcher = fetcherOf();
  kept.add(fetcher);
  return fetcher;
}

test('TLS: who is trusted, under which name, with which certificate', async () => {
  const at = (port: number) => `https://127.0.0.1:${port}/`;
  const check = async (port: number, tls: Partial<TlsConfig> | undefined, expected: RegExp) =>
    expect(
      await ask(at(port), tls === undefined ? {} : { tls: { insecureSkipVerify: false, ...tls } }),
    ).toMatch(expected);
  const unknown =
    /tls: failed to verify certificate: x509: certificate signed by unknown authority$/;
  await check(secure, undefined, unknown);
  await check(secure, {}, unknown);
  await check(secure, { insecureSkipVerify: true }, /^secure$/);
  await check(secure, { ca: CA_CERT }, /^secure$/);
  await check(secure, { ca: { file: write('ca.pem', CA_CERT) } }, /^secure$/);
  await check(secure, { ca: CA_CERT, serverName: 'exporter.test' }, /^secure$/);
  await check(secure, { ca: CA_CERT, serverName: 'wrong.test' }, /x509: certificate is not valid/);
  await check(wrongName, { ca: CA_CERT }, /x509: certificate is not valid/);
  await check(wrongName, { ca: CA_CERT, serverName: 'other.test' }, /^wrong name$/);
  await check(mutual, { ca: CA_CERT, cert: CLIENT_CERT, key: CLIENT_KEY }, /^mutual$/);
  await check(mutual, { ca: CA_CERT }, /remote error: tls:|connection reset|EOF|socket/);
  await check(plain, { ca: CA_CERT }, /tls: first record does not look like a TLS handshake$/);
  await check(secure, { ca: CA_CERT, minVersion: 'TLSv1.3' }, /^secure$/);
  await check(secure, { ca: CA_CERT, minVersion: 'TLSv1', maxVersion: 'TLSv1.2' }, /^secure$/);
  await check(
    secure,
    { ca: { file: join(folder, 'none') } },
    /unable to read CA cert: .*no such file/,
  );
  await check(secure, { ca: CA_CERT, cert: 'x', key: 'y' }, /unable to use the given certificates/);
});

test('certificates are read anew when their files change', async () => {
  const fetcher = keptFetcher();
  const cert = { file: write('client.pem', OTHER_CERT) };
  const key = { file: write('client.key', OTHER_KEY) };
  const ca = { file: write('authority.pem', SERVER_CERT) };
  const config: HttpClientConfig = {
    tls: { ca, cert, key, insecureSkipVerify: false },
    followRedirects: true,
  };
  const url = `https://127.0.0.1:${mutual}/`;
  expect(await ask(url, config, fetcher)).toMatch(/unknown authority/);
  write('authority.pem', CA_CERT);
  write('client.pem', CLIENT_CERT);
  write('client.key', CLIENT_KEY);
  expect(await ask(url, config, fetcher)).toBe('mutual');
  const { request } = seen[seen.length - 1];
  expect((request.socket as TLSSocket).getPeerCertificate().subject.CN).toBe('client');
  // Unchanged: the same connection.
  const { socket } = request;
  expect(await ask(url, config, fetcher)).toBe('mutual');
  expect(seen[seen.length - 1].request.socket).toBe(socket);
  fetcher[Symbol.dispose]();
});

test('credentials and headers, from the configuration and from files that change', async () => {
  const fetcher = keptFetcher();
  const url = `http://127.0.0.1:${plain}/`;
  const check = async (config: Partial<HttpClientConfig>, header: string, expected: unknown) => {
    expect(await ask(url, config, fetcher)).toBe('plain');
    const lines = seen[seen.length - 1].request.headersDistinct;
    expect(lines[header]).toEqual(expected);
  };
  const password = { file: write('password', ' p\n') };
  const username = { file: write('username', 'u\n') };
  const basic: Partial<HttpClientConfig> = { auth: { type: 'basic', username, password } };
  await check(basic, 'authorization', [`Basic ${Buffer.from('u:p').toString('base64')}`]);
  write('password', 'other');
  await check(basic, 'authorization', [`Basic ${Buffer.from('u:other').toString('base64')}`]);
  const credentials = { file: write('token', 't1\n') };
  const bearer: Partial<HttpClientConfig> = {
    auth: { type: 'header', scheme: 'Bearer', credentials },
  };
  await check(bearer, 'authorization', ['Bearer t1']);
  write('token', 't22');
  await check(bearer, 'authorization', ['Bearer t22']);
  rmSync(join(folder, 'token'));
  expect(await ask(url, bearer, fetcher)).toMatch(/unable to read file .*token: no such file/);
  const httpHeaders = [
    { name: 'X-Tenant', values: ['a', 'b', { file: write('tenant', 'c\n') }] },
    { name: 'Accept', values: ['text/x'] },
  ];
  await check({ httpHeaders }, 'x-tenant', ['a', 'b', 'c']);
  await check({ httpHeaders }, 'accept', ['text/plain', 'text/x']);
  fetcher[Symbol.dispose]();
});

test('what is secret is not told to a host that was redirected to', async () => {
  const config: Partial<HttpClientConfig> = {
    auth: { type: 'basic', username: 'u', password: 'p' },
    httpHeaders: [{ name: 'X-Key', values: ['k'] }],
  };
  expect(await ask(`http://127.0.0.1:${plain}/away`, config)).toBe('elsewhere');
  const told = seen.map(({ request: { headers } }) => [headers.authorization, headers['x-key']]);
  expect(told).toEqual([
    ['Basic dTpw', 'k'],
    [undefined, undefined],
  ]);
  expect(await ask(`http://127.0.0.1:${plain}/stay`, config)).toBe('plain');
  expect(seen[seen.length - 1].request.headers).toMatchObject({ 'x-key': 'k' });
});

const through = (rest: Partial<ProxyConfig> = {}): Partial<HttpClientConfig> => ({
  proxy: { url: `http://127.0.0.1:${proxyPort}`, noProxy: '', connectHeader: {}, ...rest },
  tls: { ca: CA_CERT, insecureSkipVerify: false },
});

test('a proxy is asked for http targets, and by CONNECT for https ones', async () => {
  expect(await ask('http://exporter.test/metrics?a=b', through())).toBe('plain');
  expect(seen.map(({ where, request }) => [where, request.url])).toEqual([
    ['proxy', 'http://exporter.test/metrics?a=b'],
    ['plain', '/metrics'],
  ]);
  expect(seen[0].request.headers.host).toBe('exporter.test');
  seen.splice(0);
  const url = `http://user:pass%20word@127.0.0.1:${proxyPort}`;
  const connectHeader = { 'X-Proxy': ['1', '2'] };
  expect(await ask('https://exporter.test:8443/x', through({ url, connectHeader }))).toBe('secure');
  expect(seen.map(({ where, request }) => [where, request.method, request.url])).toEqual([
    ['proxy', 'CONNECT', 'exporter.test:8443'],
    ['secure', 'GET', '/x'],
  ]);
  const expected = Buffer.from('user:pass word').toString('base64');
  expect(seen[0].request.headersDistinct).toMatchObject({
    'proxy-authorization': [`Basic ${expected}`],
    'x-proxy': ['1', '2'],
  });
  expect(seen[1].request.headers).not.toHaveProperty('proxy-authorization');
});

test('a proxy may itself be behind TLS', async () => {
  const config = through({ url: `https://127.0.0.1:${secureProxyPort}` });
  expect(await ask('http://exporter.test/x', config)).toBe('plain');
  expect(await ask('https://exporter.test/x', config)).toBe('secure');
  expect(seen.map(({ where }) => where)).toEqual([
    'secure proxy',
    'plain',
    'secure proxy',
    'secure',
  ]);
  const untrusted = { ...config, tls: { insecureSkipVerify: false } };
  expect(await ask('https://exporter.test/x', untrusted)).toMatch(/unknown authority$/);
});

test('a connection through a proxy is kept', async () => {
  const fetcher = keptFetcher();
  for (let i = 0; i < 3; i++) {
    expect(await ask('https://exporter.test/x', through(), fetcher)).toBe('secure');
  }
  expect(seen.filter(({ where }) => where === 'proxy').length).toBe(1);
  fetcher[Symbol.dispose]();
});

test('what is wrong with a proxy is said, its password is not', async () => {
  const check = async (url: string, config: Partial<HttpClientConfig>, expected: RegExp) => {
    const text = await ask(url, config);
    expect(text).toMatch(expected);
    expect(text).not.toContain('secret');
  };
  await check('https://refused.test/', through(), /: Proxy Authentication Required$/);
  await check('https://hung.test/', through(), /context deadline exceeded$/);
  // Nor is the connection to it left behind.
  await expect.poll(() => hung.size, { timeout: 10_000 }).toBe(0);
  const gone = through({ url: 'http://me:secret@127.0.0.1:1' });
  const refused = /dial tcp 127.0.0.1:1: connect: connection refused$/;
  await check('https://a.test/', gone, new RegExp(`proxyconnect tcp: ${refused.source}`));
  await check('http://a.test/', gone, refused);
  const wrong = await listening(
    createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-x\r\n')),
  );
  const garbage = through({ url: `http://127.0.0.1:${wrong}` });
  await check('https://a.test/', garbage, /proxyconnect tcp: /);
});

test('proxies of the environment, with their exceptions', async () => {
  const url = `http://127.0.0.1:${proxyPort}`;
  env = { HTTP_PROXY: url, https_proxy: url.slice('http://'.length), no_proxy: 'skipped.invalid' };
  const config = through({ url: 'environment' });
  expect(await ask('http://a.test/x', config)).toBe('plain');
  expect(await ask('https://exporter.test/x', config)).toBe('secure');
  // Straight: nobody of that name is there.
  expect(await ask('http://skipped.invalid/x', config)).toMatch(/dial tcp: lookup/);
  // The own host is never asked through it.
  seen.splice(0);
  expect(await ask(`http://127.0.0.1:${plain}/x`, config)).toBe('plain');
  expect(seen.map(({ where }) => where)).toEqual(['plain']);
  env = {};
});

test('oauth2: one token for many, another one when it expires, and what goes wrong', async () => {
  const forms: string[] = [];
  const authorizations: Array<string | undefined> = [];
  let answer: (res: http.ServerResponse, form: URLSearchParams) => void = () => {};
  const tokens = http.createServer(async (req, res) => {
    const body = await new Response(req as never).text().catch(() => '');
    forms.push(body);
    authorizations.push(req.headers.authorization);
    answer(res, new URLSearchParams(body));
  });
  const tokenUrl = `http://127.0.0.1:${await listening(tokens)}/token`;
  const clientSecret = { file: write('client-secret', 's3cret\n') };
  const config: HttpClientConfig = {
    auth: {
      type: 'oauth2',
      clientId: 'id',
      clientSecret,
      scopes: ['a', 'b'],
      tokenUrl,
      endpointParams: { audience: 'x' },
    },
    followRedirects: true,
  };
  const target = `http://127.0.0.1:${plain}/`;
  const fetcher = keptFetcher();
  const sent = () => seen[seen.length - 1].request.headers.authorization;
  answer = (res) => res.end('{"access_token":"one","token_type":"bearer","expires_in":3600}');
  expect(await Promise.all([1, 2, 3].map(() => ask(target, config, fetcher)))).toEqual([
    'plain',
    'plain',
    'plain',
  ]);
  expect(sent()).toBe('Bearer one');
  expect(forms).toEqual(['grant_type=client_credentials&scope=a+b&audience=x']);
  expect(authorizations).toEqual([`Basic ${Buffer.from('id:s3cret').toString('base64')}`]);
  // The secret changed: the old token is not used.
  write('client-secret', 'n3w');
  answer = (res, form) => {
    if (form.get('client_secret') === 'n3w') res.end('{"access_token":"two","expires_in":5}');
    else res.writeHead(401).end();
  };
  expect(await ask(target, config, fetcher)).toBe('plain');
  expect([sent(), forms.length]).toEqual(['Bearer two', 3]);
  // It expires within the margin: asked for again.
  expect(await ask(target, config, fetcher)).toBe('plain');
  expect(forms.length).toBe(5);
  const check = async (reply: (res: http.ServerResponse) => void, expected: RegExp) => {
    answer = reply;
    const text = await ask(target, config, fetcher);
    expect(text).toMatch(expected);
    expect(text).not.toMatch(/n3w|leaked/);
  };
  await check((res) => res.writeHead(500).end('leaked'), /oauth2: cannot fetch token: .* 500$/);
  await check((res) => res.end('leaked'), /the answer is not JSON$/);
  await check((res) => res.end('null'), /missing access_token$/);
  await check((res) => res.end('{}'), /missing access_token$/);
  await check((res) => res.end('x'.repeat(2 << 20)), /the answer is too large$/);
  await check(() => {}, /context deadline exceeded$/);
  fetcher[Symbol.dispose]();
});
