/**
 * Proxies in a process of their own: who judges the run has much to do, and what goes through them must not wait for it.
 * `node network-main.ts PORT SEED`. `GET /-/line?target=PORT`: a proxy to a port, its own one as JSON.
 * `GET /-/network?port=PORT&is=NETWORK`: what becomes of one.
 */
import { createServer } from 'node:http';
import { makeRandom } from './plan.js';
import { type Network, Proxy } from './proxy.js';

const [port, seed] = process.argv.slice(2).map(Number);
const random = makeRandom(seed);
const proxies = new Map<number, Proxy>();

async function answer(url: URL): Promise<unknown> {
  const asked = (name: string): string => url.searchParams.get(name) ?? '';
  if (url.pathname === '/-/line') {
    const proxy = new Proxy(Number(asked('target')), random);
    await proxy.open();
    proxies.set(proxy.port, proxy);
    return proxy.port;
  }
  if (url.pathname === '/-/network') {
    proxies.get(Number(asked('port')))!.network = asked('is') as Network;
  }
  return proxies.size;
}

createServer((req, res) => {
  void answer(new URL(req.url ?? '/', 'http://network')).then((told) => {
    res.end(JSON.stringify(told));
  });
}).listen(port, '127.0.0.1');
