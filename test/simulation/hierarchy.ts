/** The machines of a plan, their stores, who scrapes what; and the plan's faults as they are done to them. */
import { Database, type LinkWeather } from './database.js';
import { Exporter } from './exporter.js';
import type { Canaries } from './canaries.js';
import { Machine, type MachineOptions, type Site } from './machine.js';
import type { Fault, Plan } from './plan.js';
import { Chance } from './random.js';

/** What the filtered parent asks for. */
export const FILTER = '{__name__=~"scrape_number|now_and_then|born"}';
export const isFiltered = (name: string): boolean =>
  name === 'scrape_number' || name === 'now_and_then' || name === 'born';

const MINUTE = 60_000;
/** A stop takes no longer. */
const LEAVE_MS = 20_000;

export class Hierarchy {
  readonly plan: Plan;
  readonly site: Site;
  readonly machines = new Map<string, Machine>();
  readonly databases = new Map<string, Database>();
  readonly exporters: Exporter[] = [];
  /** Leaves that scrape a target. */
  readonly scrapers = new Map<string, Set<string>>();
  /** Machines whose clock was set. */
  readonly #canaries: Canaries;

  constructor(plan: Plan, site: Site, canaries: Canaries) {
    this.plan = plan;
    this.site = site;
    this.#canaries = canaries;
    for (const target of plan.targets) {
      const exporter = new Exporter(target, site.time);
      this.exporters.push(exporter);
      site.network.exporters.set(target, exporter);
      this.scrapers.set(target, new Set([plan.scrapedBy[target]]));
    }
    for (const leaf of plan.leaves) this.#addLeaf(leaf);
    const parents = this.#database('dbp', plan.isParentEmbedded, plan.parentLink);
    this.#addParent('p1', parents, () => '[]');
    if (plan.hasStandby && !plan.isParentEmbedded) this.#addParent('p2', parents, () => '[]');
    const addresses = ['p1', 'p2'].flatMap((name) => this.machines.get(name)?.host ?? []);
    site.network.aliases.set('p:9090', addresses);
    if (plan.above !== 'none') this.#addGrand();
    if (plan.hasFiltered) this.#addFiltered();
    site.history.databaseOf = (host) => this.machines.get(host.split(':')[0])?.options.database;
    const listed: Readonly<Record<string, readonly string[]>> = {
      g: ['p1', 'p2', plan.leaves[0]],
      f: plan.leaves,
    };
    const hostsOf = (names: readonly string[] = []): Set<string> =>
      new Set(names.flatMap((name) => this.machines.get(name)?.host ?? []));
    site.history.listedBy = (host) => hostsOf(listed[host.split(':')[0]]);
    site.history.writerOf = (database) => database.options.name;
    site.history.lifeOf = (database) =>
      [...this.machines.values()].find(({ options }) => options.database === database)?.lives ?? 0;
  }

  /** Names of machines that a fault may hit: all of them. */
  machine(name: string): Machine {
    const found = this.machines.get(name);
    if (found === undefined) throw new Error(`BUG: no machine ${name}`);
    return found;
  }

  do(fault: Fault): void {
    const { time, network, trace } = this.site;
    trace.note(`fault ${JSON.stringify(fault)}`, `fault: ${fault.kind}`);
    if ('machine' in fault) return this.#toMachine(this.machine(fault.machine), fault);
    if ('database' in fault) return this.#toDatabase(this.databases.get(fault.database)!, fault);
    if (fault.kind === 'cut') {
      const [a, b] = [this.machine(fault.a), this.machine(fault.b)];
      return network.cut(a.host, b.host, fault.how, fault.ms);
    }
    if (fault.kind === 'target moves') return this.#move(fault);
    const exporter = network.exporters.get(fault.target)!;
    if (fault.kind === 'target down') exporter.downUntil = time.now + fault.ms;
    else exporter.hungUntil = time.now + fault.ms;
  }

  /** Who has not left for good. */
  present(): Machine[] {
    return [...this.machines.values()].filter(({ isGone }) => !isGone);
  }

  /** Everything works from now on; everybody is there who has not left. */
  heal(): void {
    const { network, trace, time, deaths } = this.site;
    trace.note('healed');
    Object.assign(deaths, { atRead: 0, atEvent: 0, inRecovery: 0, inChore: 0 });
    network.mend();
    for (const { weather } of this.databases.values()) calm(weather);
    for (const database of this.databases.values()) {
      database.awayUntil = 0;
      database.slowUntil = 0;
    }
    for (const exporter of this.exporters) {
      exporter.downUntil = 0;
      exporter.hungUntil = 0;
    }
    for (const machine of this.present()) {
      // What was put off comes at once.
      machine.frozenUntil = Math.min(machine.frozenUntil, time.now);
      time.thaw(machine);
      machine.start();
    }
  }

  #toMachine(machine: Machine, fault: Extract<Fault, { machine: string }>): void {
    const { time } = this.site;
    if (fault.kind === 'freeze') {
      if (machine.life !== undefined) machine.frozenUntil = time.now + fault.ms;
      return;
    }
    if (fault.kind === 'clock') {
      machine.clockOffset += fault.by;
      return;
    }
    if (fault.kind === 'leaf comes') {
      this.#move({ target: fault.target, to: machine.name, overlap: 0 });
      return machine.start();
    }
    if (fault.kind === 'leaf leaves') return this.#leave(machine, fault);
    if (machine.isOff) return;
    machine.isOff = true;
    if (fault.kind === 'stop') void machine.stop();
    else machine.kill('killed');
    if (fault.kind === 'kill and clock') machine.clockOffset += fault.by;
    if (fault.kind === 'leaf loses disk') {
      machine.lostDisk.push(machine.lives);
      machine.options.database.wipe();
    }
    time.at(time.now + fault.away, () => machine.start());
  }

  #leave(machine: Machine, { how, to }: Extract<Fault, { kind: 'leaf leaves' }>): void {
    const { time } = this.site;
    machine.isGone = true;
    const isRunning = !machine.isOff;
    machine.isOff = true;
    if (isRunning && how === 'stop') void machine.stop();
    else machine.kill('killed for good');
    // A machine that is switched off does not come to an end by itself.
    time.at(time.now + LEAVE_MS, () => machine.kill('switched off'));
    for (const [target, scrapers] of this.scrapers) {
      if (scrapers.has(machine.name)) this.#move({ target, to, overlap: 0 });
    }
  }

  #toDatabase(database: Database, fault: Extract<Fault, { database: string }>): void {
    const { time } = this.site;
    if (fault.kind === 'store away') database.awayUntil = time.now + fault.ms;
    else if (fault.kind === 'store wiped') database.wipe();
    else if (fault.kind === 'store falls back') database.fallBack(fault.ms);
    else if (fault.kind === 'store cut') database.cut(fault.writes);
    else if (fault.kind === 'node falls back') database.nodeFallsBack(fault.node, fault.ms);
    else if (fault.kind === 'record damaged') database.damage(fault.back);
    else if (fault.kind === 'damage at rest') database.damageAtRest(fault.what, fault.how);
    else {
      database.slowUntil = time.now + fault.ms;
      database.slowMs = 2000;
    }
  }

  #move({ target, to, overlap }: { target: string; to: string; overlap: number }): void {
    const scrapers = this.scrapers.get(target)!;
    // Nobody gives a target to what is not there any more.
    if (this.machine(to).isGone) return;
    const before = [...scrapers].filter((leaf) => leaf !== to);
    const arrive = (): void => {
      scrapers.add(to);
      this.#reload(to);
    };
    const leave = (): void => {
      for (const leaf of before) {
        scrapers.delete(leaf);
        this.#reload(leaf);
      }
    };
    const { time } = this.site;
    const [first, second] = overlap > 0 ? [arrive, leave] : [leave, arrive];
    first();
    time.at(time.now + Math.abs(overlap), second);
  }

  #reload(leaf: string): void {
    const { process, name } = this.machine(leaf);
    this.site.trace.note(`${name} reloads`);
    process?.configuration.reload();
  }

  #database(name: string, isEmbedded: boolean, weather: LinkWeather): Database {
    const { time, history, trace } = this.site;
    const chance = new Chance(this.plan.seed, name);
    const damages = new Chance(this.plan.seed, `${name} damages`);
    const refusals = new Chance(this.plan.seed, `${name} refusals`);
    const canaries = this.#canaries;
    const shared = { time, history, trace, canaries };
    const database = new Database({ name, isEmbedded, chance, damages, refusals, ...shared });
    Object.assign(database.weather, weather);
    this.databases.set(name, database);
    return database;
  }

  #add(options: MachineOptions): void {
    this.machines.set(options.name, new Machine(options, this.site));
  }

  #addLeaf(name: string): void {
    const { scrapeMs, journalMs, leafLink, pageBytes } = this.plan;
    const targets = (): string => {
      const own = this.plan.targets.filter((target) => this.scrapers.get(target)!.has(name));
      return own.map((target) => `"${target}"`).join(', ');
    };
    this.#add({
      ...{ name, role: 'leaf', database: this.#database(`db${name}`, true, leafLink) },
      flags: {
        parent: 'http://p:9090',
        'federation.max-page-bytes': `${pageBytes}B`,
        'journal.retention': journalMs === 0 ? '24h' : `${journalMs}ms`,
      },
      configText: () =>
        `global: { scrape_interval: ${scrapeMs}ms, scrape_timeout: ${scrapeMs}ms }\n` +
        `scrape_configs: [{ job_name: farm, static_configs: [{ targets: [${targets()}] }] }]\n`,
    });
  }

  #addParent(name: string, database: Database, jobs: () => string): void {
    const { pullMs, pageBytes } = this.plan;
    this.#add({
      ...{ name, role: 'parent', database },
      flags: { 'blocks.window': '20s', 'federation.max-page-bytes': `${pageBytes}B` },
      configText: () =>
        `global: { scrape_interval: ${pullMs}ms, scrape_timeout: ${pullMs}ms }\n` +
        `scrape_configs: ${jobs()}\n`,
    });
  }

  #addGrand(): void {
    const { leaves, parentLink } = this.plan;
    const below = ['p1:9090'];
    if (this.machines.has('p2')) below.push('p2:9090');
    if (this.plan.above === 'diamond') below.push(`${leaves[0]}:9095`);
    this.#addParent('g', this.#database('dbg', false, parentLink), () => jobText(below, ''));
  }

  #addFiltered(): void {
    const { leaves, parentLink } = this.plan;
    const below = leaves.map((leaf) => `${leaf}:9095`);
    this.#addParent('f', this.#database('dbf', false, parentLink), () => jobText(below, FILTER));
  }
}

function jobText(targets: readonly string[], filter: string): string {
  const list = targets.map((target) => `"${target}"`).join(', ');
  const params = filter === '' ? '' : `params: { "match[]": ['${filter}'] }, `;
  return `[{ job_name: below, metrics_path: /federate, ${params}static_configs: [{ targets: [${list}] }] }]`;
}

function calm(weather: LinkWeather): void {
  for (const key of Object.keys(weather) as Array<keyof LinkWeather>) weather[key] = 0;
}

export const HEAL_MS_MAX = 3 * MINUTE;
