/** HTTP API and pages of a Canopy process. */

/** The request listener that answers everything a process answers over HTTP. */
export { createWeb } from './web.js';
/** What it needs, and what it counts. */
export type { Admin, LogLevel, RouteTotals, Web, WebOptions, WebTotals } from './options.js';
/** A listening socket with a bounded close, and why it could not be opened. */
export {
  type BoundAddress,
  HttpServer,
  type HttpServerOptions,
  ListenError,
  type ListenFailure,
  type RefusedTotals,
  formatHostPort,
} from './http-server.js';
/** What a server asks of its clients. */
export {
  CLIENT_AUTH_TYPES,
  type ClientAuthType,
  type Guard,
  type GuardSource,
  type ServerTls,
  type ServerTlsVersion,
} from './guard/guard.js';
/** Names of ciphers and curves, certificates checked, who a client is by its own. */
export { CIPHER_SUITES, CURVES, checkServerTls, clientNames } from './guard/server-tls.js';
