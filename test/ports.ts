/**
 * Ports for processes that tests start, and start again. A port that the kernel picked is the kernel's again
 * as soon as nobody listens on it: while a leaf is down, or not up yet, it may be given to a process of another test,
 * which then answers whoever asks for the leaf. So these lie below all that Linux picks by itself (32768 on,
 * `ip_local_port_range`), and no two processes hand out the same: a block of ports is the process's that listens on
 * its first one.
 */
import { type Server, createServer } from 'node:net';

const FIRST = 12_000;
const LAST = 32_000;
const BLOCK = 50;
const BLOCKS = (LAST - FIRST) / BLOCK;

let block = process.pid % BLOCKS;
/** Of the block: the next port to hand out; its end: another block is needed. */
let next = BLOCK;
let turn: Promise<unknown> = Promise.resolve();

/** A loopback port that nobody listens on, and that nobody else is given as long as this process lives. */
export function freePort(): Promise<number> {
  const port = turn.then(findPort);
  turn = port.catch(() => undefined);
  return port;
}

async function findPort(): Promise<number> {
  for (let tries = 0; tries < BLOCKS * BLOCK; tries++) {
    if (next === BLOCK) await takeBlock();
    const port = portOf(next++);
    const server = await listen(port);
    if (server === undefined) continue;
    await new Promise((done) => server.close(done));
    return port;
  }
  throw new Error('no port is free');
}

const portOf = (index: number): number => FIRST + block * BLOCK + index;

/** Its first port is listened on until the process ends, as are those of blocks before it: their ports may be used again. */
async function takeBlock(): Promise<void> {
  for (let tries = 0; tries < BLOCKS; tries++) {
    block = (block + 1) % BLOCKS;
    const server = await listen(portOf(0));
    if (server === undefined) continue;
    server.unref();
    next = 1;
    return;
  }
  throw new Error('no block of ports is free');
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
