import { connect } from 'node:net';
import { once } from 'node:events';
import { IncomingMessage, type RequestListener, ServerResponse } from 'node:http';
import { type Clock, asDuration, asTime } from '@canopy/model';
import { afterEach, expect, it } from 'vitest';
import { HttpServer, type HttpServerOptions, ListenError, formatHostPort } from './http-server.js';

const realClock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};

const servers: HttpServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

function makeServer(handler: HttpServerOptions['handler'], closeTimeout = 200): HttpServer {
  const server = new HttpServer({
    handler,
    clock: realClock,
    requestTimeout: asDuration(5000),
    keepAliveTimeout: asDuration(60_000),
    headerBytesMax: 16 * 1024,
    connectionsMax: 100,
    closeTimeout: asDuration(closeTimeout),
  });
  servers.push(server);
  return server;
}

it('makes requests and answers of the kinds that the handler has', async () => {
  class OwnRequest extends IncomingMessage {}
  class OwnResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  const handle: RequestListener = (req, res) =>
    res.end(String(req instanceof OwnRequest && res instanceof OwnResponse));
  const messages = { IncomingMessage: OwnRequest, ServerResponse: OwnResponse };
  const server = makeServer(Object.assign(handle, { messages }));
  const { port } = await server.listen('127.0.0.1', 0);
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('true');
});

it('keeps half of its connections for other addresses', async () => {
  const server = makeServer((_req, res) => res.end('here'));
  const { port } = await server.listen('127.0.0.1', 0);
  const open = (localAddress: string) => connect({ port, host: '127.0.0.1', localAddress });
  /** Whether it stays. */
  const asks = async (localAddress: string): Promise<boolean> => {
    const socket = open(localAddress).on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await new Promise((resolve) => socket.once('close', resolve));
    return text.endsWith('here');
  };
  const idle = Array.from({ length: 50 }, () => open('127.0.0.1').on('error', () => undefined));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  expect(await asks('127.0.0.1')).toBe(false);
  expect(await asks('127.0.0.2')).toBe(true);
  expect(server.refused.connections).toBe(1);
  idle[0].destroy();
  await expect.poll(() => asks('127.0.0.1')).toBe(true);
  for (const socket of idle) socket.destroy();
});

it('listens on a free port and says which', async () => {
  const server = makeServer((_req, res) => res.end('here'));
  const { host, port } = await server.listen('127.0.0.1', 0);
  expect(host).toBe('127.0.0.1');
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('here');
});

it('names a taken port', async () => {
  const { port } = await makeServer(() => undefined).listen('127.0.0.1', 0);
  const failure = await makeServer(() => undefined)
    .listen('127.0.0.1', port)
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ListenError);
  expect(failure).toMatchObject({
    reason: 'in_use',
    port,
    message: `cannot listen on 127.0.0.1:${port}: the port is in use by another process`,
  });
  expect(formatHostPort('::1', 9090)).toBe('[::1]:9090');
});

it('names an address that is not here', async () => {
  const failure = await makeServer(() => undefined)
    .listen('192.0.2.1', 0)
    .catch((error: unknown) => error);
  expect(failure).toMatchObject({ reason: 'no_such_address' });
});

it('closes at once with idle connections, and within its bound with busy ones', async () => {
  const idle = makeServer((_req, res) => res.end('done'), 30_000);
  const first = await idle.listen('127.0.0.1', 0);
  await (await fetch(`http://127.0.0.1:${first.port}/`)).text(); // leaves a connection alive
  const startIdle = performance.now();
  await idle.close();
  expect(performance.now() - startIdle).toBeLessThan(2000);

  const busy = makeServer(() => undefined, 200); // never answers
  const second = await busy.listen('127.0.0.1', 0);
  const socket = connect(second.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const startBusy = performance.now();
  await busy.close();
  const tookMs = performance.now() - startBusy;
  expect(tookMs).toBeGreaterThan(150);
  expect(tookMs).toBeLessThan(3000);
  socket.destroy();
});

it('lets an answer under way finish, then does not wait for its connection', async () => {
  let arrived = (_res: ServerResponse): void => undefined;
  const asked = new Promise<ServerResponse>((resolve) => {
    arrived = resolve;
  });
  const server = makeServer((_req, res) => arrived(res), 30_000);
  const { port } = await server.listen('127.0.0.1', 0);
  const answer = fetch(`http://127.0.0.1:${port}/`);
  const res = await asked;
  const closing = server.close();
  res.end('late');
  expect(await (await answer).text()).toBe('late');
  const started = performance.now();
  await closing;
  expect(performance.now() - started).toBeLessThan(2000);
});

it('can be closed twice, and without having been opened', async () => {
  const server = makeServer(() => undefined);
  await server.close();
  await server.close();
});
