/**
 * Structured logs: one JSON line each on standard error. Library packages get a function and know
 * nothing of the logger.
 */
import { type Logger, destination, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** Lines that could not be written; more are dropped. */
const UNWRITTEN_MAX = 1 << 20;

/** Makes the process's log. Written at once, so that the last line before a crash is there. */
export function makeLog(level: LogLevel, role: string, name: string): Log {
  const out = destination({ fd: 2, sync: true, maxLength: UNWRITTEN_MAX });
  // A log on a full disk, or one that nobody reads any more, ends no process. What it did not take goes out with a later line.
  out.on('error', () => undefined);
  // Libraries write there as well.
  process.stderr.on('error', () => undefined);
  const logger: Logger = pino(
    {
      level,
      base: { role, process: name },
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'msg',
    },
    out,
  );
  return (severity, message, fields = {}) => logger[severity](fields, message);
}
