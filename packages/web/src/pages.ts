/**
 * The page at `/`: three files that speak to the API of the process they came from and to nothing
 * else, so the policy allows nothing else.
 */
import { fileURLToPath } from 'node:url';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';

/** The same folder from `src` and from `dist`. */
const UI = fileURLToPath(new URL('../ui/', import.meta.url));

export function mountPages(app: Express, count: RequestHandler): void {
  const guard = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'self'"],
      },
    },
    // Whether there is TLS, and for which hosts, is for the proxy in front to say.
    strictTransportSecurity: false,
    // Browsers refuse it, with a complaint, where there is no TLS.
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
  });
  const files = express.static(UI, {
    index: 'index.html',
    fallthrough: true,
    redirect: false,
    etag: true,
    // Ask every time: a new version must not meet the old script.
    setHeaders: (res) => res.setHeader('Cache-Control', 'no-cache'),
  });
  app.get(['/', '/canopy.js', '/canopy.css', '/canopy.svg'], count, guard, files);
}
