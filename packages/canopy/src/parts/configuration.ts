/**
 * The configuration in use: read at the start, replaced whole or not at all.
 */
import { CanopyError, type DurationMs, type Milliseconds } from '@canopy/model';
import type { HttpClientConfig } from '@canopy/scrape';
import type { Settings } from '../cli/settings.js';
import { loadHttpConfigFile } from '../config/http-config-file.js';
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

/** The configuration, and what stands beside it in files of its own. */
export interface RunningConfig extends LoadedConfig {
  /** How the parent, and leaves that announced themselves, are spoken to. */
  readonly federationHttp: HttpClientConfig;
}

export class Configuration {
  readonly #settings: Settings;
  readonly #world: ConfigurationWorld;
  readonly #log: Log;
  #current: RunningConfig;
  #state: ReloadState;
  /** Puts a configuration to work; throws where it cannot, having changed nothing. */
  apply: (config: RunningConfig) => void = () => {};
  /** Another configuration is in use. */
  onReloaded: () => void = () => {};

  /** @throws CanopyError `config_invalid`. */
  constructor(settings: Settings, world: ConfigurationWorld, log: Log) {
    this.#settings = settings;
    this.#world = world;
    this.#log = log;
    this.#current = read(settings, world);
    this.#state = { successful: true, successTime: world.clock.now(), error: '' };
    this.#sayIgnored();
  }

  get current(): RunningConfig {
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
    this.onReloaded();
    log('info', 'configuration reloaded', { jobs: this.#current.scrapeConfigs.length });
  }

  #sayIgnored(): void {
    for (const { key, reason, place } of this.#current.ignored) {
      this.#log('warn', `${key} is ignored: ${reason}`, { place });
    }
  }
}

function read(settings: Settings, { files }: ConfigurationWorld): RunningConfig {
  const federationHttp = loadHttpConfigFile(settings.federationHttpConfigFile, files.readFile);
  const config = loadConfig(settings.configFile ?? '', {
    ...files,
    readFile: (path) => (path === '' ? '' : files.readFile(path)),
    defaultScrapeInterval: DEFAULT_INTERVALS[settings.role] as DurationMs,
  });
  return { ...config, federationHttp };
}
