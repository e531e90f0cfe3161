/**
 * The configuration in use: read at the start, replaced whole or not at all.
 */
import { CanopyError, type DurationMs, type Milliseconds } from '@canopy/model';
import type { Settings } from '../cli/settings.js';
import { type LoadedConfig, loadConfig } from '../config/load.js';
import type { Log } from '../log.js';
import type { World } from './world.js';

type ConfigurationWorld = Pick<World, 'clock' | 'files'>;

/** How the last attempt to read the file went. */
export interface ReloadState {
  readonly successful: boolean;
  /** When the configuration in use was read. */
  readonly successTime: Milliseconds;
  /** '' after a success. */
  readonly error: string;
}

const DEFAULT_INTERVALS = { leaf: 60_000, parent: 5000 } as const;

export class Configuration {
  readonly #settings: Settings;
  readonly #world: ConfigurationWorld;
  readonly #log: Log;
  #current: LoadedConfig;
  #state: ReloadState;
  /** Puts a configuration to work; throws where it cannot, having changed nothing. */
  apply: (config: LoadedConfig) => void = () => {};

  /** @throws CanopyError `config_invalid`. */
  constructor(settings: Settings, world: ConfigurationWorld, log: Log) {
    this.#settings = settings;
    this.#world = world;
    this.#log = log;
    this.#current = read(settings, world);
    this.#state = { successful: true, successTime: world.clock.now(), error: '' };
    this.#sayIgnored();
  }

  get current(): LoadedConfig {
    return this.#current;
  }

  get state(): ReloadState {
    return this.#state;
  }

  /**
   * Reads the file anew. One that cannot be used leaves the old configuration running.
   * @throws CanopyError `config_invalid`, and what `apply` throws.
   */
  reload(): void {
    const log = this.#log;
    try {
      const next = read(this.#settings, this.#world);
      this.apply(next);
      if (next.outOfOrderTimeWindow !== this.#current.outOfOrderTimeWindow) {
        log('warn', 'storage.tsdb.out_of_order_time_window is taken over at the next start');
      }
      this.#current = next;
    } catch (error) {
      const text = (error as Error).message;
      this.#state = { ...this.#state, successful: false, error: text };
      log('error', 'the configuration could not be reloaded; the old one runs on', { error: text });
      throw error instanceof CanopyError ? error : new CanopyError('internal', text);
    }
    this.#state = { successful: true, successTime: this.#world.clock.now(), error: '' };
    this.#sayIgnored();
    log('info', 'configuration reloaded', { jobs: this.#current.scrapeConfigs.length });
  }

  #sayIgnored(): void {
    for (const { key, reason, place } of this.#current.ignored) {
      this.#log('warn', `${key} is ignored: ${reason}`, { place });
    }
  }
}

function read(settings: Settings, { files }: ConfigurationWorld): LoadedConfig {
  return loadConfig(settings.configFile ?? '', {
    ...files,
    readFile: (path) => (path === '' ? '' : files.readFile(path)),
    defaultScrapeInterval: DEFAULT_INTERVALS[settings.role] as DurationMs,
  });
}
