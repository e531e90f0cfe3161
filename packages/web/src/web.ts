/**
 * Puts the routes together. Order matters: `/federate` and registration own their streams and
 * stand before everything that would touch body or encoding.
 */
import { IncomingMessage, ServerResponse } from 'node:http';
import { constants } from 'node:zlib';
import { CanopyError } from '@canopy/model';
import compression from 'compression';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { errorAnswer, sendError, sendText, writeSuccess, NO_CONTENT } from './api/answer.js';
import type { Handler } from './api/call.js';
import { JsonOutput } from './api/json-output.js';
import { Params, readForm } from './api/params.js';
import { API_ROUTES, type ApiRoute } from './api/routes.js';
import type { RouteTotals, Web, WebOptions, WebTotals } from './options.js';
import { mountPages } from './pages.js';

const LEAVES_PATH = '/api/v1/canopy/leaves';
const WRITE_PATH = '/api/v1/write';

/** The HTTP surface of a process. Does no listening and no I/O until a request comes. */
export function createWeb(options: WebOptions): Web {
  const totals: WebTotals = { routes: {}, aborted: 0 };
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', false);
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  const count = (route: string) => counting(totals, options, route);

  app.use((req, res, next) => {
    allowOrigin(options, req, res);
    // Label values and errors are text of strangers; no browser may take them for a page.
    res.setHeader('X-Content-Type-Options', 'nosniff');
    if (req.method !== 'OPTIONS') return next();
    res.statusCode = 204;
    res.end();
  });
  mountStreams(app, options, count);
  app.use(
    compression({
      // Answers are repetitive text made in a hurry: the fastest setting takes most of the gain.
      level: constants.Z_BEST_SPEED,
      brotli: { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } },
    }),
  );
  mountHealth(app, options, count);
  for (const route of API_ROUTES) mountApi(app, options, route, count(route.path));
  mountPages(app, count('pages'));
  app.use(notFound);
  app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
    fail(options, res, error);
  });
  const handle = (req: IncomingMessage, res: ServerResponse): void => void app(req, res);
  return Object.assign(handle, { totals, messages: messagesOf(app) });
}

/**
 * Requests and answers that are Express's from the start. It gives each its own prototype otherwise, and objects whose
 * prototype was changed outlive collections of young ones: 150 µs a request instead of 44, and full collections.
 */
function messagesOf(app: Express): Web['messages'] {
  class AppRequest extends IncomingMessage {}
  class AppResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as Request;
  app.response = AppResponse.prototype as Response;
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** A client whose base address ends with a slash asks for `//api/v1/…`: it is sent to the clean path, as by Go. */
function notFound(req: Request, res: Response): void {
  const clean = req.url.replace(/^[^?]*/, (path) => path.replace(/\/{2,}/g, '/'));
  // Nothing that a browser could take for another host.
  if (clean === req.url || !clean.startsWith('/api/v1/')) {
    return sendText(res, 404, '404 page not found\n');
  }
  res.setHeader('Location', clean);
  sendText(res, 301, 'Moved Permanently\n');
}

type Middleware = (req: Request, res: Response, next: NextFunction) => void;

/** Counts an answer when it has ended, one way or the other. */
function counting(totals: WebTotals, options: WebOptions, route: string): Middleware {
  return (_req, res, next) => {
    const started = options.clock.monotonic();
    res.once('close', () => {
      const counts: RouteTotals = (totals.routes[route] ??= { requests: {}, seconds: 0 });
      counts.requests[res.statusCode] = (counts.requests[res.statusCode] ?? 0) + 1;
      counts.seconds += (options.clock.monotonic() - started) / 1000;
      if (!res.writableFinished) totals.aborted++;
    });
    next();
  };
}

function allowOrigin(options: WebOptions, req: Request, res: Response): void {
  const { origin } = req.headers;
  // Announcing a leaf is for processes; no page of another origin may do it.
  if (origin === undefined || origin === '' || req.path === LEAVES_PATH) return;
  res.setHeader('Access-Control-Allow-Headers', 'Accept, Authorization, Content-Type, Origin');
  res.setHeader('Access-Control-Allow-Methods', 'GET, POST, OPTIONS');
  res.setHeader('Access-Control-Expose-Headers', 'Date');
  res.setHeader('Vary', 'Origin');
  if (options.corsOrigin(origin)) res.setHeader('Access-Control-Allow-Origin', origin);
}

/** Answers 405 for methods that a path does not offer. */
function onlyMethods(...methods: string[]): Middleware {
  return (req, res, next) => {
    if (methods.includes(req.method)) return next();
    res.setHeader('Allow', [...methods, 'OPTIONS'].sort().join(', '));
    sendText(res, 405, 'Method Not Allowed\n');
  };
}

function mountStreams(
  app: Express,
  options: WebOptions,
  count: (route: string) => Middleware,
): void {
  app.all('/federate', count('/federate'), onlyMethods('GET'), async (req, res) => {
    if (refusedUnready(options, res)) return;
    await options.federate(req, res, requestUrl(req));
  });
  app.all(WRITE_PATH, count(WRITE_PATH), onlyMethods('POST'), async (req, res) => {
    // A browser may send a body without a type to another origin without asking.
    if (isForeign(req)) return sendText(res, 403, 'not for pages of another origin\n');
    if (options.remoteWrite !== null) return options.remoteWrite(req, res);
    const flag = '--web.enable-remote-write-receiver';
    sendText(res, 404, `remote write receiver needs to be enabled with ${flag}\n`);
  });
  const { register } = options;
  if (register === null) return;
  app.all(LEAVES_PATH, count(LEAVES_PATH), onlyMethods('POST', 'DELETE'), async (req, res) => {
    // A browser sends JSON to another origin only after asking first, which is never allowed here.
    if (!isJson(req)) {
      sendText(res, 415, 'the body must be application/json\n');
      return;
    }
    await register(req, res);
  });
}

function isJson(req: Request): boolean {
  const type = (req.headers['content-type'] ?? '').split(';', 1)[0];
  return type.trim().toLowerCase() === 'application/json';
}

function mountHealth(
  app: Express,
  options: WebOptions,
  count: (route: string) => Middleware,
): void {
  const reading = onlyMethods('GET', 'HEAD');
  app.all('/-/healthy', count('/-/healthy'), reading, (_req, res) => {
    sendText(res, 200, 'Canopy is Healthy.\n');
  });
  app.all('/-/ready', count('/-/ready'), reading, (_req, res) => {
    if (refusedUnready(options, res)) return;
    const { reason } = options.ready();
    sendText(res, 200, reason === '' ? 'Canopy is Ready.\n' : `Canopy is Ready: ${reason}\n`);
  });
  mountLifecycle(app, options, count);
  app.all('/metrics', count('/metrics'), onlyMethods('GET'), async (_req, res) => {
    const { contentType, text } = await options.metrics();
    res.setHeader('Content-Type', contentType);
    res.setHeader('Content-Length', Buffer.byteLength(text));
    res.end(text);
  });
}

function mountLifecycle(
  app: Express,
  options: WebOptions,
  count: (route: string) => Middleware,
): void {
  const mount = (path: string, run: (lifecycle: Lifecycle, res: Response) => void): void => {
    app.all(path, count(path), onlyMethods('POST', 'PUT'), (req, res) => {
      const { lifecycle } = options;
      if (!lifecycle) sendText(res, 403, 'Lifecycle API is not enabled.\n');
      // A browser sends such a request from any page without asking.
      else if (isForeign(req)) sendText(res, 403, 'not for pages of another origin\n');
      else run(lifecycle, res);
    });
  };
  mount('/-/reload', ({ reload }, res) => {
    try {
      reload();
      sendText(res, 200, '');
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
      sendText(res, 500, `failed to reload config: ${error.message}\n`);
    }
  });
  mount('/-/quit', ({ quit }, res) => {
    // Stopping closes connections: first the answer.
    res.once('close', quit);
    sendText(res, 200, 'Requesting termination... Goodbye!');
  });
}

type Lifecycle = NonNullable<WebOptions['lifecycle']>;

function isForeign({ headers: { origin, host } }: Request): boolean {
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/** Answers 503 where queries cannot be answered yet. */
function refusedUnready(options: WebOptions, res: ServerResponse): boolean {
  const { ready, reason } = options.ready();
  if (ready) return false;
  const why = reason === '' ? '' : `: ${reason}`;
  sendText(res, 503, `Service Unavailable${why}\n`);
  return true;
}

function mountApi(app: Express, options: WebOptions, route: ApiRoute, count: Middleware): void {
  app.all(route.path, count, onlyMethods(...route.methods), async (req, res) => {
    // A browser sends such a request from any page without asking.
    if (route.changes && isForeign(req)) {
      return sendText(res, 403, 'not for pages of another origin\n');
    }
    if (route.needsData && refusedUnready(options, res)) return;
    await answerApi(options, route.handler, req, res);
  });
}

async function answerApi(
  options: WebOptions,
  handler: Handler,
  req: Request,
  res: Response,
): Promise<void> {
  const gone = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) gone.abort(new CanopyError('canceled', 'the client went away'));
  });
  const { signal } = gone;
  try {
    const form = await readForm(req, options.bodyBytesMax);
    const params = new Params(requestUrl(req).searchParams, form);
    const path = req.params as Record<string, string>;
    const answer = await handler({ options, params, path, signal });
    if (answer === NO_CONTENT) {
      res.statusCode = 204;
      return void res.end();
    }
    res.setHeader('Content-Type', 'application/json');
    await writeSuccess(new JsonOutput(res, signal), answer);
  } catch (error) {
    fail(options, res, error);
  }
}

/** Tells the client, or cuts the answer off where it has begun; logs what is our fault. */
function fail(options: WebOptions, res: Response, error: unknown): void {
  if (res.destroyed) return;
  const told = errorAnswer(malformedPath(error));
  if (told.unexpected) {
    const stack = error instanceof Error ? error.stack : String(error);
    options.log('error', 'a request failed unexpectedly', { path: res.req.path, error: stack });
  }
  if (res.headersSent) res.destroy();
  else {
    // What is left of a body that was too large must not be read as the next request.
    if (told.httpStatus === 413) res.setHeader('Connection', 'close');
    sendError(res, told);
  }
}

/** The router's complaint about `%zz` in a path is the client's mistake. */
function malformedPath(error: unknown): unknown {
  return error instanceof URIError ? new CanopyError('bad_data', 'malformed path') : error;
}

function requestUrl(req: Request): URL {
  // Only path and query are used; the host is a stand-in. A path of `//x` must not become one.
  return new URL(`http://canopy.invalid${req.url.startsWith('/') ? '' : '/'}${req.url}`);
}
