import { readFileSync } from 'node:fs';

/** Canopy's own version, from its package. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

/** The Prometheus whose HTTP API and PromQL are followed; what clients read in `buildinfo`. */
export const PROMETHEUS_VERSION = '3.14.0';
