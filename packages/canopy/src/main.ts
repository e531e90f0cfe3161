/**
 * `canopy`: the command line.
 */
import { readFileSync } from 'node:fs';
import { CanopyError, errorText } from '@canopy/model';
import { FEATURES, type FlagValues, type Role } from './cli/flags.js';
import { runProgram } from './cli/program.js';
import { type Settings, settingsOf } from './cli/settings.js';
import { checkConfig } from './commands/check-config.js';
import { checkMetrics } from './commands/check-metrics.js';
import { checkWebConfig } from './commands/check-web-config.js';
import { runLedger } from './commands/ledger.js';
import { runLocal } from './commands/local.js';
import { runQuery } from './commands/query.js';
import { systemClock } from './clock.js';
import { runTree } from './commands/tree.js';
import { runVerify } from './commands/verify-ledger.js';
import { openToRead } from './parts/open-store.js';
import { loadWebConfig } from './config/web-config.js';
import { type Log, makeLog } from './log.js';
import { systemWorld } from './parts/system-world.js';
import type { World } from './parts/world.js';
import { explainFault, explainStart } from './parts/explain-fault.js';
import type { CanopyProcess } from './parts/process.js';
import { startLeaf } from './roles/leaf.js';
import { startParent } from './roles/parent.js';

type Start = (
  settings: Settings,
  log: Log,
  world: World,
) => Promise<{ process: CanopyProcess; up: (signal: AbortSignal) => Promise<void> }>;

const ROLES: Readonly<Record<Role, Start>> = { leaf: startLeaf, parent: startParent };

/** Runs a role until a signal comes. @returns the exit code. */
async function runRole(role: Role, values: FlagValues): Promise<number> {
  const settings = settingsOf(role, values, speaksTls(values.get('web.config.file')));
  const log = makeLog(settings.logLevel, role, settings.name);
  for (const name of settings.features) {
    if (!FEATURES.includes(name)) log('warn', 'unknown name in --enable-feature', { name });
  }
  const abort = new AbortController();
  // Until the process is up there is nothing to reload; the signal must not end it.
  let reload: (() => void) | undefined;
  let quit = (): void => {};
  const signalled = new Promise<number>((done) => {
    const stop = (why: string): void => {
      log('info', 'stopping', { why });
      abort.abort(new CanopyError('canceled', 'stopping'));
      done(0);
    };
    quit = () => stop('asked at /-/quit');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(signal));
    process.on('SIGHUP', () => reload?.());
    // Started by `canopy local`: its end is ours.
    process.on('disconnect', () => stop('the starting process ended'));
  });
  // What a library throws on its own: one clear line instead of a stack alone, then the end. The
  // next start recovers as after kill -9.
  process.on('uncaughtException', (error) => {
    log('error', explainFault(error, settings), { stack: error.stack });
    process.exit(1);
  });
  let running: Awaited<ReturnType<Start>>;
  try {
    running = await ROLES[role](settings, log, systemWorld);
  } catch (error) {
    const { message, exitCode } = explainStart(error, settings);
    process.stderr.write(`canopy: ${message}\n`);
    return exitCode;
  }
  const { process: own } = running;
  own.quit = quit;
  reload = () => {
    try {
      own.configuration.reload();
    } catch {
      // Logged, counted and shown where it happened.
    }
  };
  const failed = running.up(abort.signal).then(
    () => signalled,
    (error: unknown) => {
      if (abort.signal.aborted) return 0;
      const { message, exitCode } = explainStart(error, settings);
      log('error', message);
      return exitCode;
    },
  );
  const exitCode = await Promise.race([signalled, failed]);
  await running.process.life.stop();
  log('info', 'stopped');
  return exitCode;
}

/** @throws CanopyError `config_invalid`. */
function speaksTls(webConfigFile: string | undefined): boolean {
  if (webConfigFile === undefined) return false;
  return loadWebConfig(webConfigFile, (path) => readFileSync(path, 'utf8')).guard.tls !== undefined;
}

const complain = (line: string): void => void process.stderr.write(`${line}\n`);

async function standardInput(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function verifyLedger(values: FlagValues): Promise<number> {
  const settings = settingsOf('parent', values);
  const { stdout, stderr } = process;
  return runVerify({
    ...{ stdout, stderr, monotonic: () => systemClock.monotonic() },
    open: () => openToRead(settings, systemClock),
  });
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

try {
  const exitCode = await runProgram(process.argv.slice(2), {
    leaf: (values) => runRole('leaf', values),
    parent: (values) => runRole('parent', values),
    local: runLocal,
    query: (expr, options) => runQuery({ expr, ...options, stdout: process.stdout }),
    tree: (options) => runTree({ ...options, stdout: process.stdout }),
    ledger: (options) => runLedger({ ...options, stdout: process.stdout }),
    verifyLedger: (values) => verifyLedger(values),
    checkMetrics: async () => checkMetrics(await standardInput(), complain),
    checkWebConfig: (files) => Promise.resolve(checkWebConfig(files, print)),
    checkConfig: (file) => Promise.resolve(checkConfig(file, process.env, print)),
  });
  // Timers of libraries must not keep a stopped process alive.
  process.exit(exitCode);
} catch (error) {
  process.stderr.write(
    `canopy: ${error instanceof CanopyError ? error.message : errorText(error)}\n`,
  );
  if (!(error instanceof CanopyError) && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}
