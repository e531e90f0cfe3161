export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Takes what is worth a line; `canopy` brings the logger. */
export type ScrapeLog = (
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;
