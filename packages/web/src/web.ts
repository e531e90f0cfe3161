import type { Web, WebOptions } from './options.js';

/** The HTTP surface of a process. Does no listening and no I/O until a request comes. */
export function createWeb(options: WebOptions): Web {
  const totals = { routes: {}, aborted: 0 };
  void options;
  return Object.assign(() => undefined, { totals });
}
