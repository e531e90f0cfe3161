import { once } from 'node:events';
import { request } from 'node:https';
import { type Socket, connect } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from 'node:tls';
import { type Clock, asDuration, asTime } from '@canopy/model';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  OTHER_CERT,
  OTHER_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from '@canopy/scrape/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { HttpServer } from '../http-server.js';
import { type Guard, OPEN, type ServerTls } from './guard.js';
import { PasswordCheck } from './password-check.js';
import { alternativeNames, checkServerTls, clientNames } from './server-tls.js';

/** Of "test", at the lowest cost. */
const HASH = '$2y$04$HLluHRxLh91xyQQcDqM.NeeQokD38R4UTu5obKWtccx2VSm2lOE5u';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};

const TLS: ServerTls = {
  cert: SERVER_CERT,
  key: SERVER_KEY,
  clientCa: undefined,
  clientAuth: 'NoClientCert',
  allowedSans: undefined,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  cipherSuites: [],
  curves: [],
  prefersOwnCiphers: true,
};

const servers: HttpServer[] = [];
const checks: PasswordCheck[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await Promise.all(checks.splice(0).map((check) => check.close()));
});

async function serve(guard: { now: Guard }, closeTimeout = 200) {
  const server = new HttpServer({
    handler: (req, res) => {
      res.setHeader('X-Frame-Options', 'SAMEORIGIN');
      res.end(JSON.stringify(clientNames(req.socket) ?? 'nobody'));
    },
    clock,
    requestTimeout: asDuration(5000),
    keepAliveTimeout: asDuration(60_000),
    headerBytesMax: 16 * 1024,
    connectionsMax: 100,
    closeTimeout: asDuration(closeTimeout),
    guard: () => guard.now,
  });
  servers.push(server);
  const { port } = await server.listen('127.0.0.1', 0);
  return { server, port };
}

/** One request over a connection of its own; what it was answered, or why not. */
function ask(port: number, options: ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    const req = request(
      { host: '127.0.0.1', port, ca: CA_CERT, agent: false, ...options },
      (res) => {
        let text = '';
        res.on('data', (chunk: Buffer) => (text += chunk.toString()));
        res.on('end', () => resolve(`${res.statusCode} ${text}`));
      },
    );
    req.on('error', (error: NodeJS.ErrnoException) => resolve(`failed: ${error.code}`));
    req.end();
  });
}

const CLIENT = { cert: CLIENT_CERT, key: CLIENT_KEY };
const OTHER = { cert: OTHER_CERT, key: OTHER_KEY };

describe('TLS', () => {
  const REQUIRED = { clientAuth: 'RequireAndVerifyClientCert', clientCa: CA_CERT } as const;
  /** Signed by the authority of nobody here. */
  const STRANGE = { clientAuth: 'VerifyClientCertIfGiven', clientCa: OTHER_CERT } as const;
  it.each<[Partial<ServerTls>, ConnectionOptions, RegExp]>([
    [{}, {}, /^200 "nobody"/],
    [{}, CLIENT, /^200 "nobody"/], // not asked for
    [{ clientAuth: 'RequestClientCert' }, {}, /^200/],
    [{ clientAuth: 'RequestClientCert' }, CLIENT, /^200 "nobody"/], // nobody has looked at it
    [{ clientAuth: 'RequireAnyClientCert' }, {}, /^failed/],
    [{ clientAuth: 'RequireAnyClientCert' }, CLIENT, /^200/],
    [{ ...REQUIRED, clientAuth: 'VerifyClientCertIfGiven' }, {}, /^200/],
    [{ ...REQUIRED, clientAuth: 'VerifyClientCertIfGiven' }, CLIENT, /^200 \["client"\]/],
    [STRANGE, CLIENT, /^failed/],
    [STRANGE, {}, /^200/],
    [REQUIRED, {}, /^failed/],
    [REQUIRED, CLIENT, /^200 \["client"\]/],
    [REQUIRED, OTHER, /^200 \["other","other.test"\]/],
    [{ ...REQUIRED, clientCa: OTHER_CERT }, CLIENT, /^failed/],
    [{ ...REQUIRED, allowedSans: ['other.test'] }, OTHER, /^200/],
    [{ ...REQUIRED, allowedSans: ['other'] }, OTHER, /^failed/], // the common name is no SAN
    [{ ...REQUIRED, allowedSans: ['other.test'] }, CLIENT, /^failed/],
    [{ ...REQUIRED, allowedSans: [] }, OTHER, /^failed/],
    [{ minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }, /^failed/],
    [{ maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' }, /^failed/],
    [
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' },
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      /^200/,
    ],
    [
      { cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'] },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
      /^failed/,
    ],
    [
      { cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'] },
      { maxVersion: 'TLSv1.2' },
      /^200/,
    ],
    [
      { cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'] },
      { minVersion: 'TLSv1.3' },
      /^200/,
    ],
    [{ curves: ['CurveP384'] }, { ecdhCurve: 'P-256' }, /^failed/],
    [{ curves: ['CurveP384', 'X25519'] }, { ecdhCurve: 'X25519' }, /^200/],
  ])('%j', async (tls, options, expected) => {
    const { port, server } = await serve({ now: { ...OPEN, tls: { ...TLS, ...tls } } });
    expect(await ask(port, options)).toMatch(expected);
    expect(server.refused.tls).toBe(expected.source.includes('failed') ? 1 : 0);
  });

  it('takes another certificate for new connections, kept ones go on', async () => {
    const guard = { now: { ...OPEN, tls: TLS } };
    const { port } = await serve(guard);
    const names = async (): Promise<string[]> => {
      const socket = connectTls({
        host: '127.0.0.1',
        port,
        ca: CA_CERT,
        checkServerIdentity: () => undefined,
      });
      await once(socket, 'secureConnect');
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      return [subject.CN as string];
    };
    const kept = connectTls({ host: '127.0.0.1', port, ca: CA_CERT });
    await once(kept, 'secureConnect');
    expect(await names()).toEqual(['server']);
    guard.now = { ...OPEN, tls: { ...TLS, cert: OTHER_CERT, key: OTHER_KEY } };
    expect(await names()).toEqual(['other']);
    kept.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(String((await once(kept, 'data'))[0])).toMatch(/^HTTP\/1.1 200/);
    kept.destroy();
  });

  it('shows a certificate on each connection, also where the client kept a session', async () => {
    const tls = { ...TLS, ...REQUIRED, maxVersion: 'TLSv1.2' } as const;
    const { port } = await serve({ now: { ...OPEN, tls } });
    const open = async (session?: Buffer): Promise<TLSSocket> => {
      const socket = connectTls({ host: '127.0.0.1', port, ca: CA_CERT, ...CLIENT, session });
      await once(socket, 'secureConnect');
      return socket;
    };
    const first = await open();
    const second = await open(first.getSession());
    expect(second.isSessionReused()).toBe(false);
    first.destroy();
    second.destroy();
  });

  it('lets nobody in without TLS, nor any more where the guard loses it', async () => {
    const guard: { now: Guard } = { now: { ...OPEN, tls: TLS } };
    const { port, server } = await serve(guard);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    expect(server.refused.tls).toBe(1);
    guard.now = OPEN;
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    expect(await ask(port)).toMatch(/^failed/);
  });

  it('closes with a handshake under way', async () => {
    const { port, server } = await serve({ now: { ...OPEN, tls: TLS } });
    const socket: Socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await server.close();
    await closed;
  });

  it('refuses a key of another certificate', () => {
    expect(() => checkServerTls({ ...TLS, key: OTHER_KEY })).toThrow(/key values mismatch/);
    expect(() => checkServerTls({ ...TLS, cert: 'none' })).toThrow();
  });

  it.each([
    [
      'DNS:a.test, IP Address:10.0.0.1, email:a@b, URI:spiffe://x/y',
      ['a.test', '10.0.0.1', 'a@b', 'spiffe://x/y'],
    ],
    ['DNS:"a, DNS:b", DNS:c', ['a, DNS:b', 'c']], // one that would like to be two
    ['', []],
  ])('names in %s', (text, names) => expect(alternativeNames(text)).toEqual(names));
});

describe('passwords', () => {
  const basic = (user: string, password: string): string =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const users = new Map([['me', HASH]]);
  const makeCheck = (): PasswordCheck => {
    const check = new PasswordCheck();
    checks.push(check);
    return check;
  };

  it('are asked for on every path, headers are set over others', async () => {
    const guard: { now: Guard } = {
      now: { tls: undefined, headers: { 'X-Frame-Options': 'deny' }, users },
    };
    const { port, server } = await serve(guard);
    const get = (authorization?: string) =>
      fetch(`http://127.0.0.1:${port}/`, { headers: authorization ? { authorization } : {} });
    const bare = await get();
    expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, 'Basic']);
    expect(bare.headers.get('x-frame-options')).toBe('deny');
    expect((await get(basic('me', 'wrong'))).status).toBe(401);
    expect((await get(basic('you', 'test'))).status).toBe(401);
    expect((await get('Bearer test')).status).toBe(401);
    expect((await get('Basic !')).status).toBe(401);
    expect(server.refused).toEqual({ tls: 0, unauthorized: 5, busy: 0, connections: 0 });
    const right = await get(basic('me', 'test'));
    expect([right.status, right.headers.get('x-frame-options')]).toEqual([200, 'deny']);
    guard.now = { ...OPEN, users: new Map([['you', HASH]]) };
    expect((await get(basic('me', 'test'))).status).toBe(401);
    expect((await get(basic('you', 'test'))).status).toBe(200);
  });

  it('are compared once', async () => {
    const check = makeCheck();
    for (let time = 0; time < 3; time++) {
      expect(await check.check(basic('me', 'test'), users)).toBe('right');
      expect(await check.check(basic('me', 'no'), users)).toBe('wrong');
      expect(await check.check(basic('you', 'test'), users)).toBe('wrong');
    }
    expect(check.comparisons).toBe(3);
    // Another hash is another password.
    const other = new Map([['me', HASH.replace('OE5u', 'OE5v')]]);
    expect(await check.check(basic('me', 'test'), other)).toBe('wrong');
  });

  it('are as dear for a name that is not there', async () => {
    const dear = new Map([
      ['me', HASH.replace('$04$', '$09$')],
      ['cheap', HASH],
    ]);
    const check = makeCheck();
    await check.check(basic('me', 'first'), dear);
    const cost = async (user: string): Promise<number> => {
      let least = Number.POSITIVE_INFINITY;
      for (let time = 0; time < 3; time++) {
        const before = process.cpuUsage();
        await check.check(basic(user, `wrong ${time}`), dear);
        const { user: own, system } = process.cpuUsage(before);
        least = Math.min(least, own + system);
      }
      return least;
    };
    const ratio = (await cost('nobody')) / (await cost('me'));
    expect(ratio).toBeGreaterThan(0.4);
    expect(ratio).toBeLessThan(2.5);
  });

  it('wait in a short line; who was let in before does not', async () => {
    const check = makeCheck();
    expect(await check.check(basic('me', 'test'), users)).toBe('right');
    const flood = Array.from({ length: 500 }, (_, n) => check.check(basic('me', `no ${n}`), users));
    expect(await check.check(basic('me', 'test'), users)).toBe('right');
    const outcomes = await Promise.all(flood);
    expect(outcomes.filter((outcome) => outcome === 'busy').length).toBe(500 - 32);
    expect(outcomes).not.toContain('right');
    expect(await check.check(basic('me', 'test'), users)).toBe('right');
    expect(check.comparisons).toBe(33);
  });
});
