/** A network that can be cut: a TCP proxy on loopback. */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/**
 * `reset`: connections, old and new, are reset. `swallow`: nothing is answered and nothing ends; what was swallowed
 * stays silent for ever. `half`: as `swallow`, once an answer has begun. `flaky`: each connection is refused, cut
 * somewhere, or late, as chance will have it. `slow`: connections, old and new, carry little in their time.
 */
export type Network = 'sound' | 'reset' | 'swallow' | 'half' | 'flaky' | 'slow';

const FLAKY = { refused: 0.25, cut: 0.35, delayMsMax: 150, bytesMax: 6000 };
/** Each connection, of what is answered. */
const SLOW_BYTES_PER_S = 40_000;
/** Of each new connection; enough for whoever reads it to believe that the answer is on its way. */
const HALF_BYTES = 6000;

export class Proxy {
  readonly #targetPort: number;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #network: Network = 'sound';
  /** Connections that were not let through unharmed. */
  harmed = 0;

  constructor(targetPort: number, random: () => number) {
    this.#targetPort = targetPort;
    this.#random = random;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  async open(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  set network(network: Network) {
    this.#network = network;
    if (network === 'sound') return;
    for (const socket of this.#sockets) {
      this.harmed++;
      if (network === 'swallow' || network === 'half')
        socket.unpipe().removeAllListeners('data').pause();
      else this.#reset(socket);
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  #accept(client: Socket): void {
    this.#keep(client);
    if (this.#network === 'reset') return this.#harm(client);
    if (this.#network === 'swallow') {
      this.harmed++;
      client.pause();
      return;
    }
    if (this.#network === 'flaky' && this.#random() < FLAKY.refused) return this.#harm(client);
    const server = connect(this.#targetPort, '127.0.0.1');
    this.#keep(server);
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroySoon());
    client.pipe(server);
    if (this.#network === 'flaky') this.#forwardBadly(server, client);
    else if (this.#network === 'half') this.#forwardHalf(server, client);
    else if (this.#network === 'slow') this.#forwardSlowly(server, client);
    else server.pipe(client);
  }

  #forwardHalf(server: Socket, client: Socket): void {
    let left = HALF_BYTES;
    server.on('data', (chunk) => {
      if (left <= 0) return;
      client.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) this.harmed++;
    });
  }

  #forwardSlowly(server: Socket, client: Socket): void {
    server.on('data', (chunk) => {
      server.pause();
      setTimeout(
        () => {
          client.write(chunk);
          server.resume();
        },
        (1000 * chunk.length) / SLOW_BYTES_PER_S,
      );
    });
  }

  /** Late, and perhaps not all of it. */
  #forwardBadly(server: Socket, client: Socket): void {
    let left = Number.POSITIVE_INFINITY;
    if (this.#random() < FLAKY.cut) left = Math.floor(this.#random() * FLAKY.bytesMax);
    server.on('data', (chunk) => {
      server.pause();
      setTimeout(() => {
        client.write(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) this.#harm(client);
        else server.resume();
      }, this.#random() * FLAKY.delayMsMax);
    });
  }

  #harm(client: Socket): void {
    this.harmed++;
    this.#reset(client);
  }

  #reset(socket: Socket): void {
    if (!socket.destroyed) socket.resetAndDestroy();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
