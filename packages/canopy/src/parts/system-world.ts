/** The machine a process runs on. */
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CURSOR_HEADER_BYTES_MAX } from '@canopy/federation';
import type { DurationMs } from '@canopy/model';
import {
  HttpFetcher,
  HttpSender,
  KubernetesConnector,
  SERVICE_ACCOUNT_FOLDER,
  SocketFetcher,
  SystemResolver,
} from '@canopy/scrape';
import { HttpServer } from '@canopy/web';
import type { Settings } from '../cli/settings.js';
import { systemClock } from '../clock.js';
import type { Log } from '../log.js';
import { VERSION } from '../version.js';
import { ActiveQueryLog } from './active-query-log.js';
import { startHousekeeping } from './housekeeping.js';
import { openStore } from './open-store.js';
import { WebConfigFile } from './web-config-file.js';
import type { Doors, Listening, Network, World } from './world.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const BODY_BYTES_MAX = 256 * 1024 * 1024;
const IDLE_TIMEOUT = (5 * MINUTE) as DurationMs;
/** Beside cursors. */
const OTHER_HEADER_BYTES = 64 * 1024;

const ANSWER_BYTES_MAX = 1024;

const sender = new HttpSender({
  clock: systemClock,
  userAgent: `Canopy/${VERSION}`,
  idleTimeout: IDLE_TIMEOUT,
  env: process.env,
});

const sendJson: World['sendJson'] = (config) => (method, url, headers, body, timeout) =>
  sender.send({ method, url, headers, body, timeout, answerBytesMax: ANSWER_BYTES_MAX }, config);

export const systemWorld: World = {
  clock: systemClock,
  randomBytes: (size) => randomBytes(size),
  hostname: hostname(),
  ownsProcess: true,
  files: {
    readFile: (path) => readFileSync(path, 'utf8'),
    listFolder: (path) => readdirSync(path),
    env: process.env,
  },
  sendJson,
  openStore: (settings, log, onCorrupt) => openStore(settings, systemClock, log, onCorrupt),
  openActiveQueries,
  listen,
  connect,
  startHousekeeping,
};

/** Beside the embedded store, whose folder is this process's alone; else named by the port. */
function openActiveQueries(settings: Settings, log: Log): ActiveQueryLog | undefined {
  const { storagePath, storeUrl, listenPort, queryMaxConcurrency } = settings;
  const name = storeUrl === undefined ? 'queries.active' : `queries-${listenPort}.active`;
  return ActiveQueryLog.open(join(storagePath, name), queryMaxConcurrency, systemClock, log);
}

async function listen({ handler }: Doors, settings: Settings, log: Log): Promise<Listening> {
  const { webConfigFile } = settings;
  const config = webConfigFile === undefined ? undefined : new WebConfigFile(webConfigFile, log);
  const server = new HttpServer({
    handler,
    clock: systemClock,
    requestTimeout: MINUTE as DurationMs,
    keepAliveTimeout: (2 * MINUTE) as DurationMs,
    headerBytesMax: CURSOR_HEADER_BYTES_MAX + OTHER_HEADER_BYTES,
    connectionsMax: 2048,
    closeTimeout: SECOND as DurationMs,
    ...(config && { guard: () => config.guard }),
  });
  const { host, port } = await server.listen(settings.listenHost, settings.listenPort);
  return {
    address: `${host}:${port}`,
    refused: server.refused,
    problem: () => config?.problem ?? '',
    close: () => server.close(),
  };
}

function connect({ pullsFrames }: { readonly pullsFrames: boolean }): Network {
  const fetching = {
    clock: systemClock,
    userAgent: `Canopy/${VERSION}`,
    bodyBytesMax: BODY_BYTES_MAX,
    idleTimeout: IDLE_TIMEOUT,
  };
  const http = new HttpFetcher({ ...fetching, env: process.env });
  const plain = new SocketFetcher({ ...fetching, fallback: http });
  const kubernetes = new KubernetesConnector({
    clock: systemClock,
    env: process.env,
    serviceAccountFolder: SERVICE_ACCOUNT_FOLDER,
    userAgent: `Canopy/${VERSION}`,
  });
  return {
    // Pages of frames are taken apart without a copy, so their buffers cannot be used again.
    fetcher: pullsFrames ? http : plain,
    resolver: new SystemResolver({ resolvConf: '/etc/resolv.conf' }),
    kubernetes,
    close: () => {
      kubernetes[Symbol.dispose]();
      plain[Symbol.dispose]();
      http[Symbol.dispose]();
    },
  };
}
