/** HTTP API and pages of a Canopy process. */

/** The request listener that answers everything a process answers over HTTP. */
export { createWeb } from './web.js';
/** What it needs, and what it counts. */
export type { LogLevel, RouteTotals, Web, WebOptions, WebTotals } from './options.js';
/** A listening socket with a bounded close, and why it could not be opened. */
export {
  type BoundAddress,
  HttpServer,
  type HttpServerOptions,
  ListenError,
  type ListenFailure,
  formatHostPort,
} from './http-server.js';
