import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WebOptions } from '../options.js';
import { createWeb } from '../web.js';
import type { Web } from '../options.js';
import { fakeOptions } from './fake-options.js';

/** A web surface on a free port of the loopback. */
export interface RunningWeb extends AsyncDisposable {
  readonly url: string;
  readonly web: Web;
}

export async function runWeb(given: Partial<WebOptions> = {}): Promise<RunningWeb> {
  const web = createWeb(fakeOptions(given));
  const server = createServer(web.messages, web);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    web,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
