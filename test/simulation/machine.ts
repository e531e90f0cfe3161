/** A machine with one program: started, killed, frozen, its clock set; the supervisor starts it again. */
import { CanopyError, errorText } from '@canopy/model';
import {
  type CanopyProcess,
  FLAGS,
  type Role,
  type World,
  settingsOf,
  startLeaf,
  startParent,
} from 'canopy/testing';
import type { Canaries } from './canaries.js';
import type { Database } from './database.js';
import type { History } from './history.js';
import type { Network } from './network.js';
import type { Chance } from './random.js';
import { Life, type Machinery, type SimTime } from './time.js';
import type { Trace } from './trace.js';
import { simWorld } from './world.js';

export interface MachineOptions {
  readonly name: string;
  readonly role: Role;
  readonly database: Database;
  /** Flags beyond the defaults. */
  readonly flags: Readonly<Record<string, string>>;
  configText: () => string;
}

/** Shares of what a process waits for at which it dies instead. */
export interface DeathWeather {
  /** Of what it asks its store to read. */
  atRead: number;
  /** Of everything: answers, timers, requests. */
  atEvent: number;
  /** Of everything before it is ready, and while a chore of its housekeeping runs. */
  inRecovery: number;
  inChore: number;
}

/** What all machines share. */
export interface Site {
  readonly time: SimTime;
  readonly network: Network;
  readonly chance: Chance;
  readonly deaths: DeathWeather;
  /** Of deaths alone. */
  readonly doom: Chance;
  /** Of the epochs of journals alone. */
  readonly epochs: Chance;
  readonly canaries: Canaries;
  readonly history: History;
  readonly trace: Trace;
}

const PORTS = { leaf: 9095, parent: 9090 } as const;

export class Machine implements Machinery {
  readonly options: MachineOptions;
  readonly host: string;
  frozenUntil = 0;
  clockOffset = 0;
  /** Not to be started again by the supervisor. */
  isOff = true;
  /** Not to be started again by anybody. */
  isGone = false;
  /** The last of its runs before each loss of its disk. */
  readonly lostDisk: number[] = [];
  /** Chores of its housekeeping that run. */
  chores = 0;
  kills = 0;
  /** What fails its checks, as its processes counted it. */
  corruptSeen = 0;
  lives = 0;
  life: Life | undefined;
  process: CanopyProcess | undefined;
  readonly #site: Site;

  constructor(options: MachineOptions, site: Site) {
    this.options = options;
    this.host = `${options.name}:${PORTS[options.role]}`;
    this.#site = site;
  }

  /** By all its processes so far. */
  get corruptCounted(): number {
    return this.corruptSeen + (this.process?.corrupt.count ?? 0);
  }

  get name(): string {
    return this.options.name;
  }

  /** Wall clock, whether anything runs or not. */
  get now(): number {
    return new Life(this.#site.time, this).now();
  }

  /** Nothing where it runs already. */
  start(): void {
    if (this.isGone) return;
    this.isOff = false;
    if (this.life !== undefined) return;
    const { time, trace, history, network, chance, epochs, deaths, doom } = this.#site;
    const { role, database, configText, name } = this.options;
    const life = new Life(time, this);
    this.life = life;
    life.mayDie = () => this.#diesNow();
    const generation = ++this.lives;
    trace.note(`${name} starts`);
    const world = simWorld({
      ...{ host: this.host, life, database, network, chance, epochs, configText },
      onScraped: (target, number) => {
        const seen = { target, number, at: time.now, wall: life.now() };
        history.scraped.push({ leaf: name, life: generation, ...seen });
      },
      die: (why) => {
        if (this.life === life) this.kill(why);
      },
      diesAtRead: () => doom.isHit(deaths.atRead),
      onChore: (change) => {
        if (this.life === life) this.chores += change;
      },
    });
    void this.#run(role, world, life).catch((error: unknown) => {
      if (!life.isAlive) return;
      if (!(error instanceof CanopyError)) history.fault('bugs', `${name}: ${stackOf(error)}`);
      this.kill(`ended by itself: ${errorText(error)}`);
    });
  }

  /** Before whatever it waits for. */
  #diesNow(): boolean {
    const { deaths, doom } = this.#site;
    const isReady = this.process?.notReady === '';
    const why = this.chores > 0 ? 'in housekeeping' : isReady ? 'at an event' : 'in recovery';
    const part = this.chores > 0 ? deaths.inChore : isReady ? 0 : deaths.inRecovery;
    if (!doom.isHit(part + deaths.atEvent)) return false;
    this.kill(why);
    return true;
  }

  async #run(role: Role, world: World, life: Life): Promise<void> {
    const { trace, history, canaries } = this.#site;
    const { name, flags } = this.options;
    const start = role === 'leaf' ? startLeaf : startParent;
    const abort = new AbortController();
    const { process, up } = await start(
      settingsFor(role, this.host, name, flags),
      (level, message, fields) => {
        if (!life.isAlive) return;
        if (level === 'debug') return;
        trace.remark(`${name} ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
        if (message.includes('BUG') || JSON.stringify(fields ?? {}).includes('BUG')) {
          history.fault('bugs', `${name}: ${message} ${JSON.stringify(fields)}`);
        }
      },
      world,
    );
    if (!life.isAlive) return;
    this.process = process;
    canaries.spoilProcess(process);
    await up(abort.signal);
  }

  kill(why: string): void {
    const { life } = this;
    if (life === undefined) return;
    const { trace, time, chance, canaries } = this.#site;
    trace.note(`${this.name} dies: ${why}`, kindOfDeath(why));
    canaries.spoilDeath(why, this.options.database);
    this.kills++;
    this.#end();
    if (this.isOff) return;
    const again = chance.between(200, 3000);
    time.at(time.now + again, () => {
      if (!this.isOff) this.start();
    });
  }

  /** As a signal does: what is under way is brought to an end. */
  async stop(): Promise<void> {
    this.isOff = true;
    const { life, process } = this;
    this.#site.trace.note(`${this.name} is stopped`);
    await process?.life.stop();
    if (this.life !== life) return;
    this.#end();
    // It was started again while it came to its end.
    if (!this.isOff) this.start();
  }

  #end(): void {
    this.corruptSeen += this.process?.corrupt.count ?? 0;
    this.life?.end();
    this.life = undefined;
    this.process = undefined;
    this.chores = 0;
    this.frozenUntil = 0;
  }
}

/** By which it is counted. */
function kindOfDeath(why: string): string {
  const [how] = why.split(' ');
  if (how === 'before' || how === 'after' || how === 'amid') return `died ${how} a write`;
  if (how === 'reading') return 'died at a read';
  return how === 'in' || how === 'at' ? `died ${why}` : 'died otherwise';
}

const stackOf = (error: unknown): string => (error as Error | null)?.stack ?? String(error);

function settingsFor(
  role: Role,
  host: string,
  name: string,
  given: Readonly<Record<string, string>>,
): ReturnType<typeof settingsOf> {
  const values = new Map<string, string>();
  for (const flag of FLAGS) {
    const value = flag.default[role];
    if (value !== undefined) values.set(flag.name, value);
  }
  values.set('config.file', 'prometheus.yml');
  values.set('web.listen-address', host);
  values.set('web.external-url', `http://${host}`);
  values.set('leaf.name', name);
  for (const [flag, value] of Object.entries(given)) values.set(flag, value);
  return settingsOf(role, values);
}
