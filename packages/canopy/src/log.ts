/**
 * Structured logs: one JSON line each on standard error. Library packages get a function and know
 * nothing of the logger.
 */
import { type Logger, destination, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** Makes the process's log. Written at once, so that the last line before a crash is there. */
export function makeLog(level: LogLevel, role: string, name: string): Log {
  const logger: Logger = pino(
    {
      level,
      base: { role, process: name },
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'msg',
    },
    destination({ fd: 2, sync: true }),
  );
  return (severity, message, fields = {}) => logger[severity](fields, message);
}
