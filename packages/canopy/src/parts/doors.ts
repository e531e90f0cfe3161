/** What a process answers requests with: its pages and API, and `/federate` in text or frames. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FRAMES_MEDIA_TYPE, TextFederation, negotiate } from '@canopy/federation';
import type { ErasedView, Head, HeadSnapshot } from '@canopy/head';
import type { TargetsView } from '@canopy/model';
import { type Engine, parseSelector } from '@canopy/promql';
import { type Admin, type Web, createWeb } from '@canopy/web';
import { maskUrls } from '../config/mask.js';
import { PROMETHEUS_VERSION, VERSION } from '../version.js';
import { pathOf } from './journal-paths.js';
import type { CanopyProcess } from './process.js';
import type { Doors } from './world.js';

const CONCURRENT_TEXTS_MAX = 8;
const BODY_BYTES_MAX = 1024 * 1024;

export interface DoorsOptions {
  readonly head: Head;
  readonly engine: Engine;
  /** What of the head may be seen. */
  readonly view: ErasedView;
  readonly admin: Admin | null;
  readonly register: Doors['register'];
  /** That one text may hold. */
  readonly seriesMax: number;
}

/** Until the role is ready queries and `/federate` are answered with 503. */
export function makeDoors(process: CanopyProcess, options: DoorsOptions): Doors {
  const { settings, clock, log, configuration } = process;
  const { head, engine, view, admin, register } = options;
  const text = new TextFederation({
    queryable: view,
    clock,
    lookback: settings.lookback,
    parseSelector,
    seriesMax: options.seriesMax,
    concurrentMax: CONCURRENT_TEXTS_MAX,
    log,
  });
  const federate: Doors['federate'] = (...request) => answerFederate(process, text, ...request);
  const remoteWrite = settings.enableRemoteWriteReceiver
    ? (req: IncomingMessage, res: ServerResponse) => takeRemoteWrite(process, req, res)
    : null;
  const handler: Web = createWeb({
    role: settings.role,
    clock,
    version: VERSION,
    prometheusVersion: PROMETHEUS_VERSION,
    engine,
    queryable: view,
    complete: (reads) => process.watermarks.complete(reads),
    completeByDefault: settings.queryComplete,
    origins: (...asked) => originsOf(head, ...asked),
    pathOf: (ref) => pathOf(process, ref),
    targets: targetsOf(process),
    hierarchy: () => process.hierarchy(),
    configText: () => process.config.maskedText,
    flags: () => maskedFlags(settings.flags),
    configState: () => configuration.state,
    admin,
    lifecycle: settings.enableLifecycle
      ? { reload: () => configuration.reload(), quit: () => process.quit() }
      : null,
    ready: () => {
      const ready = process.notReady === '';
      return { ready, reason: ready ? process.remark() : process.notReady };
    },
    metrics: async () => ({
      contentType: process.metrics.contentType,
      text: await process.metrics.text(),
    }),
    federate,
    register,
    remoteWrite,
    log,
    bodyBytesMax: BODY_BYTES_MAX,
    lookback: settings.lookback,
    corsOrigin: (origin) => settings.corsOrigin.test(origin),
  });
  return { handler, federate, register };
}

function targetsOf(process: CanopyProcess): TargetsView {
  return {
    active: () => {
      const targets = process.scraping?.active() ?? [];
      return targets.map((target) => process.describeTarget(target));
    },
    dropped: () => process.scraping?.dropped() ?? [],
  };
}

async function originsOf(
  head: Head,
  ...asked: Parameters<HeadSnapshot['origins']>
): ReturnType<HeadSnapshot['origins']> {
  const snapshot = head.snapshot();
  try {
    return await snapshot.origins(...asked);
  } finally {
    snapshot.release();
  }
}

/** Flags as they may be shown: passwords in URLs are not. */
function maskedFlags(flags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, maskUrls(value)]));
}

async function takeRemoteWrite(
  process: CanopyProcess,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  if (process.remoteWrite !== undefined) return process.remoteWrite.handle(req, res);
  sayUnavailable(process, res);
}

async function answerFederate(
  process: CanopyProcess,
  text: TextFederation,
  req: IncomingMessage,
  res: ServerResponse,
  url: URL,
): Promise<void> {
  const format = negotiate(req);
  if (format === 'none') {
    res.writeHead(406, { 'content-type': 'text/plain; charset=utf-8' });
    res.end(`This process answers text and ${FRAMES_MEDIA_TYPE}\n`);
    return;
  }
  if (format === 'text') {
    if (process.notReady === '') return text.handle(req, res, url);
  } else if (process.frames !== undefined) return process.frames.handle(req, res, url);
  sayUnavailable(process, res);
}

function sayUnavailable(process: CanopyProcess, res: ServerResponse): void {
  res.writeHead(503, { 'content-type': 'text/plain; charset=utf-8' });
  res.end(`Service Unavailable: ${process.notReady || process.remark()}\n`);
}
