/** The connection to Redis: whether it can be used, errors in the words of the port, bounded commands. */
import { CanopyError, type Clock, type DurationMs, asDuration, sleep } from '@canopy/model';
import type { Redis } from 'ioredis';
import type { StoreHealth, StoreLog } from '../health.js';
import { type RedisAddress, describeAddress, parseAddress } from './address.js';
import {
  type AclQuestion,
  type Facts,
  describeServer,
  findComplaint,
  findWait,
  parseInfo,
  readFacts,
} from './inspect.js';
import { type Commands, RedisLink, type RedisTls, nameOf } from './link.js';
import {
  OUTCOMES,
  firstLine,
  isElsewhere,
  isSecret,
  isTimeout,
  isUnknownScript,
  outcomeWord,
  translate,
} from './outcomes.js';
import { ReplicaWait } from './replica-wait.js';
import { type WriteForms, runWrite } from './scripts.js';

export interface ConnectionOptions {
  /** As `parseAddress` reads it. */
  readonly url: string;
  /** For `rediss` addresses. */
  readonly tls?: RedisTls | undefined;
  readonly clock: Clock;
  readonly commandTimeout: DurationMs;
  /** Replicas that must have a commit before it counts; 0: none. */
  readonly waitReplicas: number;
  /** How long they are waited for. */
  readonly waitTimeout: DurationMs;
  readonly log: StoreLog;
}

/** What cannot be used now is looked at again after this long: somebody may have mended it. */
const RECHECK_MS = 1000;
/** Of a waited write: at its old master, with a script unknown at the new one. */
const TRIES_MAX = 3;
const PROBE_PAUSE = asDuration(200);

/** Memory of the servers that are written to. */
export interface RedisMemory {
  readonly usedBytes: number;
  /** 0: no limit. */
  readonly limitBytes: number;
}

export class RedisConnection {
  readonly #options: ConnectionOptions;
  readonly #acl: AclQuestion;
  readonly #address: RedisAddress;
  /** Hosts and ports, never user or password. */
  readonly #place: string;
  readonly #link: RedisLink;
  /** Where commits wait for replicas: WAIT holds up what comes after it on its connection. */
  readonly #waiting: ReplicaWait | undefined;
  #checked: Promise<void> | undefined;
  #checkedAt = 0;
  #unsuitable: CanopyError | undefined;
  /** What a server is busy with before it takes commands; '' where it does. */
  #notYet = '';
  #lastError = '';
  #closed = false;
  #message = '';
  /** Servers of which a command timed out and none was answered since: others fail at once. */
  readonly #silent = new Set<string>();

  /**
   * `acl`: what the server's user must be allowed, asked of every server.
   * @throws CanopyError `storage_unsuitable` for an address that is none.
   */
  constructor(options: ConnectionOptions, acl: AclQuestion) {
    this.#options = options;
    this.#acl = acl;
    this.#address = readAddress(options);
    this.#place = describeAddress(this.#address);
    const tls = this.#address.tls ? (options.tls ?? {}) : undefined;
    const link = { address: this.#address, tls, commandTimeoutMs: options.commandTimeout };
    this.#link = new RedisLink(link);
    if (options.waitReplicas > 0) this.#waiting = new ReplicaWait(link, options);
    this.#link.on('error', (error) => this.#noteError(error));
    this.#link.on('node error', (error) => this.#noteError(error));
    this.#link.on('ready', () => void this.#check());
    this.#link.on('close', () => this.#noteClosed());
    // A node that joins, or was promoted, is looked at like the first ones.
    this.#link.on('+node', () => {
      if (this.#link.isReady) void this.#check();
    });
  }

  get health(): StoreHealth {
    if (this.#unsuitable !== undefined) {
      return { healthy: false, message: this.#unsuitable.message };
    }
    if (this.#notYet !== '') return { healthy: false, message: this.#notYet };
    const [silent] = this.#silent;
    if (silent !== undefined || !this.#link.isReady || this.#checked === undefined) {
      const reason = this.#lastError === '' ? 'not connected' : this.#lastError;
      return { healthy: false, message: `${this.#at(silent)} does not answer: ${reason}` };
    }
    return { healthy: true, message: this.#message };
  }

  /**
   * Connects; resolves also where Redis does not answer (it is tried again until it does).
   * @throws CanopyError `storage_unsuitable` where a server answers that cannot be used.
   */
  async open(): Promise<void> {
    const { clock, commandTimeout, log } = this.#options;
    try {
      const connected = Promise.all([
        this.#link.connect().then(() => this.#check()),
        this.#waiting?.open(),
      ]);
      // Where no sentinel answers, the first try has no end.
      await Promise.race([connected, sleep(clock, commandTimeout)]);
    } catch (error) {
      this.#noteError(error);
    }
    const word = outcomeWord(new Error(this.#lastError));
    if (this.#unsuitable === undefined && isSecret(word)) {
      this.#unsuitable = translate(new Error(this.#lastError), this.#at());
    }
    if (this.#unsuitable !== undefined) {
      await this.close();
      throw this.#unsuitable;
    }
    if (!this.health.healthy) log('warn', this.health.message);
  }

  /**
   * Runs commands; what goes wrong comes out as a CanopyError of the port. With the key they are about, only
   * the server that holds it matters.
   */
  async run<T>(commands: (client: Commands) => Promise<T>, key = ''): Promise<T> {
    const name = await this.#becomeUsable(key);
    try {
      return await commands(this.#link.commands);
    } catch (error) {
      throw this.#failed(error, key, name);
    }
  }

  /** As `run`, for a write that counts once `waitReplicas` replicas have it. Repeating it must be safe. */
  async runWaited<T>(write: WriteForms<T>, key: string): Promise<T> {
    const waiting = this.#waiting;
    if (waiting === undefined) return this.run((client) => runWrite(client, write), key);
    const name = await this.#becomeUsable(key);
    let form = write.short;
    for (let tries = 1; ; tries++) {
      try {
        return await waiting.run(form, key);
      } catch (error) {
        if (tries === TRIES_MAX || !isElsewhere(error)) throw this.#failed(error, key, name);
        if (isUnknownScript(error)) form = write.whole;
        else await this.#findMaster(key, name);
      }
    }
  }

  /** In a cluster as if every master were as full as the fullest one: it is the first to refuse writes. */
  async memory(): Promise<RedisMemory> {
    if (this.#silent.size > 0) throw new CanopyError('storage_unavailable', this.health.message);
    const reports = await this.run(async () =>
      Promise.all(this.#link.masters().map((node) => readMemory(node))),
    );
    const known = reports.filter((report) => report !== undefined);
    // Somebody changed it, or a replica was promoted that has it so.
    if (known.some(({ evicts }) => evicts)) await this.#check();
    const limited = known.filter(({ limitBytes }) => limitBytes > 0);
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    if (limited.length === 0) {
      return { usedBytes: sum(known.map(({ usedBytes }) => usedBytes)), limitBytes: 0 };
    }
    const limitBytes = sum(limited.map((report) => report.limitBytes));
    const fullest = Math.max(...limited.map((report) => report.usedBytes / report.limitBytes));
    return { usedBytes: Math.round(fullest * limitBytes), limitBytes };
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#waiting?.close();
    this.#link.close();
    return Promise.resolve();
  }

  /** The server that holds the key; '' outside of a cluster. */
  async #becomeUsable(key: string): Promise<string> {
    if (this.#closed) throw new CanopyError('storage_unavailable', 'the store is closed');
    const { clock } = this.#options;
    const isDue = clock.monotonic() - this.#checkedAt > RECHECK_MS;
    if ((this.#unsuitable !== undefined || this.#notYet !== '') && isDue) await this.#check();
    if (this.#link.isReady) await this.#checked;
    if (this.#unsuitable !== undefined) throw this.#unsuitable;
    const name = key === '' ? '' : this.#link.nameFor(key);
    if (this.#notYet !== '' || this.#silent.has(name) || !this.#link.isReady) {
      throw new CanopyError('storage_unavailable', this.health.message);
    }
    return name;
  }

  /** Any command of a cluster's client follows redirections, and remembers where they led. */
  async #findMaster(key: string, name: string): Promise<void> {
    try {
      await this.#waiting?.commands.exists(key);
    } catch (error) {
      throw this.#failed(error, key, name);
    }
  }

  /** `name`: the server that `key` was with when the command was sent. */
  #failed(error: unknown, key: string, name: string): CanopyError {
    // In a cluster a master that is gone costs every command its redirections.
    const isGone = name !== '' && /Connection is closed/.test(firstLine(error));
    // In a cluster it is not known without a key which server is meant, and another may have its place now.
    const isKnown =
      this.#link.kind !== 'cluster' || (name !== '' && this.#link.nameFor(key) === name);
    if ((isTimeout(error) || isGone) && isKnown && !this.#silent.has(name)) {
      this.#silent.add(name);
      this.#noteError(error);
      this.#options.log('warn', this.health.message);
      void this.#listen(name, key);
    }
    if (outcomeWord(error) === 'LOADING')
      this.#notYet = `${this.#at(name)} ${OUTCOMES.LOADING.says}`;
    return translate(error, this.#at(name));
  }

  /** Asks until a server that fell silent answers, its connection ends, or another has its place. */
  async #listen(name: string, key: string): Promise<void> {
    const { clock, log } = this.#options;
    while (this.#silent.has(name) && !this.#closed) {
      try {
        if (this.#link.nameFor(key) !== name) break;
        await (this.#link.kind === 'cluster'
          ? this.#link.commands.exists(key)
          : this.#link.commands.ping());
        break;
      } catch (error) {
        const isAway = isTimeout(error) || this.#link.kind === 'cluster';
        if (!isAway) break;
        // Sentinel may know another master by now.
        if (this.#link.kind === 'sentinel') this.#link.reconnect();
        await sleep(clock, PROBE_PAUSE);
      }
    }
    if (!this.#silent.delete(name) || this.#closed) return;
    if (this.#link.isReady) log('info', `${this.#at(name)} answers again`);
  }

  #check(): Promise<void> {
    this.#checkedAt = this.#options.clock.monotonic();
    const check = this.#inspect().catch((error: unknown) => {
      this.#noteError(error);
      if (isSecret(outcomeWord(error))) this.#unsuitable = translate(error, this.#at());
    });
    this.#checked = check;
    return check;
  }

  /** Looks at every server that is written to; one that is away is left to its failover. */
  async #inspect(): Promise<void> {
    const nodes = this.#link.masters();
    const results = await Promise.allSettled(nodes.map((node) => readFacts(node, this.#acl)));
    const found = results.flatMap((result, i) =>
      result.status === 'fulfilled' ? [{ name: this.#nameOf(nodes[i]), facts: result.value }] : [],
    );
    const failure = results.find((result) => result.status === 'rejected');
    if (found.length === 0 || (failure !== undefined && isSecret(outcomeWord(failure.reason)))) {
      throw failure?.reason ?? new Error('no master is known');
    }
    if (this.#address.kind === 'sentinel' && found[0].facts.get('role') === 'slave') {
      // It was demoted; the sentinels know the new one, or will.
      this.#notYet = `${this.#at()} leads to a replica; Sentinel is asked again`;
      this.#link.reconnect();
      return;
    }
    this.#judge(found);
  }

  #judge(found: ReadonlyArray<{ readonly name: string; readonly facts: Facts }>): void {
    const { log, waitReplicas } = this.#options;
    const bad = found.find(({ facts }) => findComplaint(facts, this.#address.kind) !== '');
    if (bad !== undefined) {
      const text = `${this.#at(bad.name)} ${findComplaint(bad.facts, this.#address.kind)}`;
      if (this.#unsuitable?.message !== text) log('error', text);
      this.#unsuitable = new CanopyError('storage_unsuitable', text);
      return;
    }
    this.#unsuitable = undefined;
    const late = found.find(({ facts }) => findWait(facts) !== '');
    const notYet = late === undefined ? '' : `${this.#at(late.name)} ${findWait(late.facts)}`;
    if (notYet !== '' && this.#notYet === '') log('warn', notYet);
    this.#notYet = notYet;
    if (notYet !== '') return;
    this.#lastError = '';
    const words = found.map(({ facts }) => describeServer(facts, waitReplicas));
    // What differs among the masters of a cluster is said of the worst.
    const worst = words.find(({ safe }) => !safe) ?? words[0];
    const version = found[0].facts.get('redis_version') ?? '';
    const message = `${this.#title(version, found)}; ${worst.text}`;
    if (message !== this.#message) log(worst.safe ? 'info' : 'warn', message);
    this.#message = message;
  }

  #title(version: string, found: readonly unknown[]): string {
    const what = version === '' ? 'Redis' : `Redis ${version}`;
    if (this.#address.kind === 'alone') return `${what} at ${this.#place}`;
    if (this.#address.kind === 'sentinel') return `${what} by Sentinel at ${this.#place}`;
    return `${what}, a cluster of ${found.length} masters at ${this.#place}`;
  }

  #nameOf(node: Redis): string {
    return this.#address.kind === 'cluster' ? nameOf(node) : '';
  }

  /** For messages; in a cluster with the node where it is known. */
  #at(name = ''): string {
    return `Redis at ${name === '' ? this.#place : name}`;
  }

  #noteError(error: unknown): void {
    const text = firstLine(error);
    // Says nothing where the reason came before it.
    if (text === 'Connection is closed.' && this.#lastError !== '') return;
    this.#lastError = text;
  }

  #noteClosed(): void {
    if (this.#checked !== undefined && !this.#closed) {
      this.#options.log('warn', `lost the connection to ${this.#at()}`);
    }
    this.#checked = undefined;
    this.#notYet = '';
    this.#silent.clear();
  }
}

function readAddress({ url, tls, waitReplicas, waitTimeout }: ConnectionOptions): RedisAddress {
  let address: RedisAddress;
  try {
    address = parseAddress(url);
  } catch (error) {
    const text = `the address of the store is ${firstLine(error)}`;
    throw new CanopyError('storage_unsuitable', text);
  }
  if (tls !== undefined && !address.tls) {
    const text = 'TLS files are given, but the address of the store does not begin with rediss';
    throw new CanopyError('storage_unsuitable', text);
  }
  if (waitReplicas > 0 && waitTimeout <= 0) {
    throw new CanopyError('storage_unsuitable', 'commits wait for replicas, but for no time');
  }
  return address;
}

/** Undefined where the user may not ask. */
async function readMemory(
  node: Redis,
): Promise<(RedisMemory & { readonly evicts: boolean }) | undefined> {
  try {
    const facts = parseInfo(await node.info('memory'));
    const [used, limit] = [facts.get('used_memory'), facts.get('maxmemory')];
    const evicts = (facts.get('maxmemory_policy') ?? 'noeviction') !== 'noeviction';
    return { usedBytes: Number(used ?? 0), limitBytes: Number(limit ?? 0), evicts };
  } catch (error) {
    if (outcomeWord(error) === 'NOPERM') return undefined;
    throw error;
  }
}
